import pytest

from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools.tool import Session, tool
from maieutic.types import Completion, ToolCall
from tests.conftest import Ask


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def count(session: Session) -> int:
    """Count the calls of this branch."""

    async def open_() -> list[int]:
        return []

    async def close(kept: list[int]) -> None:
        kept.clear()

    calls = await session.keep("calls", open_, close)
    calls.append(1)
    return len(calls)


def replies(model: ScriptedModel) -> list[str]:
    return [str(m["content"]) for m in model.requests[-1].messages if m["role"] == "tool"]


@pytest.mark.parametrize("graph", ["tool_loop", "direct"])
async def test_the_tools_result_goes_back_to_the_model(ask: Ask, graph: str) -> None:
    model = ScriptedModel([call_tool("add", a=4, b=3), "Answer: 7"])
    result = await ask(model, graph, tools=[add])
    assert (result.answer, replies(model)) == ("7", ["7"])
    assert model.requests[0].tools[0].description == "Add two numbers."


async def test_calls_of_one_turn_are_all_answered(ask: Ask) -> None:
    both = Completion("", (ToolCall("x", "add", '{"a":1,"b":2}'), ToolCall("y", "add", '{"a":3,"b":4}')))
    model = ScriptedModel([both, "Answer: 7"])
    await ask(model, "tool_loop", tools=[add])
    assert replies(model) == ["3", "7"]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (call_tool("add", a=4), "The arguments of add are not valid: b is missing."),
        (call_tool("sub", a=4), "There is no tool sub. Tools: add."),
        (Completion("", (ToolCall("x", "add", '{"a": 4,'),)), "The arguments of add are not valid"),
    ],
)
async def test_the_models_mistakes_come_back_as_text(ask: Ask, call: Completion, sentence: str) -> None:
    model = ScriptedModel([call, "Answer: 7"])
    result = await ask(model, "tool_loop", tools=[add])
    assert result.answer == "7"
    assert replies(model)[0].startswith(sentence)


@pytest.mark.parametrize("graph", ["tool_loop", "direct"])
async def test_in_the_last_turn_no_tool_may_be_called_and_the_prompt_stays(ask: Ask, graph: str) -> None:
    model = ScriptedModel(lambda r: call_tool("add", a=1, b=1) if r.tool_choice != "none" else "Answer: 7")
    result = await ask(model, graph, tools=[add], graph_settings={"max_turns": 4})
    assert (result.answer, len(model.requests)) == ("7", 4)
    assert {len(request.tools) for request in model.requests} == {1}
    assert [request.tool_choice for request in model.requests] == [None, None, None, "none"]


@pytest.mark.parametrize("graph", ["tool_loop", "direct"])
async def test_a_call_in_the_last_turn_is_not_run(ask: Ask, graph: str) -> None:
    model = ScriptedModel(call_tool("add", a=1, b=1))
    await ask(model, graph, tools=[add], graph_settings={"max_turns": 2})
    assert len(model.requests) == 2 and len(replies(model)) == 1


@pytest.mark.parametrize("graph", ["tool_loop", "direct"])
async def test_a_single_turn_is_asked_without_tools(ask: Ask, graph: str) -> None:
    model = ScriptedModel("Answer: 7")
    await ask(model, graph, tools=[add], graph_settings={"max_turns": 1})
    assert (model.requests[0].tools, model.requests[0].tool_choice) == ((), None)


async def test_a_session_lasts_for_a_run_and_is_not_shared_between_branches(ask: Ask) -> None:
    model = ScriptedModel([call_tool("count"), call_tool("count"), "Answer: 2"])
    await ask(model, "tool_loop", tools=[count])
    assert replies(model) == ["1", "2"]
    model = ScriptedModel(
        lambda r: call_tool("count") if len(r.messages) < 3 else f"Answer: {r.messages[-1].get('content')}"
    )
    result = await ask(model, "self_consistency", tools=[count], graph_settings={"samples": 4, "early_stop": False})
    assert result.answer == "1"
