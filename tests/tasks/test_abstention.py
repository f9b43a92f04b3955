import pytest

from maieutic.tasks.abstention import ABSTENTION, abstains
from maieutic.tasks.extraction import extract
from maieutic.tasks.task import ANSWER_TYPES, Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome


@pytest.mark.parametrize(
    "answer",
    [ABSTENTION, "I don’t know.", "**I do not know**", "IDK", "don't know", "I really don't know the correct answer."],
)
def test_what_says_that_it_does_not_know_abstains(answer: str) -> None:
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [None, "", "unknown", "not enough information", "I don't know, perhaps 7", "7", "No", "I know", "know"],
)
def test_anything_else_is_an_answer_or_missing(answer: str | None) -> None:
    assert not abstains(answer)


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
@pytest.mark.parametrize("text", ["Answer: I don't know", r"\boxed{I don't know}", "It is too hard.\nI don't know."])
def test_an_abstention_is_neither_right_nor_wrong(answer_type: str, text: str) -> None:
    task = Task.model_validate({"question": "q", "gold": "1", "answer_type": answer_type})
    verdict = verify(task, text)
    assert (verdict.outcome, verdict.score) == (Outcome.ABSTAINED, None)


def test_an_abstention_that_is_asked_for_is_right() -> None:
    task = Task(question="Say that you don't know.", gold="I don't know", answer_type="text")
    assert verify(task, "Answer: I do not know").outcome is not Outcome.ABSTAINED
    assert verify(task, "Answer: I don't know").outcome is Outcome.CORRECT


def test_a_later_answer_and_a_thought_are_not_abstentions() -> None:
    assert extract("I don't know.\nAnswer: 7") == "7"
    assert extract("<think>I don't know.</think>It is seven.") is None
    assert extract("I don't know yet. Let me see.") is None
