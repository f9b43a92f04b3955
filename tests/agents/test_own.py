"""Somebody's own agent in a role of ours, and a graph of ours as a node of theirs."""

from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import MessagesState

import maieutic
from maieutic.agents.own import from_langgraph, own_solver
from maieutic.agents.registry import _registered, register_agent
from maieutic.errors import MaieuticError
from maieutic.llm.scripted import ScriptedModel
from maieutic.trace.reader import TraceReader
from tests.conftest import Ask


class Theirs(TypedDict, total=False):
    question: str
    answer: str


@pytest.fixture
def mine() -> Any:
    def register(ask: Any) -> dict[str, Any]:
        register_agent("mine-for-test")(own_solver(ask))
        return {"solver": "mine-for-test"}

    yield register
    _registered.pop("mine-for-test", None)


async def test_a_vote_around_any_callable(ask: Ask, mine: Any) -> None:
    answers = iter(["7", "8", "7"])

    async def agent(question: str) -> str:
        return f"Asked {question!r}.\nAnswer: {next(answers)}"

    settings = {**mine(agent), "samples": 3, "early_stop": False}
    result = await ask(ScriptedModel("nobody asks"), "self_consistency", graph_settings=settings)
    assert (result.answer, result.usage.calls) == ("7", 0)
    with TraceReader(result.trace) as reader:
        notes = reader.run(result.run_id).events_of("note")
    assert [note.fields["said"].rsplit(" ", 1)[-1] for note in notes if note.fields.get("own_agent")] == ["7", "8", "7"]


async def test_a_critique_around_a_langgraph_graph(ask: Ask, mine: Any) -> None:
    graph = StateGraph(Theirs)
    graph.add_node("guess", lambda state: {"answer": "Answer: 8"})
    graph.add_edge(START, "guess")
    graph.add_edge("guess", END)
    model = ScriptedModel({"You check": ["First wrong step: 1", "First wrong step: none"], "You repair": "Answer: 7"})
    result = await ask(model, "critique", graph_settings=mine(from_langgraph(graph.compile())))
    assert (result.answer, result.usage.calls) == ("7", 3)


async def test_a_graph_of_messages_gives_its_last_one(ask: Ask, mine: Any) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("say", lambda state: {"messages": [("ai", f"You said: {state['messages'][-1].content} Answer: 7")]})  # pyright: ignore[reportIndexIssue]
    graph.add_edge(START, "say")
    graph.add_edge("say", END)
    own = mine(from_langgraph(graph.compile(), ask="messages", answer="messages"))
    result = await ask(ScriptedModel("x"), "self_consistency", graph_settings={**own, "samples": 1})
    assert "You said: What is 4 + 3?" in result.text


async def test_a_failing_agent_is_a_failed_branch(ask: Ask, mine: Any) -> None:
    calls = iter(range(10))

    def sometimes(question: str) -> str:
        if next(calls) == 1:
            raise RuntimeError("out of order")
        return "Answer: 7"

    settings = {**mine(sometimes), "samples": 3, "early_stop": False}
    assert (await ask(ScriptedModel("x"), "self_consistency", graph_settings=settings)).answer == "7"
    with pytest.raises(MaieuticError, match="must give text"):
        await ask(ScriptedModel("x"), "critique", graph_settings=mine(lambda question: 7))


async def test_a_graph_of_ours_is_a_node_of_theirs(tmp_path: Path) -> None:
    node = maieutic.as_node(
        "self_consistency",
        model=ScriptedModel("Answer: 7"),
        traces=tmp_path,
        run_field="run",
        graph_settings={"samples": 3},
    )
    graph = StateGraph(dict)  # pyright: ignore[reportArgumentType]
    graph.add_node("think", node)
    graph.add_edge(START, "think")
    graph.add_edge("think", END)
    state = await graph.compile().ainvoke({"question": "What is 4 + 3?"})
    await node.aclose()
    assert state["answer"] == "7"
    with TraceReader(tmp_path) as reader:
        assert reader.run(state["run"]).header.graph == "self_consistency"
