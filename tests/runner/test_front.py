"""Asking from Python: what is refused, what is closed, and that nothing goes on behind the caller's back."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from maieutic.budget import Budget
from maieutic.errors import ConfigError, TraceError, UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import arun, open_runner, stream
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.types import Outcome, Sampling
from tests.conftest import Ask


async def test_leaving_a_stream_early_cancels_the_run_and_records_it(tmp_path: Path) -> None:
    model = ScriptedModel("Answer: 7 " * 20, latency=30)
    async with aclosing(stream("?", model=model, traces=tmp_path)) as events:
        async for event in events:
            if event.kind == "call_started":
                await asyncio.sleep(0.05)
                break
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert model.cancelled == 1
    with TraceReader(tmp_path) as reader:
        (run,) = reader.runs()
        (call,) = reader.run(run.run_id).calls
    assert (run.partial, call.cancelled) == (True, True)


async def test_a_run_that_nobody_awaits_ends_with_its_runner(tmp_path: Path) -> None:
    model = ScriptedModel("Answer: 7", latency=30)
    async with open_runner("direct", model=model, traces=tmp_path) as runner:
        runner.start(Task(question="?"))
        while not model.requests:
            await asyncio.sleep(0.01)
    assert model.cancelled == 1


async def test_a_model_given_as_an_object_stays_open(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7", latency=0.01)
    await asyncio.gather(*(ask(model) for _ in range(3)))
    assert not model.closed


async def test_who_listens_after_the_end_hears_nothing(tmp_path: Path) -> None:
    async with open_runner("direct", model=ScriptedModel("Answer: 7"), traces=tmp_path) as runner:
        running = runner.start(Task(question="?"))
        await running.result()
        async with asyncio.timeout(60):
            assert [event async for event in running.events.subscribe()] == []


async def test_events_end_where_a_run_can_not_be_recorded(tmp_path: Path) -> None:
    async with open_runner("direct", model=ScriptedModel("Answer: 7"), traces=tmp_path) as runner:
        runner.store.close()
        running = runner.start(Task(question="?"))
        async with asyncio.timeout(60):
            assert [event async for event in running.events.subscribe()] == []
        with pytest.raises(TraceError):
            await running.result()


async def test_a_call_that_was_not_made_was_not_started(tmp_path: Path) -> None:
    model = ScriptedModel("Answer: 7")
    events = [e.kind async for e in stream("?", "critique", model=model, budget=Budget(calls=1), traces=tmp_path)]
    assert (events.count("call_started"), events.count("call_finished")) == (1, 1)


async def test_an_empty_reply_is_unparsed_and_no_time_out(ask: Ask) -> None:
    assert (await ask(ScriptedModel(""), task=Task(question="?", gold="7"))).outcome == Outcome.UNPARSED


async def test_a_run_can_go_without_log_probabilities(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7")
    await ask(model, sampling=Sampling(logprobs=False))
    assert not model.requests[0].sampling.logprobs


async def test_a_seed_for_sampling_still_gives_samples_side_by_side_their_own(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7")
    for _ in range(2):
        await ask(model, "self_consistency", sampling=Sampling(seed=5), graph_settings={"samples": 4}, seed=None)
    seeds = [request.sampling.seed for request in model.requests]
    assert seeds[:2] == seeds[2:] and len(set(seeds)) == 2


async def test_a_budget_of_cost_needs_a_price(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the price of vllm/m"):
        await arun("?", model="vllm/m@http://127.0.0.1:9/v1", budget=Budget(cost=1), traces=tmp_path / "traces")
    assert not (tmp_path / "traces").exists()


async def test_a_mistyped_role_is_named_with_the_roles_there_are(ask: Ask) -> None:
    with pytest.raises(UserError, match="no role named 'critik'. Did you mean 'critic'. Known: "):
        await ask(ScriptedModel("Answer: 7"), "critique", models={"critik": ScriptedModel("fine")})


async def test_an_own_graph_and_an_own_agent_have_the_roles_they_have(ask: Ask, tmp_path: Path) -> None:
    graph = tmp_path / "own.py"
    graph.write_text((Path(__file__).parents[2] / "graphs" / "direct.py").read_text())
    result = await ask(ScriptedModel("Answer: 7"), str(graph), models={"planner": ScriptedModel("fine")})
    assert result.answer == "7"
    own = {"critic": "maieutic.agents.critic:Critic"}
    result = await ask(ScriptedModel("Answer: 7"), "critique", graph_settings=own, models={"mine": ScriptedModel("")})
    assert result.text
    own = {"stages": [{"solver": "maieutic.agents.solver:Solver"}]}  # wherever in the settings it is named
    result = await ask(ScriptedModel("Answer: 7"), "cascade", graph_settings=own, models={"mine": ScriptedModel("")})
    assert result.text
