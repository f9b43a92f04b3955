"""What guessing gets, and an accuracy above it."""

import pytest
from pydantic import JsonValue

from maieutic.stats import Interval, wilson
from maieutic.tasks.guessing import Guessing, above_chance, guessing, skill
from maieutic.tasks.task import AnswerType, Task


def asked(gold: JsonValue, answer_type: AnswerType = "text", **more: object) -> Task:
    return Task.model_validate({"question": "q", "gold": gold, "answer_type": answer_type, **more})


def test_guessing_counts_a_random_and_a_constant_answer() -> None:
    tasks = [asked("yes", "boolean", metadata={"chance": 0.5}) for _ in range(3)]
    tasks.append(asked("no", "boolean", metadata={"chance": 0.1}))
    found = guessing(tasks)
    assert (found.n, found.random, found.constant, found.best) == (4, 0.4, 0.75, 0.75)
    unknown = guessing([*tasks, asked("no")])
    assert unknown.random is None and unknown.best == 0.6


def test_the_answer_type_tells_a_chance_where_the_environment_does_not() -> None:
    assert guessing([asked(True, "boolean"), asked("no", "boolean")]).random == 0.5
    four, two = {"choices": ["a", "b", "c", "d"]}, {"choices": {"x": "one", "y": "two"}}
    assert guessing([asked("B", "choice", inputs=four), asked("Y", "choice", inputs=two)]).random == 0.375
    assert guessing([asked("B", "choice")]).random is None
    assert guessing([asked("yes", "boolean", metadata={"chance": None})]).random is None
    assert guessing([asked("yes", "boolean", verifier="exact")]).random is None


def test_answers_that_are_the_same_are_counted_as_one() -> None:
    golds: list[JsonValue] = [False, "no", "No.", True, True]
    assert guessing([asked(gold, "boolean") for gold in golds]).constant == 0.6
    assert guessing([asked(gold, "number") for gold in ("0", 0, "1", "1", "0.0")]).constant == 0.6


def test_without_an_answer_to_say_every_time_none_is_told() -> None:
    nothing = guessing([asked("7"), asked(None, verifier="exact")])
    assert (nothing.random, nothing.constant, nothing.best) == (None, None, None)
    assert not nothing.matters and nothing.in_words() == "unknown"
    assert guessing([asked({"tests": "assert f()"}, verifier="code")]).constant is None
    assert guessing([asked("SELECT 1", verifier="sql")]).constant is None
    assert guessing([asked(None, verifier="exact", metadata={"chance": 0.25})]).best == 0.25


def test_guessing_matters_where_it_gets_more_than_the_question_it_was_taken_from() -> None:
    assert guessing([asked("yes", "boolean")]).matters
    assert not guessing([asked(str(n), "number") for n in range(3)]).matters  # one of three, by its own gold answer
    assert not guessing([asked(str(max(n, 2)), "number") for n in range(12)]).matters  # three of twelve may be luck
    assert guessing([asked(str(n // 4), "number") for n in range(12)]).matters
    assert not Guessing(400, 0.04, 0.10).matters and Guessing(400, None, 0.15).matters and Guessing(9, 0.05, 0).matters


def test_accuracy_above_chance() -> None:
    assert above_chance(0.5, 0.5) == 0 and above_chance(1, 0.5) == 1 and above_chance(0.25, 0.5) == -0.5
    with pytest.raises(ValueError, match="chance"):
        above_chance(1, 1)


def test_the_ends_of_the_interval_go_to_the_same_scale() -> None:
    assert skill(Interval(0.75, 0.5, 1.0, 8), Guessing(8, 0.5, None)) == Interval(0.5, 0.0, 1.0, 8)
    accuracy = wilson(30, 80)
    found = skill(accuracy, Guessing(80, 0.25, 0.5))
    assert found is not None and (found.estimate, found.n) == (-0.25, 80)
    assert found.low == pytest.approx(2 * accuracy.low - 1) and found.high == pytest.approx(2 * accuracy.high - 1)
    assert skill(None, Guessing(8, 0.5, None)) is None and skill(accuracy, None) is None
    assert skill(accuracy, Guessing(8, None, None)) is None and skill(accuracy, Guessing(8, None, 1.0)) is None
