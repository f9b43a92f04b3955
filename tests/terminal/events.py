"""Events as a run emits them, for tests of what is shown."""

from pathlib import Path
from typing import Any

from maieutic.events import Event, EventKind
from maieutic.runner import Result
from maieutic.types import Usage

RESULT = Result(
    answer="7",
    text="Answer: 7",
    outcome=None,
    partial=False,
    reason="",
    usage=Usage(2, 30, 12, seconds=1.5),
    run_id="r-1",
    trace=Path("traces"),
    graph="direct",
    task_id="t",
)


def event(kind: EventKind, /, branch: str = "", role: str = "solver", node: str = "solve", **data: Any) -> Event:
    return Event(kind, "r-1", node, role, branch, data)


def started() -> Event:
    return event("run_started", graph="direct", model="m", question="What?")


def call(text: str, *pieces: str, branch: str = "", role: str = "solver", node: str = "solve") -> list[Event]:
    """A call that says `text`, streamed as `pieces`."""
    where = {"branch": branch, "role": role, "node": node}
    return [
        event("call_started", **where, call_id="c1", model="m"),
        *(event("delta", **where, call_id="c1", text=piece, reasoning="") for piece in pieces),
        finished(text, **where),
    ]


def finished(text: str, error: str | None = None, **where: str) -> Event:
    return event("call_finished", **where, call_id="c1", text=text, error=error, tokens=3, seconds=0.1)


def tool(name: str, arguments: str, content: str, status: str = "ok", branch: str = "") -> list[Event]:
    return [
        event("tool_started", branch=branch, tool=name, arguments=arguments),
        event("tool_finished", branch=branch, tool=name, status=status, content=content),
    ]


def ended(result: Result = RESULT) -> Event:
    return event("run_finished", result=result)
