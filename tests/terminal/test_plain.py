"""A run as plain lines."""

from dataclasses import replace

from maieutic.events import Event
from maieutic.terminal.plain import PlainView
from tests.terminal.events import RESULT, call, ended, event, finished, started, tool


def lines_of(*events: Event) -> list[str]:
    lines: list[str] = []
    view = PlainView(lines.append)
    for one in events:
        view.handle(one)
    view.close()
    return lines


def test_a_run_reads_from_top_to_bottom() -> None:
    assert lines_of(
        started(),
        *call("I compute.\nNow."),
        *tool("python", '{"code": "print(3 + 4)"}', "7\n"),
        *tool("look", '{"word": "x"}', "nothing", status="error"),
        event("verdict", role="critic", accepts=False, first_wrong=2),
        ended(),
    ) == [
        "direct · m",
        "solver: I compute.\n    Now.",
        "python: print(3 + 4)",
        "python: -> 7",
        'look: look(word="x")',
        "look: -> error: nothing",
        "critic: the first wrong step is 2",
        "2 calls · 42 tokens · 1.5 s · run r-1",
    ]


def test_branches_are_told_by_their_last_line() -> None:
    assert lines_of(
        *call("Long.\nAnswer: 7", branch="sample-1"),
        finished("half", error="", branch="sample-2"),
        event("branch_failed", branch="sample-3", error="It broke."),
        event("vote", votes={"7": 2, "8": 1}, samples=3, of=4),
    ) == [
        "[sample-1] solver: Answer: 7",
        "[sample-2] solver: stopped, no longer needed",
        "[sample-3] failed: It broke.",
        "votes: 7 ×2, 8 ×1 (3 of 4)",
    ]


def test_a_model_can_not_write_control_codes() -> None:
    assert lines_of(*call("\x1b[31mred\x07\r")) == ["solver: [31mred"]


def test_a_partial_result_says_why() -> None:
    late = replace(RESULT, partial=True, reason="The time budget is used up.")
    assert lines_of(ended(late))[0] == "partial: The time budget is used up. This is the best answer so far."
    none = replace(RESULT, answer=None, text="", partial=True, reason="interrupted")
    assert lines_of(ended(none))[0] == "partial: Interrupted. There is no answer yet."
