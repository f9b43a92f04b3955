"""Graph problems: each kind's own rule decides, and yes is right as often as no."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import TaskError, UnknownName
from maieutic.tasks.graph_kinds import KINDS
from maieutic.tasks.guessing import answer_text, guessing
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome

nx = pytest.importorskip("networkx", reason="networkx is not installed, so graph problems are NOT checked")


def drawn(kind: str, seed: int, level: int = 1, n: int = 1) -> list[Task]:
    return load_tasks(f"env:graph_problem/{kind}?n={n}&seed={seed}&level={level}").tasks


def instance(task: Task) -> dict[str, Any]:
    found: Any = task.metadata["instance"]
    return dict(found)


def outcome(task: Task, answer: object) -> Outcome:
    return verify(task, f"Answer: {answer if isinstance(answer, str) else json.dumps(answer)}").outcome


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_every_kind_takes_its_gold_and_not_a_near_miss(kind: str, seed: int, level: int) -> None:
    task = drawn(kind, seed, level)[0]
    gold: Any = task.gold
    size = instance(task)["nodes"]
    assert instance(task)["kind"] == kind and 5 <= size <= 35
    assert outcome(task, answer_text(task)) is Outcome.CORRECT
    match instance(task)["grading"]:
        case "boolean":
            assert outcome(task, {"yes": "no", "no": "yes"}[gold]) is Outcome.WRONG
        case "number":
            assert outcome(task, f"{gold}1") is Outcome.WRONG
        case "nodes":
            other = next((node for node in range(size) if node not in gold), None)
            verdict = verify(task, f"Answer: {json.dumps([*gold, other])}")
            assert other is None or verdict.score == pytest.approx(len(gold) / (len(gold) + 1))
            assert other is None or verdict.outcome is Outcome.WRONG
        case "edges":
            verdict = verify(task, f"Answer: {json.dumps([*gold[1:], [0, 0]])}")
            assert verdict.score == pytest.approx((len(gold) - 1) / (len(gold) + 1))
        case _:
            assert outcome(task, gold[:-1]) is Outcome.WRONG
    assert outcome(task, f"perhaps {gold}") is Outcome.FORMAT_ERROR


@pytest.mark.parametrize("kind", ["bipartite", "cycle", "reachable"])
@pytest.mark.parametrize("level", [1, 4])
def test_yes_is_right_as_often_as_no(kind: str, level: int) -> None:
    constant = guessing(drawn(kind, 0, level, 100)).constant
    assert constant is not None and constant < 0.65


@pytest.mark.parametrize("kind", ["components", "triangles", "clustering", "strong_components"])
def test_no_answer_is_nearly_always_the_right_one(kind: str) -> None:
    constant = guessing(drawn(kind, 0, 2, 60)).constant
    assert constant is not None and constant < 0.6


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_every_lightest_path_is_right_and_no_other(seed: int) -> None:
    task = drawn("shortest_path", seed)[0]
    facts = instance(task)
    graph = nx.Graph()
    graph.add_weighted_edges_from(facts["edges"])
    ends = facts["source"], facts["target"]
    lightest = list(nx.all_shortest_paths(graph, *ends, weight="weight"))
    assert all(outcome(task, path) is Outcome.CORRECT for path in lightest) and task.gold in lightest
    others = [path for path in nx.all_simple_paths(graph, *ends) if path not in lightest]
    assert all(outcome(task, path) is Outcome.WRONG for path in others[:20])
    assert outcome(task, list(ends)) is Outcome.WRONG  # they are not linked
    assert outcome(task, lightest[0][::-1]) is Outcome.WRONG


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_every_topological_order_is_right_and_a_reversed_one_is_not(seed: int) -> None:
    task = drawn("topological_order", seed)[0]
    graph = nx.DiGraph()
    graph.add_nodes_from(range(instance(task)["nodes"]))
    graph.add_edges_from((a, b) for a, b, _ in instance(task)["edges"])
    order = list(nx.topological_sort(graph))
    assert outcome(task, " -> ".join(map(str, order))) is Outcome.CORRECT
    assert outcome(task, order[::-1]) is outcome(task, [order[0], *order]) is Outcome.WRONG


def made(grading: str, gold: Any, **facts: Any) -> Task:
    whole = {"grading": grading, "nodes": 4, "edges": [[0, 1, 1], [1, 2, 1], [2, 3, 1]], "directed": False, **facts}
    kind: Any = "number" if grading == "number" else "list"
    return Task(question="?", gold=gold, answer_type=kind, verifier="graph_problem", metadata={"instance": whole})


def test_sets_that_several_answers_can_be() -> None:
    task = made("independent", [0, 2], best=2)
    assert outcome(task, [1, 3]) is outcome(task, [0, 3]) is Outcome.CORRECT
    assert outcome(task, [0, 1]) is outcome(task, [0]) is outcome(task, [0, 0]) is Outcome.WRONG
    assert outcome(task, [0, 9]) is Outcome.FORMAT_ERROR
    path = made("hamiltonian", [0, 1, 2, 3])
    assert outcome(path, "3, 2, 1, 0") is Outcome.CORRECT
    assert outcome(path, [0, 1, 2, 1, 2, 3]) is outcome(path, [0, 2, 1, 3]) is outcome(path, [0, 1, 2]) is Outcome.WRONG


def test_edges_are_pairs_however_they_are_written() -> None:
    task = made("edges", [[0, 1], [2, 3]])
    assert outcome(task, "(1, 0), (3, 2)") is outcome(task, "0-1, 2-3") is Outcome.CORRECT
    assert outcome(task, [0, 1, 2]) is Outcome.FORMAT_ERROR
    assert verify(task, "Answer: 0-1").score == 0.5


def test_fractions_may_have_four_decimals_and_whole_numbers_may_not_be_near() -> None:
    third = made("number", "1/3")
    assert outcome(third, "0.3333") is outcome(third, "2/6") is Outcome.CORRECT
    assert outcome(third, "0.333") is outcome(third, "0.334") is Outcome.WRONG
    assert outcome(made("number", "3"), "3.00001") is Outcome.WRONG


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(UnknownName, match="no kind of graph_problem named 'shortest'"):
        load_tasks("env:graph_problem/shortest")
    with pytest.raises(TaskError, match="there is no kind 'shortest'"):
        load_tasks("env:graph_problem?kind=shortest")
