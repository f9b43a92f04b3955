"""What fared well on questions like this one, by trials that are kept."""

import json
from pathlib import Path

from maieutic.memory.outcomes import Outcomes, Record, Trial, records

LEGS = "How many legs do three cows and two hens have?"
ALIKE = "How many legs do five cows and one hen have?"


def trial(strategy: str, correct: bool | None, tokens: int = 10, question: str = LEGS, solver: str = "m") -> Trial:
    return Trial(question, strategy, correct, tokens, solver, "r1")


def test_trials_of_the_nearest_questions_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    Outcomes(path).add([trial("direct", False), trial("tool", True, 90), trial("tool", True, question="Who is it?")])
    near = Outcomes(path).near(ALIKE)
    assert {(t.strategy, t.correct) for t, _ in near} == {("direct", False), ("tool", True)}
    assert all(0.25 <= likeness <= 1 for _, likeness in near)
    assert Outcomes(path).near("Integrate x.") == []


def test_neighbours_are_questions_and_not_trials() -> None:
    outcomes = Outcomes()
    outcomes.add([trial("direct", True) for _ in range(20)])
    outcomes.add([trial("tool", True, question=ALIKE)])
    assert len(outcomes.near(LEGS, k=1)) == 20
    assert len(outcomes.near(LEGS, k=2)) == 21


def test_another_solvers_trials_say_nothing_of_this_one() -> None:
    outcomes = Outcomes()
    outcomes.add([trial("direct", True, solver="large"), trial("direct", False, solver="small")])
    assert [t.solver for t, _ in outcomes.near(LEGS, solver="small")] == ["small"]
    assert len(outcomes.near(LEGS)) == 2


def test_the_right_ones_lead_and_of_equals_the_cheaper() -> None:
    near = [(trial("a", True, 50), 1.0), (trial("b", True, 20), 1.0), (trial("c", False, 1), 1.0)]
    assert [r.strategy for r in records(near, ("a", "b", "c"))] == ["b", "a", "c"]


def test_likeness_weighs_and_what_nothing_judged_counts_for_nothing() -> None:
    near = [(trial("a", True, 10), 0.75), (trial("a", False, 30), 0.25), (trial("a", None, 9_999), 1.0)]
    assert records([*near, (trial("b", None), 1.0)], ("a", "b")) == [Record("a", 0.75, 2, 20.0)]


def test_lines_that_are_no_trials_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    Outcomes(path).add([trial("a", True)])
    with path.open("a") as file:
        file.write(json.dumps({"question": LEGS}) + "\n[1]\nnonsense\n")
    assert [t.strategy for t, _ in Outcomes(path).near(LEGS)] == ["a"]
