from random import Random

import pytest

from maieutic.in_box.evaluate import LEVELS
from maieutic.in_box.families import draw
from maieutic.llm.in_box.model import InBoxModel
from maieutic.llm.in_box.scope import REFUSAL, in_scope
from maieutic.types import Message, Request


def asked(text: str) -> tuple[Message, ...]:
    return ({"role": "system", "content": "Solve."}, {"role": "user", "content": text})


@pytest.mark.parametrize(
    "text",
    [
        "What is 47 + 38 - 12?",
        "12 * 7",
        "State the final answer to the following arithmetic problem: 4 + 3 - 5 =",
        "Solve the following multiplication: 6 * 18. Give only the result as your final answer.",
        "Your task is to count how many legs there are in total when given a list of animals.\n\n"
        "Now, how many legs are there in total if you have 9 dogs, 1 spider?\n",
        "What is 4 + 3?\n\nSolution:\n4 + 3 = 8\nAnswer: 8",
        "4 + 3\n\nYour solution:\nAnswer: 8\n\nOther solution:\nAnswer: 7",
    ],
)
def test_its_families_are_in_scope(text: str) -> None:
    assert in_scope(asked(text))


def test_every_level_up_to_six_terms_is_in_scope() -> None:
    rng = Random(0)
    for level in (level for level in LEVELS if level.size <= 6):  # the card also measures seven terms, to show the end
        for plain in (False, True):
            question = draw(level, "train", rng, plain=plain).question
            assert in_scope(asked(question)), question


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "What is 1234 + 77?",
        "hello",
        "What is 12 / 5?",
        "1.5 + 2.5",
        "What is 2 + 3 * 4?",
        "1 + 2 + 3 + 4 + 5 + 6 + 7",
        "What is the capital of France?\n\nSolution:\n4 + 3 = 7",
        "How many legs has a table?",
        "Write 4 + 3 in words",
        "",
    ],
)
async def test_everything_else_is_refused_without_asking_the_weights(text: str) -> None:
    model = InBoxModel()
    pieces: list[str] = []
    said = await model.sample(Request(asked(text)), lambda delta: pieces.append(delta.text))
    assert said.text == REFUSAL == "".join(pieces)
    assert (said.token_ids, said.weights, said.extra) == (None, None, {"out_of_scope": True})


async def test_the_question_of_a_conversation_is_its_last() -> None:
    earlier: tuple[Message, ...] = (*asked("What is love?"), {"role": "assistant", "content": REFUSAL})
    assert in_scope((*earlier, {"role": "user", "content": "4 + 3"}))
    assert not in_scope((*asked("4 + 3"), {"role": "user", "content": "And why?"}))
