import asyncio
import json
from pathlib import Path

import pytest

from maieutic.budget import Budget
from maieutic.errors import ConfigError, ModelError, UnknownName, UserError
from maieutic.graphs.registry import load_graph
from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import arun, open_runner, run, stream
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.types import Outcome, Request, Sampling
from tests.conftest import Ask

GOLD = "1234567"


def said(request: Request) -> str:
    return json.dumps(request.messages)


async def test_a_question_comes_back_answered_and_verified(ask: Ask) -> None:
    model = ScriptedModel("4 + 3 = 7\nAnswer: 7")
    result = await ask(model, task=Task(question="What is 4 + 3?", gold="7"))
    assert (result.answer, result.outcome, result.partial) == ("7", Outcome.CORRECT, False)
    assert result.usage.calls == 1
    assert result.usage.completion_tokens == len("4 + 3 = 7\nAnswer: 7") + 1
    assert set(result.as_json()) == {"answer", "outcome", "partial", "usage", "run_id", "trace"}


async def test_without_gold_there_is_no_outcome(ask: Ask) -> None:
    assert (await ask(ScriptedModel("Answer: 7"))).outcome is None


@pytest.mark.parametrize("graph", ["direct", "tool_loop", "self_consistency", "critique", "debate"])
async def test_no_model_ever_sees_the_gold_answer(ask: Ask, graph: str, tmp_path: Path) -> None:
    numbers = iter(range(1000))
    model = ScriptedModel(lambda request: f"First wrong step: 1\nChoice: 1\nAnswer: {next(numbers)}")
    await ask(model, graph, task=Task(question="What?", gold=GOLD, metadata={"worked": GOLD}))
    assert model.requests
    assert not [r for r in model.requests if GOLD in said(r)]


async def test_a_time_budget_returns_the_best_answer_so_far(ask: Ask) -> None:
    slow = asyncio.Event()

    async def script(request: Request) -> str:
        if "Check" in said(request) or "You check" in said(request):
            await slow.wait()
        return "Answer: 7"

    result = await ask(ScriptedModel(script), "critique", budget=Budget(seconds=0.2))
    assert (result.answer, result.partial) == ("7", True)
    assert result.reason == "The budget of 0.2 seconds is used up."
    assert result.usage.seconds < 2


async def test_a_token_budget_cuts_a_call_that_is_under_way(ask: Ask) -> None:
    model = ScriptedModel("word " * 200, latency=0.05)
    result = await ask(model, budget=Budget(tokens=100))
    assert result.partial
    assert "100 tokens" in result.reason
    assert 100 < result.usage.completion_tokens < 120
    assert result.text.startswith("word word")


async def test_stop_ends_a_run_with_its_best_answer(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return "Answer: 7"

    model = ScriptedModel(script, latency=0.2)
    async with open_runner("critique", model=model, traces=tmp_path) as runner:
        running = runner.start(Task(question="?"))
        async for event in running.events.subscribe():
            if event.kind == "answer":
                running.stop()
        result = await running.result()
    assert (result.answer, result.partial, result.reason) == ("7", True, "interrupted")


async def test_cancelling_from_outside_cancels_the_model_call(tmp_path: Path) -> None:
    model = ScriptedModel("Answer: 7", latency=30)
    async with open_runner("direct", model=model, traces=tmp_path) as runner:
        task = asyncio.create_task(runner.run(Task(question="?")))
        while not model.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert model.cancelled == 1


async def test_a_model_that_never_answers_is_an_error_and_a_recorded_one(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="down"):
        await ask(ScriptedModel(ModelError("The server is down.")))
    with TraceReader(tmp_path / "traces") as reader:
        [summary] = reader.runs()
        record = reader.run(summary.run_id)
    assert record.calls[0].error == "The server is down."
    assert record.finish is not None and record.finish.fields["partial"] is True


async def test_seeds_depend_on_run_and_branch_and_not_on_order(ask: Ask) -> None:
    async def seeds(delays: list[float]) -> list[int]:
        waits = iter(delays)

        async def script(request: Request) -> str:
            await asyncio.sleep(next(waits))
            return f"Answer: {request.sampling.seed}"

        model = ScriptedModel(script)
        await ask(model, "self_consistency", graph_settings={"samples": 4, "schedule": "all", "early_stop": False})
        return sorted(r.sampling.seed or 0 for r in model.requests)

    assert await seeds([0, 0.01, 0.02, 0.03]) == await seeds([0.03, 0.02, 0.01, 0])


async def test_what_the_run_asks_for_wins_over_the_agents_wish(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7")
    await ask(model, "self_consistency", sampling=Sampling(temperature=0.3, max_tokens=50))
    assert {(r.sampling.temperature, r.sampling.max_tokens) for r in model.requests} == {(0.3, 50)}


async def test_a_role_can_have_a_model_of_its_own(ask: Ask) -> None:
    critic = ScriptedModel("First wrong step: none", name="critic-model")
    solver = ScriptedModel("Answer: 7")
    await ask(solver, "critique", models={"critic": critic})
    assert (len(solver.requests), len(critic.requests)) == (1, 1)


async def test_events_tell_the_whole_story(tmp_path: Path) -> None:
    events = [e async for e in stream("?", model=ScriptedModel("Answer: 7"), traces=tmp_path)]
    kinds = [e.kind for e in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert "".join(e.data["text"] for e in events if e.kind == "delta") == "Answer: 7"
    assert events[-1].data["result"].answer == "7"


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"graph": "debat"}, UnknownName, "Did you mean 'debate'"),
        ({"graph": "./none.py"}, ConfigError, "There is no graph file none.py"),
        ({"graph_settings": {"sample": 3}, "graph": "self_consistency"}, ConfigError, "no setting .sample.. Its"),
        ({"tools": ["pyton"]}, UnknownName, "Did you mean 'python'"),
        ({"model": "nothing-like-it"}, UnknownName, "in-box"),
    ],
)
async def test_wrong_names_are_told_before_anything_is_written(
    options: dict[str, object], error: type[UserError], sentence: str, tmp_path: Path
) -> None:
    traces = tmp_path / "traces"
    options = {"model": ScriptedModel("x"), **options}
    with pytest.raises(error, match=sentence):
        await arun("?", traces=traces, **options)  # type: ignore[arg-type]
    assert not traces.exists()


async def test_an_empty_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The question is empty"):
        await arun("  ", model=ScriptedModel("x"), traces=tmp_path)


def test_run_works_without_a_loop_and_says_so_inside_one(tmp_path: Path) -> None:
    assert run("?", model=ScriptedModel("Answer: 7"), traces=tmp_path).answer == "7"

    async def inside() -> None:
        run("?", model=ScriptedModel("Answer: 7"), traces=tmp_path)

    with pytest.raises(UserError, match="await maieutic.arun"):
        asyncio.run(inside())


async def test_a_compiled_graph_serves_many_runs_at_once(tmp_path: Path) -> None:
    model = ScriptedModel("Answer: 7", latency=0.01)
    async with open_runner(load_graph("direct"), model=model, traces=tmp_path) as runner:
        results = await asyncio.gather(*(runner.run(Task(question=f"q{i}")) for i in range(20)))
    assert len({r.run_id for r in results}) == 20
    assert model.peak == 20
