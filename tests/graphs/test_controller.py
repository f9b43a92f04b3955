"""A controller plans, another model works, and what went wrong goes back, without the gold answer."""

import pytest

from maieutic.errors import ModelError, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.runner import Result
from maieutic.tasks.task import Task
from maieutic.tools.tool import tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from tests.conftest import Ask

CHECK = "You check"
PLAN = "1. What is 4?\n2. What is 4 + 3?"


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    if a > 100:
        raise ValueError("a is too large")
    return a + b


async def test_the_controller_plans_and_the_worker_is_another_model(ask: Ask) -> None:
    controller, worker = ScriptedModel(PLAN, name="small"), ScriptedModel("Answer: 7", name="large")
    result = await ask(controller, "controller", models={"worker": worker})
    assert (result.answer, len(controller.requests), len(worker.requests)) == ("7", 1, 1)
    shown = str(worker.requests[0].messages[1]["content"])
    assert PLAN in shown and "What is 4 + 3?" in shown
    run = recorded(result)
    assert [(call.model, call.role) for call in run.calls] == [("small", "controller"), ("large", "worker")]
    (label,) = run.events_of("label")
    assert (label.fields["of"], label.fields["value"]) == ("c1", True)


async def test_what_failed_goes_back_to_the_controller(ask: Ask) -> None:
    controller = ScriptedModel([PLAN, "1. Add 4 and 3."])
    worker = ScriptedModel([call_tool("add", a=101, b=1), "Answer: 8", call_tool("add", a=4, b=3), "Answer: 7"])
    result = await ask(controller, "controller", models={"worker": worker}, tools=[add])
    assert (result.answer, len(controller.requests)) == ("7", 2)
    again = str(controller.requests[1].messages[1]["content"])
    assert PLAN in again and "a is too large" in again and "The last call of add failed" in again
    assert [event.fields["value"] for event in recorded(result).events_of("label")] == [False, True]


async def test_where_the_first_plan_fails_the_worker_works_without_one(ask: Ask) -> None:
    controller, worker = ScriptedModel(ModelError("gone")), ScriptedModel("Answer: 7")
    result = await ask(controller, "controller", models={"worker": worker})
    assert (result.answer, result.partial) == ("7", False)
    assert str(worker.requests[0].messages[1]["content"]).endswith("Plan:\nnone")
    run = recorded(result)
    assert [event.fields["error"] for event in run.events_of("error")] == ["ModelError: gone"]
    assert [(call.role, call.parents) for call in run.calls] == [("controller", ()), ("worker", ())]
    assert not run.events_of("label")


async def test_after_a_plan_that_failed_and_work_that_failed_a_plan_is_asked_for_anew(ask: Ask) -> None:
    controller = ScriptedModel([ModelError("gone"), PLAN])
    worker = ScriptedModel(["I can't.", "Answer: 7"])
    result = await ask(controller, "controller", models={"worker": worker})
    assert (result.answer, result.partial, len(controller.requests)) == ("7", False, 2)
    assert PLAN in str(worker.requests[1].messages[1]["content"])


async def test_turns_bound_the_loop(ask: Ask) -> None:
    controller, worker = ScriptedModel(PLAN), ScriptedModel("I can't.")
    result = await ask(controller, "controller", models={"worker": worker}, graph_settings={"turns": 4})
    assert (result.answer, len(controller.requests), len(worker.requests)) == (None, 4, 4)
    assert result.text == "I can't."


async def test_a_layout_that_can_not_be_read_is_missing(ask: Ask) -> None:
    controller, worker = ScriptedModel("Just solve it."), ScriptedModel("Answer: 7")
    result = await ask(controller, "controller", models={"worker": worker})
    assert (result.answer, len(controller.requests)) == ("7", 2)
    assert str(worker.requests[0].messages[1]["content"]).endswith("Plan:\nnone")


async def test_a_missing_verdict_ends_the_loop_as_neither(ask: Ask) -> None:
    model = ScriptedModel({"You direct": PLAN, "carrying out the plan": "Answer: 7", CHECK: "Hmm."})
    result = await ask(model, "controller", graph_settings={"feedback": "judge"})
    assert (result.answer, len(model.requests)) == ("7", 3)
    assert recorded(result).events_of("label")[0].fields["value"] is None


async def test_the_gold_is_asked_only_with_the_switch(ask: Ask) -> None:
    task = Task(question="Which number?", gold="7", answer_type="number")
    options = {"task": task, "models": {"worker": ScriptedModel("Answer: 8")}, "graph_settings": {"feedback": "oracle"}}
    with pytest.raises(UserError, match="--oracle"):
        await ask(ScriptedModel(PLAN), "controller", **options)
    controller = ScriptedModel(PLAN)
    result = await ask(controller, "controller", **options, oracle=True)
    assert (result.outcome, result.oracle, len(controller.requests)) == ("wrong", True, 3)


async def test_a_later_turn_that_fails_leaves_the_answer_there_was(ask: Ask) -> None:
    controller, worker = ScriptedModel(PLAN), ScriptedModel([call_tool("add", a=101, b=1), "Answer: 8"])
    result = await ask(controller, "controller", models={"worker": worker}, tools=[add])
    assert (result.answer, result.partial) == ("8", True)
