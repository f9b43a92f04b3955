"""A program with tests of its own: run, repaired after a failure, and never passed by tests that were not run."""

from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.programmer import read_program
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.tools.sandbox.tier import NoSandbox, ensure_sandbox
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from tests.conftest import Ask

TESTS = "assert double(2) == 4"
RIGHT = "def double(n):\n    return 2 * n"
WRONG = "def double(n):\n    return 3 * n"
TASK = Task(question="Write double.", gold={"tests": "assert double(-3) == -6"}, verifier="code", answer_type="text")


@pytest.fixture(autouse=True)
async def sandbox() -> None:
    try:
        await ensure_sandbox()
    except NoSandbox as error:
        pytest.skip(f"no sandbox works here, so code_and_tests is NOT checked: {error}")


def form(code: str, tests: str | None = TESTS) -> str:
    told = "" if tests is None else f"<tests>\n```python\n{tests}\n```\n</tests>"
    return f"I think.\n<code>\n```python\n{code}\n```\n</code>\n{told}"


async def play(ask: Ask, script: Any, **settings: Any) -> tuple[Any, ScriptedModel]:
    model = ScriptedModel(script)
    return await ask(model, "code_and_tests", TASK, tools=["python"], graph_settings=settings), model


def the_run(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        (summary,) = reader.runs()
        return reader.run(summary.run_id)


async def test_what_passes_at_once_is_submitted(ask: Ask) -> None:
    result, model = await play(ask, [form(RIGHT)])
    assert (result.answer, result.verdict.outcome, len(model.requests)) == (RIGHT, "correct", 1)


async def test_the_traceback_goes_back_and_the_repair_is_submitted(ask: Ask, tmp_path: Path) -> None:
    result, model = await play(ask, [form(WRONG), form(RIGHT)])
    assert (result.answer, result.verdict.outcome) == (RIGHT, "correct")
    told = str(model.requests[1].messages[-1]["content"])
    assert "AssertionError" in told and "assert double(2) == 4" in told
    run = the_run(tmp_path)
    assert [event.fields["value"] for event in run.events_of("label")] == [False, True]
    assert [event.fields["decision"] for event in run.events_of("gate")] == ["failed", "passed"]
    assert [parent.type for parent in run.calls[1].parents] == ["reflection"]


async def test_the_rounds_are_bounded_and_the_last_version_is_submitted(ask: Ask) -> None:
    versions = [f"{WRONG}  # {n}" for n in range(9)]
    result, model = await play(ask, [form(version) for version in versions], rounds=3)
    assert (result.answer, len(model.requests)) == (versions[2], 3)


async def test_five_rounds_at_most(ask: Ask) -> None:
    _, model = await play(ask, form(WRONG))
    assert len(model.requests) == 5


async def test_frozen_tests_can_not_be_made_to_agree_with_a_wrong_program(ask: Ask) -> None:
    cheat = form(WRONG, "assert double(2) == 6")
    result, model = await play(ask, [form(WRONG), cheat], freeze_tests=False)
    assert result.verdict.outcome == "wrong" and len(model.requests) == 2
    result, model = await play(ask, [form(WRONG), cheat, form(RIGHT, None)], freeze_tests=True)
    assert (result.verdict.outcome, len(model.requests)) == ("correct", 3)
    assert "The tests stay as they are" in str(model.requests[1].messages[-1]["content"])


async def test_tests_that_are_left_before_their_end_have_not_passed(ask: Ask, tmp_path: Path) -> None:
    leaves = f"{WRONG}\nraise SystemExit(0)"
    result, model = await play(ask, [form(leaves), form(RIGHT)])
    assert result.answer == RIGHT
    assert "left before their end" in str(model.requests[1].messages[-1]["content"])


async def test_nothing_of_an_earlier_version_is_left(ask: Ask) -> None:
    """The second version forgets the function that the first one had: the tests must not find it."""
    forgets = "def doubled(n):\n    return 2 * n"
    result, model = await play(ask, [form(RIGHT, TESTS + "\nassert False"), form(forgets), form(RIGHT)])
    assert "NameError" in str(model.requests[2].messages[-1]["content"]) and result.answer == RIGHT


async def test_a_repair_that_can_not_be_read_leaves_the_version_before_it(ask: Ask) -> None:
    result, model = await play(ask, [form(WRONG), "I give up.", "Really."])
    assert (result.answer, len(model.requests)) == (WRONG, 3)


async def test_without_a_readable_program_there_is_no_answer(ask: Ask) -> None:
    result, model = await play(ask, ["Hm.", "Hm."])
    assert (result.answer, result.verdict.outcome, len(model.requests)) == (None, "unparsed", 2)


@pytest.mark.parametrize(
    "text", ["", form("def ("), form(RIGHT, "def ("), form(RIGHT, "print(double(2))"), form(RIGHT, "")]
)
def test_what_can_not_be_read_is_missing(text: str) -> None:
    assert read_program(text) is None


def test_the_last_program_counts() -> None:
    assert read_program(form(WRONG) + form(RIGHT)) == (RIGHT, TESTS)
    assert read_program(form(RIGHT, None), TESTS) == (RIGHT, TESTS)
