"""Users' tools: what becomes of their exceptions, their sessions and their time."""

import asyncio
from pathlib import Path

import pytest

from maieutic.budget import Budget
from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools.tool import Reply, Session, Tool, tool
from maieutic.trace.reader import TraceReader
from maieutic.types import Completion, ToolCall
from tests.conftest import Ask


def raising(error: Exception) -> Tool:
    @tool
    async def broken() -> str:
        """Break."""
        raise error

    return broken


@pytest.mark.parametrize(
    ("error", "said", "status"),
    [
        (KeyError("inner"), "broken failed: KeyError: 'inner'", "error"),
        (TimeoutError("no reply"), "broken failed: TimeoutError: no reply", "timeout"),
        (ValueError("7 is odd"), "7 is odd", "error"),
    ],
)
async def test_whatever_a_tool_raises_the_model_can_read(
    ask: Ask, tmp_path: Path, error: Exception, said: str, status: str
) -> None:
    model = ScriptedModel([call_tool("broken"), "Answer: 7"])
    result = await ask(model, tools=[raising(error)])
    assert (result.answer, result.partial) == ("7", False)
    assert model.requests[1].messages[-1]["content"] == said
    with TraceReader(tmp_path / "traces") as reader:
        (line,) = reader.run(result.run_id).events_of("tool_result")
    assert (line.fields["content"], line.fields["status"]) == (said, status)


async def test_facts_for_the_trace_may_have_any_name(ask: Ask) -> None:
    @tool
    async def tell() -> Reply:
        """Tell."""
        return Reply("hello", meta={"status": 3, "role": "x", "kind": "y"})

    assert (await ask(ScriptedModel([call_tool("tell"), "Answer: 7"]), tools=[tell])).answer == "7"


async def test_calls_side_by_side_open_a_session_once() -> None:
    session, opened = Session(), []

    async def open_() -> object:
        opened.append(object())
        await asyncio.sleep(0.01)
        return opened[-1]

    async def close(value: object) -> None: ...

    one, other = await asyncio.gather(session.keep("k", open_, close), session.keep("k", open_, close))
    assert one is other and len(opened) == 1


async def test_when_one_call_ends_the_run_its_neighbours_are_cancelled(ask: Ask) -> None:
    ended: list[str] = []

    @tool
    async def long() -> str:
        """Take long."""
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return ""

    both = Completion("", tool_calls=(ToolCall("1", "long", "{}"), ToolCall("2", "broken", "{}")))
    with pytest.raises(UserError, match="not here"):
        await ask(ScriptedModel([both, "Answer: 7"]), tools=[raising(UserError("not here")), long])
    assert ended == ["cancelled"]


async def test_a_tool_that_the_time_budget_ends_leaves_a_line(ask: Ask, tmp_path: Path) -> None:
    @tool
    async def long() -> str:
        """Take long."""
        await asyncio.sleep(30)
        return ""

    result = await ask(ScriptedModel([call_tool("long"), "Answer: 7"]), tools=[long], budget=Budget(seconds=0.2))
    assert result.partial
    with TraceReader(tmp_path / "traces") as reader:
        (line,) = reader.run(result.run_id).events_of("tool_result")
    assert line.fields["name"] == "long" and line.fields["status"] != "ok"
