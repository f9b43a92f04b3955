from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from maieutic.events import Event
from maieutic.terminal.approve import TerminalApprover
from maieutic.tools.approval import Decision, Pending

CALL = Pending("r1", "", "c1", "t1", "python", '{"code": "print(7)"}')


class Script:
    """Lines typed at the prompts, in order; where there is no more, the end of input."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.shown: list[str] = []
        self.defaults: list[str] = []

    async def read(self, message: str, default: str) -> str:
        self.defaults.append(default)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


class Aside:
    """A view that remembers when it gave the terminal away."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def handle(self, event: Event) -> None: ...

    def close(self) -> None: ...

    def showed(self, text: str) -> bool:
        return False

    @contextmanager
    def aside(self) -> Iterator[None]:
        self.log.append("away")
        yield
        self.log.append("back")


@pytest.mark.parametrize(
    ("line", "decision"),
    [
        ("y", Decision(True, by="terminal")),
        ("YES", Decision(True, by="terminal")),
        ("n", Decision(False, by="terminal")),
        ("no it deletes things", Decision(False, reason="it deletes things", by="terminal")),
        ("l", None),
    ],
)
async def test_a_word_decides(line: str, decision: Decision | None) -> None:
    script = Script(line)
    assert await TerminalApprover(script.read, script.shown.append)(CALL) == decision
    assert script.shown[-1] == "print(7)"


async def test_anything_else_is_asked_again_and_the_end_of_input_leaves_it_open() -> None:
    script = Script("", "what?")
    assert await TerminalApprover(script.read, script.shown.append)(CALL) is None
    assert len(script.defaults) == 3


async def test_all_calls_of_a_tool_are_asked_about_once() -> None:
    script = Script("a", "n")
    approver = TerminalApprover(script.read, script.shown.append)
    other = Pending("r1", "", "c2", "t2", "sql", "{}")
    assert [await approver(CALL), await approver(CALL)] == [Decision(True, by="terminal")] * 2
    assert await approver(other) == Decision(False, by="terminal")


async def test_arguments_can_be_edited() -> None:
    script = Script("e", '{"code": "print(8)"}')
    decision = await TerminalApprover(script.read, script.shown.append)(CALL)
    assert decision == Decision(True, arguments='{"code": "print(8)"}', by="terminal")
    assert script.defaults[-1] == CALL.arguments


async def test_the_view_gives_the_terminal_away_meanwhile() -> None:
    view = Aside()

    async def read(message: str, default: str) -> str:
        view.log.append("asked")
        return "y"

    await TerminalApprover(read, lambda line: None, view)(CALL)
    assert view.log == ["away", "asked", "back"]
