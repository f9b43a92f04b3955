"""Runs task by task, however they lie, one task's in memory at a time; and groups that ended early."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from maieutic.errors import TraceError
from maieutic.gate.difficulty import Difficulty
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.drawn import drawn
from maieutic.recipes.groups import by_policy
from maieutic.recipes.items import Dialogue, Pair, Prompt, Turn
from maieutic.recipes.recipe import Candidate, Tally, find_recipe
from maieutic.trace.reader import TraceReader
from tests.recipes.runs import Runs, through

STOPS = {"group": {"samples": 4, "stop_group_at": 1, "stop_group_agreed": None}}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "a")


def test_runs_of_one_task_come_side_by_side_wherever_they_lie(tmp_path: Path, runs: Runs) -> None:
    for task in ("t2", "t1", "t2", "t3", "t1"):
        runs.add("4", "correct", task=task)
    others = Runs(tmp_path / "b")
    for name, task in (("s0", "t4"), ("s1", "t1")):
        others.add("4", "correct", task=task, run_id=name)
    with ExitStack() as stack:
        readers = [stack.enter_context(TraceReader(one.root)) for one in (runs, others)]
        plain = [one.summary.run_id for one in Candidates(readers)]
        grouped = [(one.summary.task_key, one.summary.run_id) for one in Candidates(readers).by_task()]
    assert plain == ["r000", "r001", "r002", "r003", "r004", "s0", "s1"]
    assert grouped == [
        ("t2", "r000"),
        ("t2", "r002"),
        ("t1", "r001"),
        ("t1", "r004"),
        ("t1", "s1"),
        ("t3", "r003"),
        ("t4", "s0"),
    ]


@pytest.mark.parametrize("recipe", ["step_dpo", "trpa", "edge_of_ability", "orca2", "chain_of_hindsight"])
def test_a_row_is_there_before_other_tasks_are_read(runs: Runs, recipe: str) -> None:
    for sample in range(2):
        for task in range(50):
            runs.add(str(4 + sample), ("correct", "wrong")[sample], task=f"t{task}")
    taken: list[str] = []

    def noted(some: Iterable[Candidate]) -> Iterator[Candidate]:
        for candidate in some:
            taken.append(candidate.summary.task_key)
            yield candidate

    with TraceReader(runs.root) as reader:
        next(find_recipe(recipe)(Candidates([reader], noted), Tally()))
    assert taken == ["t0", "t0", "t1"]  # the next task's first run shows that the first one's are all there


def test_siblings_are_of_one_policy(runs: Runs) -> None:
    runs.add("4", "correct", group_id="t1/g/one")
    runs.add("5", "wrong", group_id="t1/g/two")
    assert runs.through("step_dpo")[0] == []
    runs.add("6", "wrong", group_id="t1/g/one")
    items, _ = runs.through("step_dpo")
    assert [(item.runs, item.meta) for item in items if isinstance(item, Pair)] == [
        (("r000", "r002"), {"group": "t1/g/one"})
    ]


def test_a_group_that_ended_early_is_marked_and_tells_no_share(runs: Runs) -> None:
    for task, outcomes in (("t1", ["wrong", "correct"]), ("t2", ["wrong", "wrong", "wrong", "correct"])):
        for sample, outcome in enumerate(outcomes):
            runs.add("4" if outcome == "correct" else "5", outcome, task=task, sample=sample, rules=STOPS)
    items, tally = runs.through("edge_of_ability")
    assert [(item.task["id"], item.meta.get("ended_early")) for item in items if isinstance(item, Prompt)] == [
        ("t2", None)
    ]
    assert tally.counts["groups_that_ended_early"] == 1
    assert [reason for reason in tally.dropped if "ended early" in reason]
    pairs, _ = runs.through("trpa")
    assert [item.meta.get("ended_early", False) for item in pairs if isinstance(item, Pair)] == [True, *[False] * 3]


def test_a_sample_that_was_tried_twice_is_no_second_one(runs: Runs) -> None:
    for sample in (0, 0, 1, 2):
        runs.add("5", "wrong", sample=sample, rules=STOPS)
    with TraceReader(runs.root) as reader:
        [group] = by_policy(Candidates([reader]), Tally(), "trpa")
    assert group.ended_early and len(group.attempts) == 4


def test_the_gate_knows_no_difficulty_of_groups_that_might_end_early(runs: Runs) -> None:
    for outcome in ("wrong", "wrong"):
        runs.add("5", outcome, task="t1", rules=STOPS)
        runs.add("5", outcome, task="t2")
    difficulty = Difficulty(0.0, 1.0)
    with TraceReader(runs.root) as reader:
        difficulty.learn(reader)
        left = [one.summary.task_key for one in difficulty.runs(Candidates([reader]), Tally())]
    assert left == ["t1", "t1"] and difficulty.unknown == 2


def test_damage_is_told_task_by_task_too(runs: Runs) -> None:
    for _ in range(3):
        runs.add("4", "correct")
    [first, *_] = sorted(runs.root.glob("*.jsonl*"))
    first.write_bytes(b"{}" + first.read_bytes())
    with pytest.raises(TraceError, match="damaged"):
        through([runs.root], "orca2")


def test_what_is_drawn_keeps_its_order_and_its_numbers() -> None:
    def one(number: int) -> Dialogue:
        return Dialogue((Turn({"role": "user", "content": str(number)}),), (str(number),))

    lots = [("even" if i % 2 == 0 else "odd", float((i * 7) % 10), one(i)) for i in range(10)]
    found = [int(item.runs[0]) for item in drawn(lots, lambda sides: {"even": 2, "odd": sides["odd"]})]
    assert found == [0, 1, 3, 5, 6, 7, 9]  # 0 and 6 drew 0 and 2, the lowest of the even ones
