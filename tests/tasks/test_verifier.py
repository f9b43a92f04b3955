from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import TaskError, UnknownName, UserError
from maieutic.tasks.task import ANSWER_TYPES, Task
from maieutic.tasks.verifier import Verifier, get_verifier, verifier, verifier_for, verify
from maieutic.types import Outcome, Verdict

CORRECT, WRONG, UNPARSED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED
FORMAT_ERROR, TOOL_ERROR = Outcome.FORMAT_ERROR, Outcome.TOOL_ERROR


@pytest.mark.parametrize(
    ("answer_type", "gold", "answer", "outcome"),
    [
        ("number", 5, "5.0", CORRECT),
        ("number", "5", "6", WRONG),
        ("number", 5, "five", FORMAT_ERROR),
        ("number", 5, "NaN", FORMAT_ERROR),
        ("number", 5, "2024-01-05", FORMAT_ERROR),
        ("number", 0.1, "1/10", CORRECT),
        ("number", "1234", "1,234", CORRECT),
        ("number", "-5", "\u22125", CORRECT),
        ("number", "50%", "1/2", CORRECT),
        ("number", "50%", "50", CORRECT),
        ("number", "0.5", "50%", CORRECT),
        ("number", "50", "50%", WRONG),
        ("number", "5 km", "5", CORRECT),
        ("number", "5 km", "5 m", WRONG),
        ("number", "5", "5 km", CORRECT),
        ("number", "5", "5M", FORMAT_ERROR),
        ("choice", "B", "(b)", CORRECT),
        ("choice", "B", "C) cat", WRONG),
        ("choice", "B", "both", FORMAT_ERROR),
        ("set", [1, 2], "{2, 1}", CORRECT),
        ("set", [1, 2], "{2}", WRONG),
        ("list", ["a", 2], "[a, 2]", CORRECT),
        ("list", ["a", 2], "[2, a]", WRONG),
        ("boolean", True, "yes", CORRECT),
        ("boolean", False, "yes", WRONG),
        ("boolean", False, "perhaps", FORMAT_ERROR),
        ("json", {"a": [1]}, '{"a": [1.0]}', CORRECT),
        ("json", '{"a": 1}', '{"a": 2}', WRONG),
        ("json", "plain", '"plain"', CORRECT),
        ("json", {}, "{", FORMAT_ERROR),
        ("formula", "(x+1)^2", "x^2+2x+1", CORRECT),
        ("formula", "(x+1)^2", "x^2+1", WRONG),
        ("formula", "x", "9**9**9**9", FORMAT_ERROR),
        ("text", "Paris", "paris.", CORRECT),
        ("text", "Paris", "Lyon", WRONG),
        ("auto", "12", "12.0", CORRECT),
        ("auto", "Paris", "12", WRONG),
    ],
)
def test_answers_by_type(answer_type: Any, gold: Any, answer: str, outcome: Outcome) -> None:
    verdict = verify(Task(question="q", gold=gold, answer_type=answer_type), f"Answer: {answer}")
    assert verdict.outcome is outcome
    assert verdict.score == {CORRECT: 1.0, WRONG: 0.0, FORMAT_ERROR: None}[outcome]
    assert verdict.answer == answer
    assert verdict.verifier == f"{answer_type}@1"


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_no_answer_is_unparsed_and_not_zero(answer_type: Any) -> None:
    task = Task(question="q", gold="1", answer_type=answer_type)
    for text in ("", "it is 1", r"\boxed{}", "<think>the gold is 1. Answer: 1</think>"):
        verdict = verify(task, text)
        assert (verdict.outcome, verdict.score, verdict.answer) == (UNPARSED, None, None)


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_an_over_long_answer_is_a_format_error(answer_type: Any) -> None:
    gold = "yes" if answer_type == "boolean" else "1"
    verdict = verify(Task(question="q", gold=gold, answer_type=answer_type), "Answer: " + "1" * 50_000)
    assert verdict.outcome is FORMAT_ERROR


def test_the_last_of_two_answers_counts() -> None:
    task = Task(question="q", gold=5, answer_type="number")
    assert verify(task, "Answer: 5\nAnswer: 6").outcome is WRONG
    assert verify(task, r"\boxed{6} no, \boxed{5}").outcome is CORRECT


def test_tolerance_only_where_asked() -> None:
    exactly = Task(question="q", gold="3.14159", answer_type="number")
    nearly = exactly.model_copy(update={"tolerance": 0.01})
    assert verify(exactly, "Answer: 3.14").outcome is WRONG
    assert verify(nearly, "Answer: 3.14").outcome is CORRECT
    assert verify(nearly, "Answer: 3.2").outcome is WRONG


@pytest.mark.parametrize("choices", [["red", "blue"], {"a": "red", "b": "blue"}])
def test_a_choice_may_be_named_by_its_text(choices: Any) -> None:
    by_letter = Task(question="q", inputs={"choices": choices}, gold="B", answer_type="choice")
    by_text = Task(question="q", inputs={"choices": choices}, gold="blue", answer_type="choice")
    for task in (by_letter, by_text):
        assert verify(task, "Answer: Blue").outcome is CORRECT
        assert verify(task, "Answer: (B) blue").outcome is CORRECT
        assert verify(task, "Answer: A").outcome is WRONG
        assert verify(task, "Answer: D").outcome is FORMAT_ERROR


def test_exact_text_keeps_case_and_punctuation() -> None:
    task = Task(question="q", gold="Yes.", verifier="exact")
    assert verify(task, "<answer>Yes.</answer>").outcome is CORRECT
    assert verify(task, "<answer>yes.</answer>").outcome is WRONG


def test_a_gold_that_is_not_of_its_type_is_a_user_error() -> None:
    with pytest.raises(TaskError, match="not of type number"):
        verify(Task(question="q", gold="many", answer_type="number"), "Answer: 1")
    with pytest.raises(TaskError, match="neither a gold answer nor a verifier"):
        verifier_for(Task(question="q"))
    with pytest.raises(TaskError, match="no gold answer"):
        verify(Task(question="q", verifier="number"), "Answer: 1")


@verifier("test-even", version="3")
def even(task: Task, answer: str) -> bool:
    return int(answer) % 2 == 0


@pytest.mark.parametrize(
    ("said", "outcome", "score"),
    [(True, CORRECT, 1.0), (0.25, WRONG, 0.25), (1.0, CORRECT, 1.0), (2.0, TOOL_ERROR, None),
     (float("nan"), TOOL_ERROR, None), (Verdict(Outcome.TIMEOUT, None, reason="slow"), Outcome.TIMEOUT, None)],
)  # fmt: skip
def test_what_an_own_check_may_say(said: Any, outcome: Outcome, score: float | None) -> None:
    verdict = Verifier("own", lambda task, answer: said).verify(Task(question="q"), "Answer: x")
    assert (verdict.outcome, verdict.score, verdict.answer, verdict.verifier) == (outcome, score, "x", "own@1")


def test_an_own_verifier_by_name_by_path_and_when_it_breaks() -> None:
    task = Task(question="q", verifier="test-even")
    assert verify(task, "Answer: 4").outcome is CORRECT
    assert verify(task, "Answer: 4").verifier == "test-even@3"
    broken = verify(task, "Answer: four")
    assert (broken.outcome, broken.score) == (TOOL_ERROR, None)
    assert "ValueError" in broken.reason
    assert get_verifier("operator:eq").check(1, 1) is True  # type: ignore[arg-type]


def test_an_installed_package_may_bring_a_verifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "long_answer.py").write_text("def check(task, answer):\n    return len(answer) > 3\n")
    (tmp_path / "long_answer-1.dist-info").mkdir()
    (tmp_path / "long_answer-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: long-answer\nVersion: 1\n"
    )
    (tmp_path / "long_answer-1.dist-info" / "entry_points.txt").write_text(
        "[maieutic.verifiers]\nlong = long_answer:check\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert verify(Task(question="q", verifier="long"), "Answer: four").outcome is CORRECT
    assert verify(Task(question="q", verifier="long"), "Answer: two").verifier == "long@1"


def test_unknown_verifiers_are_one_sentence() -> None:
    with pytest.raises(UnknownName, match=r"verifier named 'nunber'. Did you mean 'number'\? Known: .*exact.*rg"):
        get_verifier("nunber")
    with pytest.raises(UserError, match="can't be imported"):
        get_verifier("no_such_module:check")
    with pytest.raises(UserError, match="neither a Verifier nor a function"):
        get_verifier("string:digits")
