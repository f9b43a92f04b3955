"""Graphs as YAML files: run like any other, and wrong ones found before they run, with file, line and a suggestion."""

from pathlib import Path

import pytest

from maieutic.errors import ConfigError
from maieutic.graphs.registry import load_graph
from maieutic.llm.scripted import ScriptedModel
from maieutic.trace.reader import TraceReader
from tests.conftest import Ask

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "wired_graph.yaml"
GOOD = """summary: Sample, and repair what few agree on.
nodes:
  draft: {use: sample, with: {n: 3}}
  check: {use: criticise}
  fix: {use: repair}
edges:
  - {from: start, to: draft}
  - {from: draft, to: end, when: share >= 0.8}
  - {from: draft, to: check}
  - {from: check, to: fix, when: accepts == false, at_most: 2}
  - {from: check, to: end}
  - {from: fix, to: check}
"""
SCRIPT = {
    "Solve the problem": ["Answer: 6", "Answer: 7", "Answer: 8"],
    "You check": "First wrong step: 1",
    "You repair": "Answer: 9",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(GOOD)
    return path


async def test_it_runs_and_its_loop_is_bounded(ask: Ask, file: Path) -> None:
    model = ScriptedModel(SCRIPT)
    result = await ask(model, str(file))
    assert (result.answer, result.usage.calls) == ("9", 3 + 3 + 2)
    with TraceReader(result.trace) as reader:
        gates = reader.run(result.run_id).events_of("gate")
    assert [(g.fields["gate"], g.fields["decision"], g.fields["inputs"]) for g in gates] == [
        ("accepts == false", "fix", {"accepts": False})
    ] * 2


async def test_a_condition_ends_it_early(ask: Ask, file: Path) -> None:
    result = await ask(ScriptedModel("Answer: 7"), str(file))
    assert (result.answer, result.usage.calls) == ("7", 3)


async def test_missing_is_not_false(ask: Ask, file: Path) -> None:
    model = ScriptedModel({**SCRIPT, "You check": "Hm."})
    assert (await ask(model, str(file))).answer == "6"


async def test_options_are_settings(ask: Ask, file: Path) -> None:
    result = await ask(ScriptedModel("Answer: 7"), str(file), graph_settings={"draft": {"n": 5}})
    assert result.usage.calls == 5
    with pytest.raises(ConfigError, match="draft.n"):
        load_graph(str(file), {"draft": {"n": 0}})


async def test_a_whole_graph_can_be_a_node(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "summary: Debate, then check.\n"
        "nodes:\n  talk: {use: graph, with: {name: debate, settings: {debaters: 2}}}\n  check: {use: criticise}\n"
        "edges:\n  - {from: start, to: talk}\n  - {from: talk, to: check}\n  - {from: check, to: end}\n"
    )
    model = ScriptedModel({**SCRIPT, "Solve the problem": "Answer: 7"})
    result = await ask(model, str(path))
    assert (result.answer, result.usage.calls) == ("7", 3)


def test_it_is_drawn_and_the_example_is_sound() -> None:
    graph = load_graph(str(EXAMPLE))
    assert graph.summary.startswith("Sample several")
    assert "draft" in graph.mermaid()
    assert graph.steps == 3 * 3 + 1


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("use: sample", "use: sampel", 3, "there is no node 'sampel', did you mean 'sample'"),
        ("{n: 3}", "{m: 3}", 3, "sample has no option 'm'"),
        ("{n: 3}", "{n: 0}", 3, "option 'n' of sample"),
        ("from: start, to: draft", "from: start, to: draught", 7, "did you mean 'draft'"),
        ("share >= 0.8", "shares >= 0.8", 8, "asks for 'shares'"),
        ("share >= 0.8", "open('x')", 8, "holds more than names"),
        ("share >= 0.8", "share >=", 8, "is not a condition"),
        ("share >= 0.8", "accepts == true", 8, "neither draft nor a node before it finds accepts"),
        (", at_most: 2", "", 12, "closes a loop that nothing bounds"),
        ("  - {from: check, to: end}\n", "", 10, "nothing follows: add another one"),
        ("  - {from: fix, to: check}\n", "", 5, "nothing follows fix"),
        ("  - {from: check, to: fix, when: accepts == false, at_most: 2}\n", "", 5, "no edge leads to fix"),
        ("when: accepts", "wehn: accepts", 10, "Did you mean 'when'"),
        ("  - {from: start, to: draft}\n", "  - {from: start, to: check}\n", 3, "no edge leads to draft"),
        ("  draft: {use: sample, with: {n: 3}}", "  draft: {use: vote}", 3, "vote takes solutions"),
        ("summary: Sample, and repair what few agree on.\n", "", 1, "'summary' is missing"),
    ],
)
def test_mistakes_are_found_before_it_runs(file: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as found:
        load_graph(str(file))
    assert said in str(found.value)
    assert f"{file}, line {line}" in str(found.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no graph file nowhere.yaml"):
        load_graph("nowhere.yaml")
