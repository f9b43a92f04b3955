"""A run on a terminal: what stays on the screen when it is over."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from maieutic.events import Event
from maieutic.terminal.board import Board
from maieutic.terminal.live import LiveView
from tests.terminal.events import RESULT, call, ended, event, finished, started, tool


class Screen:
    """A view on a console that keeps what scrolled up, without the region that is redrawn."""

    def __init__(self) -> None:
        self.console = Console(file=io.StringIO(), width=60, height=24, record=True)
        self.view = LiveView(self.console)

    def show(self, *events: Event) -> str:
        for one in events:
            self.view.handle(one)
        self.view.close()
        return self.console.export_text()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_a_streamed_reply_stands_there_once(screen: Screen) -> None:
    text = "We add.\n\n3 + 4 = 7\n2*3*4 is 24\n\nAnswer: 7"
    shown = screen.show(started(), *call(text, *(text[i : i + 5] for i in range(0, len(text), 5))), ended())
    assert shown.split("\n") == [
        "direct · m",
        "",
        "solver",
        "  We add.",
        "",
        "  3 + 4 = 7",
        "  2*3*4 is 24",
        "",
        "  Answer: 7",
        "",
        "2 calls · 42 tokens · 1.5 s · run r-1",
        "",
    ]
    assert screen.view.showed(text) and not screen.view.showed("7")


def test_a_reply_that_was_not_streamed_is_shown_whole(screen: Screen) -> None:
    assert "  Answer: 7" in screen.show(started(), *call("Answer: 7"), ended())


def test_tools_show_their_code_and_output(screen: Screen) -> None:
    output = "\n".join(map(str, range(20)))
    shown = screen.show(started(), *call(""), *tool("python", '{"code": "x = 1\\nprint(x)"}', output), ended())
    assert "python\n  x = 1" in "\n".join(line.rstrip() for line in shown.split("\n"))
    assert "  11\n" in shown and "\n  12\n" not in shown and "… 8 more lines" in shown
    assert "solver" not in shown


def test_branches_get_a_line_each(screen: Screen) -> None:
    shown = screen.show(
        started(),
        *call("Long.\nAnswer: 7", "Long.\n", "Answer: 7", branch="sample-1"),
        event("call_started", branch="sample-2", call_id="c2", model="m"),
        event("vote", votes={"7": 1}, samples=1, of=2),
        finished("", error="", branch="sample-2"),
        event("branch_failed", branch="sample-3", error="It broke."),
        ended(),
    )
    lines = [line.rstrip() for line in shown.split("\n")]
    assert "✓ sample-1 Answer: 7" in lines
    assert "– sample-2 no longer needed" in lines
    assert "✗ sample-3 It broke." in lines
    assert "  votes 7 ×1 (1 of 2)" in lines
    assert not screen.view.showed("Answer: 7")


def test_the_next_node_begins_a_new_board(screen: Screen) -> None:
    first = call("a", branch="debater-1", node="open")
    second = call("b", branch="round-1-debater-1", node="debate")
    shown = screen.show(started(), *first, *second, ended())
    assert shown.index("✓ debater-1") < shown.index("✓ round-1-debater-1")
    assert shown.count("debater-1") == 2


def test_an_interrupted_reply_keeps_what_was_said(screen: Screen) -> None:
    partial = replace(RESULT, partial=True, reason="interrupted")
    begun = call("Half a", "Half a")[:-1]
    shown = screen.show(started(), *begun, finished("Half a", error=""), ended(partial))
    assert shown.count("Half a") == 1
    assert "partial: Interrupted. This is the best answer so far." in shown


def test_of_a_thought_only_its_length_stays(screen: Screen) -> None:
    begun, *_, done = call("Answer: 7", "Answer: 7")
    thought = event("delta", call_id="c1", text="", reasoning="Hm. Let me see.")
    said = event("delta", call_id="c1", text="Answer: 7", reasoning="")
    for one in (started(), begun, thought):
        screen.view.handle(one)
    drawing = Console(file=io.StringIO(), width=60, record=True)
    drawing.print(screen.view)
    assert "solver thinks" in (drawn := drawing.export_text()) and "Let me see." in drawn
    shown = screen.show(said, done, ended())
    assert "thought for 0 s" in shown and "Let me see." not in shown and "Answer: 7" in shown


def test_markup_in_a_reply_is_text(screen: Screen) -> None:
    shown = screen.show(started(), *call("[bold]x[/bold] <answer>7</answer> \x1b[2J"), ended())
    assert "[bold]x[/bold] <answer>7</answer> [2J" in shown


def test_a_board_of_many_branches_fits_the_screen() -> None:
    board = Board("sample")
    for i in range(100):
        board.handle(event("call_started", branch=f"sample-{i}", call_id=f"c{i}", model="m"))
    for i in range(90):
        board.handle(finished("Answer: 7", branch=f"sample-{i}"))
    console = Console(file=io.StringIO(), width=60, record=True)
    console.print(board.draw(14))
    lines = console.export_text().rstrip("\n").split("\n")
    assert len(lines) <= 14
    assert all(any(f"sample-{i}" in line for line in lines) for i in range(90, 100))
    assert "… and 88 more, 90 of 100 done" in lines[-1]
