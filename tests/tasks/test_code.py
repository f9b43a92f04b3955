"""The verifier `code`: programs judged by their tests, run where they can do no harm."""

import asyncio

import pytest

from maieutic.errors import TaskError
from maieutic.tasks.code import checks_of, parses, run_cells, unfenced
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import get_verifier, verify
from maieutic.tools.sandbox.tier import Limits, NoSandbox, ensure_sandbox
from maieutic.types import Outcome

RIGHT = "def double(n):\n    return 2 * n"
TESTS = "assert double(2) == 4\nassert double(-1) == -2"


@pytest.fixture(autouse=True)
async def sandbox() -> None:
    try:
        await ensure_sandbox()
    except NoSandbox as error:
        pytest.skip(f"no sandbox works here, so the verifier code is NOT checked: {error}")


def judged(program: str, tests: object = TESTS) -> tuple[Outcome, float | None]:
    task = Task(question="Write double.", gold={"tests": tests}, verifier="code")  # type: ignore[dict-item]
    verdict = verify(task, f"It doubles.\n\nAnswer:\n```python\n{program}\n```")
    return verdict.outcome, verdict.score


@pytest.mark.parametrize(
    ("program", "outcome", "score"),
    [
        (RIGHT, Outcome.CORRECT, 1.0),
        (RIGHT.replace("2 *", "3 *"), Outcome.WRONG, 0.0),
        ("def doubled(n):\n    return 2 * n", Outcome.WRONG, 0.0),
        ("raise ValueError('no')", Outcome.WRONG, 0.0),
        ("import os\nos._exit(0)", Outcome.WRONG, 0.0),
        ("raise SystemExit(0)", Outcome.WRONG, 0.0),
        (RIGHT.replace("return", "raise SystemExit(0) if n else"), Outcome.WRONG, 0.0),
        ("def double(n) return 2 * n", Outcome.FORMAT_ERROR, None),
        ("# nothing", Outcome.FORMAT_ERROR, None),
    ],
)
async def test_a_program_is_judged_by_its_tests(program: str, outcome: Outcome, score: float | None) -> None:
    assert judged(program) == (outcome, score)


async def test_the_score_is_the_share_of_tests_that_pass() -> None:
    tests = ["assert double(2) == 4", "assert double(0) == 0", "assert double('a') == 'b'", "assert double(1) == 3"]
    assert judged(RIGHT, tests) == (Outcome.WRONG, 0.5)
    assert judged(RIGHT, tests[:2]) == (Outcome.CORRECT, 1.0)


@pytest.mark.slow
async def test_a_program_that_does_not_end_is_not_scored() -> None:
    assert judged("def double(n):\n    while True: pass") == (Outcome.TIMEOUT, None)


async def test_what_a_cell_may_use_is_limited() -> None:
    (one,) = run_cells(["while True: pass"], Limits(seconds=0.2))
    assert one.exit in ("timeout", "killed")


async def test_it_may_be_asked_from_within_an_event_loop() -> None:
    assert await asyncio.to_thread(judged, RIGHT) == (Outcome.CORRECT, 1.0)


async def test_no_explicit_answer_is_unparsed() -> None:
    task = Task(question="Write double.", gold={"tests": TESTS}, verifier="code")
    assert verify(task, f"```python\n{RIGHT}\n```").outcome is Outcome.UNPARSED
    assert get_verifier("code").judge(task, RIGHT).outcome is Outcome.CORRECT


def test_tests_come_from_the_gold_answer_before_the_inputs() -> None:
    both = Task(question="?", gold=TESTS, inputs={"tests": ["assert True"]}, verifier="code")
    assert checks_of(both) == [TESTS]
    assert checks_of(both.model_copy(update={"gold": None})) == ["assert True"]


@pytest.mark.parametrize("gold", [None, [], "def (", {"tests": 3}, {"no": "tests"}, ["assert True", 3]])
def test_tests_that_can_not_be_run_are_the_tasks_mistake(gold: object) -> None:
    with pytest.raises(TaskError, match="has no tests that Python can read"):
        checks_of(Task(question="?", gold=gold, verifier="code"))  # type: ignore[arg-type]


def test_what_is_a_program() -> None:
    assert unfenced(f"```python\n{RIGHT}\n```") == RIGHT and parses(RIGHT)
    assert not parses("1 +") and not parses("") and not parses("x = " + "(" * 5000) and not parses("a\0b")
