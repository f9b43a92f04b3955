"""Twenty questions: a guess is decided by rule, a win is worth less the longer it took, splits keep entities apart."""

import pytest

from maieutic.tasks.envs.entity_deduction import ENTITIES, names, score
from maieutic.tasks.source import load_tasks
from maieutic.tasks.split import split_of
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome


@pytest.mark.parametrize(("turns", "worth"), [(1, 1.0), (5, 1.0), (6, 0.98), (10, 0.9), (20, 0.7), (60, 0.0)])
def test_what_a_win_is_worth(turns: int, worth: float) -> None:
    assert score(turns) == pytest.approx(worth)
    task = Task(question="?", gold="bicycle|bike", verifier="entity_deduction")
    verdict = verify(task, f"Answer: Is it a bike? ({turns} turns)")
    assert (verdict.outcome, verdict.score) == (Outcome.CORRECT, pytest.approx(worth))


@pytest.mark.parametrize(
    ("text", "won"),
    [
        ("Is it a bicycle?", True),
        ("Is it a BIKE?", True),
        ("bicycles", True),
        ("Is it a motorbike?", False),
        ("Is it a bicyclette?", False),
        ("Is it a bicycle, a piano or a kettle?", False),  # naming everything is no guess
        ("Is it faster than a bicycle?", False),
        ("Is it something like a bike?", False),
        ("", False),
    ],
)
def test_what_is_a_guess(text: str, won: bool) -> None:
    assert names("bicycle|bike", text) is won


def test_names_that_hold_other_names_are_still_guesses() -> None:
    for of in ENTITIES.values():
        for entity in of:
            assert all(names(entity, f"Is it {name}?") for name in entity.split("|")), entity


def test_a_loss_is_wrong_and_not_unparsed() -> None:
    task = Task(question="?", gold="bat", verifier="entity_deduction")
    lost = verify(task, "Is it big?\n\nAnswer: nothing (20 turns)")
    assert (lost.outcome, lost.score) == (Outcome.WRONG, 0.0)


@pytest.mark.parametrize("kind", sorted(ENTITIES))
def test_no_entity_of_the_test_split_is_played_in_training(kind: str) -> None:
    played = {}
    for split in ("train", "test"):
        tasks = load_tasks(f"env:entity_deduction/{kind}?n=25&split={split}").tasks
        played[split] = {str(task.gold) for task in tasks}
        assert {split_of(gold.partition("|")[0]) for gold in played[split]} == {split}
    assert not played["train"] & played["test"]
