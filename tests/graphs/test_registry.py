import sys
from pathlib import Path

import pytest

from maieutic.agents.critic import Critique
from maieutic.agents.registry import make_agent, register_agent
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.errors import ConfigError, UnknownName
from maieutic.graphs.registry import describe_graphs, graph_names, load_graph
from maieutic.llm.scripted import ScriptedModel
from maieutic.types import Sampling
from tests.conftest import Ask

OWN_GRAPH = '''"""Ask twice, keep the second."""

from langgraph.graph import END, START, StateGraph

from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.graphs.graph import GraphSettings, add_node


class Settings(GraphSettings):
    times: int = 2


def build(settings):
    solver = make_agent("solver")

    async def ask(state, ctx):
        for _ in range(settings.times):
            ctx.propose((await solver(ctx)).proposal)
        return {}

    graph = StateGraph(dict, context_schema=Context)
    add_node(graph, "ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    return graph
'''


def test_every_shipped_graph_loads_draws_and_says_what_it_is() -> None:
    for name, summary in describe_graphs().items():
        graph = load_graph(name)
        assert summary.endswith("."), name
        assert "__start__" in graph.mermaid()
    assert graph_names() == sorted(graph_names())


async def test_an_own_graph_is_one_file(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "twice.py"
    path.write_text(OWN_GRAPH)
    result = await ask(ScriptedModel(["Answer: 1", "Answer: 2"]), str(path))
    assert result.answer == "2"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [("def build(", "can't be loaded: SyntaxError"), ("x = 1", "needs Settings and build"), ("1/0", "ZeroDivision")],
)
def test_a_broken_graph_file_is_told_in_a_sentence(source: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(ConfigError, match=sentence):
        load_graph(str(path))


def test_a_dotted_path_names_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_graphs_for_test.py").write_text(OWN_GRAPH)
    package = tmp_path / "own_pkg_for_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "twice.py").write_text(OWN_GRAPH)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert load_graph("own_pkg_for_test.twice", {"times": 3}).steps
    with pytest.raises(UnknownName, match="no_such.module"):
        load_graph("no_such.module")
    (package / "lacking.py").write_text("import not_installed_for_test")
    with pytest.raises(ConfigError, match="can't be imported: No module named 'not_installed_for_test'"):
        load_graph("own_pkg_for_test.lacking")


def test_a_wrong_setting_names_itself_and_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="setting 'samples': .*greater than or equal to 1.*early_stop"):
        load_graph("self_consistency", {"samples": 0})


async def test_an_own_agent_takes_a_role(ask: Ask) -> None:
    @register_agent("strict-critic-for-test")
    class StrictCritic:
        role = "critic"

        def __init__(self, sampling: Sampling) -> None: ...

        async def __call__(self, ctx: Context, solution: Solution) -> Critique:
            return Critique("Step 1 is wrong.", solution.call_id, False, 1)

    model = ScriptedModel({"Solve the problem": "Answer: 8", "You repair": "Answer: 7"})
    result = await ask(model, "critique", graph_settings={"critic": "strict-critic-for-test", "rounds": 1})
    assert result.answer == "7"
    with pytest.raises(UnknownName, match="strict-critic-for-test"):
        make_agent("strict-critic")
