"""The front door for a single question, and for opening a `Runner`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maieutic.agents.registry import agent_names
from maieutic.budget import Budget
from maieutic.errors import ConfigError, TaskError, UnknownName, UserError
from maieutic.events import Event
from maieutic.graphs.graph import Graph
from maieutic.graphs.registry import SHIPPED, load_graph
from maieutic.llm.model import Model
from maieutic.llm.profile import Profile
from maieutic.llm.registry import Resolved, resolve_model
from maieutic.runner.heap import modules_set_aside
from maieutic.runner.result import Result
from maieutic.runner.runner import Runner
from maieutic.settings import Settings, load_settings
from maieutic.tasks.task import Task
from maieutic.tools.approval import ALL, Approver
from maieutic.tools.opening import open_tools
from maieutic.tools.options import ToolOptions
from maieutic.tools.tool import Tool
from maieutic.tools.toolset import Toolset
from maieutic.trace.writer import TraceStore
from maieutic.types import Sampling


@asynccontextmanager
async def open_runner(
    graph: str | Graph = "direct",
    *,
    model: str | Model | None = None,
    models: Mapping[str, str | Model] | None = None,
    tools: Iterable[str | Tool | Toolset] = (),
    settings: Settings | None = None,
    graph_settings: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
    sampling: Sampling = Sampling(),
    traces: Path | None = None,
    sandbox: str | None = None,
    unsafe_local: bool = False,
    approve: Iterable[str] = (),
    approver: Approver | None = None,
    oracle: bool = False,
) -> AsyncIterator[Runner]:
    """A `Runner` with its models, toolsets and trace store opened, and closed at the end of the block.

    `models` gives single roles a model of their own, over those that the graph's settings name; a shipped graph knows
    which roles there are. Models given by name are closed at the end, those given as objects are left open. `sandbox`
    demands one isolation of model-written code by its name; `unsafe_local` does without any, so that such code may do
    whatever the user may.

    Before a call of a tool that `approve` names (`all` is every tool), `approver` is asked; without one, or where it
    says None, the run ends partial, and can be resumed. With `oracle` a graph may ask for the outcome of an answer and
    for the gold answer, and every run is marked for it. Runs still under way at the end are cancelled. Raises UserError
    for any name or setting that is wrong, before anything is written.
    """
    settings = settings or load_settings()
    compiled = graph if isinstance(graph, Graph) else load_graph(graph, graph_settings)
    tools, approve = tuple(tools), (approve,) if isinstance(approve, str) else tuple(approve)
    asked = _asked(graph, model or settings.model, models or {}, tools, sampling, approve, sandbox, oracle)
    if settings.prompts_dir is not None and not settings.prompts_dir.is_dir():
        raise ConfigError(f"There is no prompts directory {settings.prompts_dir}: create it, or change prompts_dir.")
    demanded = sandbox or (None if unsafe_local else settings.sandbox)
    demands = ToolOptions(demanded, unsafe_local, web=settings.web, mcp=settings.mcp)
    async with open_tools(tools, demands) as toolbox:
        compiled.refuse_without(toolbox)
        first = _approved_first(approve, settings, toolbox)
        _refuse_unknown_roles(compiled, models or {})
        cast = {role: name for role, name in compiled.cast.items() if name is not None}
        wanted = {"": model or settings.model, **cast, **(models or {})}
        opened = {name: resolve_model(name, settings) for name in wanted.values() if isinstance(name, str)}
        resolved = {role: _resolved(m, opened) for role, m in wanted.items()}
        if budget is not None and budget.cost is not None:
            _refuse_unpriced(resolved.values())
        store = TraceStore(traces or settings.traces_dir)
        runner = Runner(
            compiled,
            resolved,
            store,
            toolbox,
            sampling,
            budget,
            (settings.prompts_dir,) if settings.prompts_dir else (),
            approve=first,
            approver=approver,
            asked=asked,
            oracle=oracle,
        )
        try:
            with modules_set_aside():
                yield runner
        finally:
            await runner.close()
            try:
                store.close()
            finally:
                await asyncio.gather(*(one.model.close() for one in opened.values()))


def _refuse_unknown_roles(graph: Graph, roles: Iterable[str]) -> None:
    """A model for a role that nobody plays would never be asked. What roles an own graph or agent has isn't known."""
    named = set(_texts(graph.settings.model_dump()))
    own_agent = any(":" in value for value in named)
    if graph.name not in SHIPPED or own_agent:
        return
    known = [*agent_names(), *graph.cast]
    for role in roles:
        if role not in known and role not in named:  # some graphs name a role that is no agent of its own
            raise UnknownName("role", role, known)


def _texts(value: Any) -> Iterator[str]:
    """Every text among a setting's values, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | Sequence):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def _asked(
    graph: str | Graph,
    model: str | Model,
    models: Mapping[str, str | Model],
    tools: tuple[Any, ...],
    sampling: Sampling,
    approve: tuple[str, ...],
    sandbox: str | None,
    oracle: bool,
) -> dict[str, Any]:
    """What was asked for, as far as it has a name: for a later start that goes on with it."""
    return {
        "graph": graph if isinstance(graph, str) else graph.name,
        "model": model if isinstance(model, str) else None,
        "models": {role: one for role, one in models.items() if isinstance(one, str)},
        "tools": list(tools) if all(isinstance(one, str) for one in tools) else None,
        "sampling": asdict(sampling),
        "approve": list(approve),
        "sandbox": sandbox,
        "oracle": oracle,
    }


def _approved_first(approve: tuple[str, ...], settings: Settings, tools: Mapping[str, Tool]) -> frozenset[str]:
    """Which tools wait for approval. What the user's settings name need not be among this run's tools."""
    for name in approve:
        if name not in tools and name != ALL:
            raise UnknownName("tool of this run", name, [*tools, ALL])
    return frozenset((*approve, *settings.approve))


def _refuse_unpriced(models: Iterable[Resolved]) -> None:
    """A server does not say what a call costs: without a price the budget would never run out."""
    for one in models:
        if one.profile.kind in ("vllm", "openai-compatible") and one.profile.price is None:
            raise ConfigError(f"A budget of cost needs the price of {one.model.name}: give its profile one.")


def _resolved(model: str | Model, opened: Mapping[str, Resolved]) -> Resolved:
    """The model of a role; roles that name the same one share it."""
    if isinstance(model, str):
        return opened[model]
    return Resolved(model, Profile(kind="scripted", replies=""))


async def arun(task: str | Task, graph: str | Graph = "direct", *, seed: int | None = None, **options: Any) -> Result:
    """Answer one question. `options` are those of `open_runner`: model, models, tools, budget, sampling, traces, …

    Raises UserError where the request can't be served as written, and ModelError where no answer at all could be had.
    """
    async with open_runner(graph, **options) as runner:
        return await runner.run(_as_task(task), seed=seed)


def run(task: str | Task, graph: str | Graph = "direct", *, seed: int | None = None, **options: Any) -> Result:
    """`arun` for code that is not async."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(arun(task, graph, seed=seed, **options))
    raise UserError("maieutic.run was called from async code: write `await maieutic.arun(...)` there.")


async def stream(
    task: str | Task, graph: str | Graph = "direct", *, seed: int | None = None, **options: Any
) -> AsyncGenerator[Event, None]:
    """Answer one question and yield what happens; the last event is run_finished, its data["result"] the Result.

    Leaving it early, by `aclose` or `contextlib.aclosing`, cancels the run.
    """
    async with open_runner(graph, **options) as runner:
        running = runner.start(_as_task(task), seed=seed)
        async for event in running.events.subscribe():
            yield event
        await running.result()


def _as_task(task: str | Task) -> Task:
    if isinstance(task, Task):
        return task
    if not task.strip():
        raise TaskError("The question is empty: write what you want to know.")
    return Task(question=task)
