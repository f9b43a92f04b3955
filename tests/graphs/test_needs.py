"""A graph that can't do without a tool says so before anything is asked."""

from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.tools.tool import tool
from tests.conftest import Ask

GRAPH = '''"""Answer from what a tool found."""

from langgraph.graph import END, START, StateGraph

from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node

NEEDS = ("look_up|find",)


class Settings(GraphSettings):
    pass


def build(settings):
    async def answer(state, ctx):
        ctx.propose((await make_agent("solver")(ctx)).proposal)
        return {}

    graph = StateGraph(dict, context_schema=Context)
    add_node(graph, "answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph
'''


@tool
async def find(query: str) -> str:
    """Find something."""
    return f"nothing about {query}"


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "needing.py"
    file.write_text(GRAPH)
    return str(file)


async def test_without_the_tool_nothing_starts(ask: Ask, path: str, tmp_path: Path) -> None:
    model = ScriptedModel("Answer: 7")
    with pytest.raises(UserError, match="needs the tool look_up or find: give the run one"):
        await ask(model, path, tools=[add])
    assert not model.requests and not (tmp_path / "traces").exists()


async def test_one_of_several_will_do(ask: Ask, path: str) -> None:
    assert (await ask(ScriptedModel("Answer: 7"), path, tools=[add, find])).answer == "7"
