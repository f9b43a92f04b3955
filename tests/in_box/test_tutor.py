"""The tutor: questions are read back, every line is marked for what it is, and recipes get what they ask for."""

import random

import pytest

from maieutic.errors import ModelError
from maieutic.in_box.curriculum import FULL
from maieutic.in_box.drafts import wrong_solution
from maieutic.in_box.families import Problem, draw, work
from maieutic.in_box.marking import first_slip
from maieutic.in_box.reading import problem_of
from maieutic.in_box.tutor import answer, tutor
from maieutic.recipes.critique_data import CRITICISE, REFINE, verdict
from maieutic.recipes.lemma import FIX, INJECT, INJECTED, LOCATE, RESTART, TAXONOMY, located
from maieutic.tasks.extraction import extract
from maieutic.types import Request

pytest.importorskip("reasoning_gym")

LEVELS = sorted((level for level in FULL if level.family != "prices"), key=lambda level: level.name)
CHAIN = "State the final answer to the following arithmetic problem: 60 - 79 - 75 + 66 ="


def problems(count: int, plain: bool = False) -> list[Problem]:
    rng = random.Random(11)
    return [draw(level, "train", rng, plain=plain) for level in LEVELS for _ in range(count)]


def read(question: str) -> Problem:
    problem = problem_of(question)
    assert problem is not None
    return problem


@pytest.mark.parametrize("plain", [False, True])
def test_every_question_that_is_drawn_is_read_back(plain: bool) -> None:
    for problem in problems(20, plain):
        found = read(problem.question)
        assert (found.answer, work(found)) == (problem.answer, work(problem))


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "What is 3 / 4?",
        "Compute 2 * 3 * 4.",
        "Now, how many legs are there in total if you have 2 unicorns?",
        "12",
    ],
)
def test_other_questions_are_not_read(question: str) -> None:
    assert problem_of(question) is None


def test_right_solutions_have_no_slip_and_go_on_from_anywhere_to_their_own_end() -> None:
    for problem in problems(10):
        right = work(problem)
        assert first_slip(right, problem) is None
        for at in range(len(right)):
            slip = first_slip(right[:at], problem)
            assert slip is not None and (slip.line, list(slip.goes_on)) == (at + 1, right[at:])


def test_a_wrong_answer_never_has_a_clean_solution() -> None:
    rng = random.Random(5)
    for problem in problems(40):
        lines = wrong_solution(problem, rng)
        slip = first_slip(lines, problem)
        assert slip is not None and slip.kind in TAXONOMY
        assert lines[slip.line - 1 :] != list(slip.goes_on)
        assert slip.goes_on[-1] == f"Answer: {problem.answer}"


@pytest.mark.parametrize(
    ("lines", "line", "kind"),
    [
        (["60 - 70 = -10", "-10 - 9 = -18"], 2, "calculation"),
        (["60 - 70 = -10", "-20 - 9 = -29"], 2, "referencing previous step value"),
        (["60 + 70 = 130"], 1, "operator"),
        (["60 - 40 = 20"], 1, "referencing context value"),
        (["60 - 70 = -10", "-10 - 70 = -80", "Answer: -80"], 2, "missing step"),
        (["60 - 79 = -19", "-19 - 75 = -94", "Answer: -94"], 3, "missing step"),
        (["60 - 79 = -19", "-19 - 75 = -94", "-94 + 66 = -28", "-28 + 0 = -28"], 4, "adding irrelevant information"),
        (["60 - 79 = -19", "-19 - 75 = -94", "-94 + 66 = -28", "Answer: 28"], 4, "referencing previous step value"),
        (["60 - 79 = -19", "That is little."], 2, "adding irrelevant information"),
    ],
)
def test_the_first_wrong_line_is_named_with_its_kind(lines: list[str], line: int, kind: str) -> None:
    slip = first_slip(lines, read(CHAIN))
    assert slip is not None and (slip.line, slip.kind) == (line, kind)


def test_another_order_and_whole_numbers_are_no_errors() -> None:
    assert first_slip(["60 + 66 = 126", "126 - 75 = 51", "51 - 79 = -28", "Answer: -28"], read(CHAIN)) is None


def test_a_right_answer_by_false_steps_is_seen() -> None:
    lines = ["28 + 10 = 38", "38 + 3 = 42", "42 - 1 = 40", "Answer: 40"]
    slip = first_slip(lines, read("28 + 13 - 1 ="))
    assert slip is not None and (slip.line, slip.kind) == (2, "calculation")


def test_a_wrong_number_of_legs_is_another_error_than_a_wrong_product() -> None:
    problem = read("Now, how many legs are there in total if you have 6 lobsters, 2 ants?")
    for line, kind in (("6 lobsters: 6 * 8 = 48", "confusing concept"), ("6 lobsters: 6 * 10 = 66", "calculation")):
        slip = first_slip([line], problem)
        assert slip is not None and slip.kind == kind


def numbered(lines: list[str]) -> str:
    return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))


def test_it_says_what_lemma_asks() -> None:
    rng = random.Random(2)
    for problem in problems(5):
        lines = wrong_solution(problem, rng)
        if lines[-1] == work(problem)[-1]:
            continue
        asked = LOCATE.format(kinds=", ".join(TAXONOMY), question=problem.question, solution=numbered(lines))
        place = located(extract(answer(asked), "text"), len(lines))
        assert place is not None and place[1] in TAXONOMY
        beginning = "\n".join(lines[: place[0]])
        fixed = answer(FIX.format(question=problem.question, beginning=beginning))
        assert [*lines[: place[0] - 1], *fixed.splitlines()[1:]][-1] == f"Answer: {problem.answer}"
        assert first_slip([*lines[: place[0] - 1], *fixed.splitlines()[1:]], problem) is None
        assert answer(RESTART.format(question=problem.question, beginning=beginning)).splitlines() == work(problem)


@pytest.mark.parametrize("kind", INJECTED)
def test_an_injected_error_makes_the_answer_wrong_and_another_seed_another_error(kind: str) -> None:
    said: list[str] = []
    for problem in problems(3):
        asked = INJECT.format(kind=kind, question=problem.question, solution="\n".join(work(problem)))
        said = [answer(asked, seed) for seed in range(8)]
        assert all(one.splitlines()[-1].startswith("Answer: ") for one in said)
        assert all(one.splitlines()[-1] != f"Answer: {problem.answer}" for one in said)
        assert said == [answer(asked, seed) for seed in range(8)]
    assert len(set(said)) > 1


def test_it_says_what_critique_data_asks() -> None:
    rng = random.Random(3)
    for problem in problems(5):
        for lines in (wrong_solution(problem, rng), work(problem)):
            critique = answer(CRITICISE.format(question=problem.question, solution=numbered(lines)))
            slip = first_slip(lines, problem)
            assert verdict(extract(critique, "text")) == (slip.line if slip else 0)
            refined = answer(REFINE.format(question=problem.question, solution="\n".join(lines), critique=critique))
            assert refined.splitlines() == work(problem)


async def test_it_is_a_model_that_works_questions_out_and_refuses_what_it_does_not_know() -> None:
    model = tutor()
    said = await model.sample(Request(({"role": "user", "content": CHAIN},)))
    assert said.text.splitlines() == work(read(CHAIN)) and said.token_ids
    with pytest.raises(ModelError, match="it knows sums, products and leg counting"):
        await model.sample(Request(({"role": "user", "content": "Who was Ada Lovelace?"},)))
