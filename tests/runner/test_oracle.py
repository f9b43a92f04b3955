"""The oracle: asked only where it is switched on, and never without leaving its mark."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph

from maieutic.cli import main
from maieutic.collector import collect
from maieutic.context import Context, Proposal
from maieutic.errors import TaskError, UserError
from maieutic.graphs.graph import Graph, GraphSettings, add_node
from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import Result, resume
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Outcome
from tests.conftest import Ask

GOLD = "4711.25"
TASK = Task(question="Which one?", gold=GOLD, answer_type="number")
OWN = '''"""A graph that asks the oracle."""
from langgraph.graph import END, START, StateGraph
from maieutic.context import Context, Proposal
from maieutic.graphs.graph import GraphSettings, add_node

class Settings(GraphSettings):
    pass

def build(settings):
    async def work(state, ctx):
        ctx.propose(Proposal(said := str(await ctx.verdict_of("1")), said))
        return {}
    graph = StateGraph(dict, context_schema=Context)
    add_node(graph, "work", work)
    graph.add_edge(START, "work")
    graph.add_edge("work", END)
    return graph
'''


def graph_of(work: Callable[[Context], Awaitable[None]]) -> Graph:
    def build(settings: GraphSettings) -> Any:
        async def node(state: Any, ctx: Context) -> dict[str, Any]:
            await work(ctx)
            return {}

        graph = StateGraph(dict, context_schema=Context)  # pyright: ignore[reportArgumentType]
        add_node(graph, "work", node)
        graph.add_edge(START, "work")
        graph.add_edge("work", END)
        return graph

    module = ModuleType("own", "An own graph.")
    module.Settings, module.build = GraphSettings, build  # type: ignore[attr-defined]
    return Graph.of("own", module, {})


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


def reachable(value: Any, seen: set[int]) -> list[str]:
    """Every text that can be reached from `value` by its fields and items."""
    if id(value) in seen:
        return []
    seen.add(id(value))
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    elif type(value).__module__.startswith("maieutic"):
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        parts = [*vars(value).values()] if hasattr(value, "__dict__") else []
        parts += [getattr(value, name) for name in slots if hasattr(value, name) and not name.startswith("__")]
    else:
        parts = []
    return [text for part in parts for text in reachable(part, seen)]


@pytest.mark.parametrize("look", ["verdict", "gold"])
async def test_without_the_switch_no_graph_sees_an_outcome_or_the_gold(ask: Ask, look: str) -> None:
    async def work(ctx: Context) -> None:
        ctx.propose(Proposal("1", "Answer: 1"))
        assert GOLD not in " ".join(reachable(ctx, set()))
        _ = await ctx.verdict_of("1") if look == "verdict" else ctx.gold

    with pytest.raises(UserError, match="start it with --oracle"):
        await ask(ScriptedModel("Answer: 1"), graph_of(work), task=TASK)


async def test_the_search_for_gold_finds_it_where_there_is_an_oracle(ask: Ask) -> None:
    async def work(ctx: Context) -> None:
        assert GOLD in " ".join(reachable(ctx, set()))

    await ask(ScriptedModel(""), graph_of(work), task=TASK, oracle=True)


async def test_a_verdict_is_an_outcome_and_marks_the_run_but_no_call(ask: Ask) -> None:
    said: list[Outcome] = []

    async def work(ctx: Context) -> None:
        said.extend([await ctx.verdict_of(a) for a in ("4711.25", "7", None, Proposal(None, "Answer: 9422.5/2"))])
        await ctx.sample("solver", ({"role": "user", "content": "?"},))
        ctx.propose(Proposal("7", "Answer: 7", "c1"))

    result = await ask(ScriptedModel("Answer: 7"), graph_of(work), task=TASK, oracle=True)
    run = recorded(result)
    assert said == [Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.CORRECT]
    assert (result.outcome, result.oracle, result.as_json()["oracle"], run.header.oracle) == ("wrong", True, True, True)
    assert [event.fields["outcome"] for event in run.events_of("verdict")] == said
    assert [call.gold_in_context for call in run.calls] == [False]
    with TraceReader(result.trace) as reader:
        (summary,) = reader.runs(oracle=True, outcome="wrong")  # a verdict on one answer is none on the run
    assert summary.run_id == result.run_id


async def test_calls_are_flagged_from_the_first_look_at_the_gold_on(ask: Ask) -> None:
    async def work(ctx: Context) -> None:
        await ctx.sample("solver", ({"role": "user", "content": "?"},))
        gold = ctx.gold
        async with ctx.fork("other") as branch:
            await branch.sample("solver", ({"role": "user", "content": f"Explain why it is {gold}."},))

    result = await ask(ScriptedModel("Answer: 7"), graph_of(work), task=TASK, oracle=True)
    assert [call.gold_in_context for call in recorded(result).calls] == [False, True]


@pytest.mark.parametrize("look", ["verdict", "gold"])
async def test_a_task_without_gold_has_no_oracle(ask: Ask, look: str) -> None:
    async def work(ctx: Context) -> None:
        _ = await ctx.verdict_of("1") if look == "verdict" else ctx.gold

    with pytest.raises(TaskError, match="gold answer"):
        await ask(ScriptedModel(""), graph_of(work), task="Which one?", oracle=True)


async def test_a_resumed_run_keeps_its_oracle(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN.replace("    async def work(state, ctx):\n", "    async def work(state, ctx):\n        CUT\n"))
    cut = "await ctx.sample('solver', ({'role': 'user', 'content': '?'},)); await __import__('asyncio').sleep(LONG)"
    path.write_text(path.read_text().replace("CUT", cut.replace("LONG", "60")))
    first = await _interrupted(path, tmp_path)
    path.write_text(path.read_text().replace("sleep(60)", "sleep(0)"))
    model = ScriptedModel("Answer: 1")
    result = await resume(first, traces=tmp_path, gold=GOLD, model=model)
    assert (result.answer, result.oracle, recorded(result).header.oracle) == ("wrong", True, True)


async def _interrupted(graph: Path, traces: Path) -> str:
    from maieutic.runner import open_runner

    async with open_runner(str(graph), model=ScriptedModel("Answer: 1"), traces=traces, oracle=True) as runner:
        running = runner.start(TASK, seed=0)
        async for event in running.events.subscribe():
            if event.kind == "call_finished":
                break
        running.stop()
        await running.result()
        return running.run_id


async def test_a_collection_with_an_oracle_is_another_one(tmp_path: Path) -> None:
    graph = tmp_path / "own.py"
    graph.write_text(OWN)
    out = tmp_path / "out"
    report = await collect([TASK], out=out, graph=str(graph), model=ScriptedModel(""), oracle=True)
    assert report.done == 1
    with TraceReader(out / "traces") as reader:
        assert [run.oracle for run in reader.runs()] == [True]
    with pytest.raises(UserError, match="oracle"):
        await collect([TASK], out=out, graph=str(graph), model=ScriptedModel(""))


@pytest.mark.parametrize("switch", [(), ("--oracle",)])
def test_the_command_has_the_switch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], switch: tuple[str, ...]
) -> None:
    graph = tmp_path / "own.py"
    graph.write_text(OWN)
    asked = ["ask", "1+1?", "--gold", "2", "--graph", str(graph), "--model", "in-box", "--traces", str(tmp_path / "t")]
    with pytest.raises(SystemExit) as ended:
        main([*asked, "--quiet", "--json", *switch])
    out, err = capsys.readouterr()
    if switch:
        assert (ended.value.code, json.loads(out)["answer"], json.loads(out)["oracle"]) == (0, "wrong", True)
    else:
        assert ended.value.code == 2 and "start it with --oracle" in err
