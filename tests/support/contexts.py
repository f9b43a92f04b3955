"""A run's context without a graph, and the run as it was recorded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from maieutic.budget import Account, Budget
from maieutic.context import Branch, Context, RunState
from maieutic.events import EventStream
from maieutic.llm.model import Model
from maieutic.llm.profile import Profile
from maieutic.llm.registry import Resolved
from maieutic.tasks.task import Task
from maieutic.tools.tool import Session
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunHeader, RunRecord
from maieutic.trace.writer import TraceStore
from maieutic.types import Sampling


@asynccontextmanager
async def open_context(
    traces: Path,
    model: Model,
    recorded: list[RunRecord],
    sampling: Sampling = Sampling(),
    profile: Profile | None = None,
    **roles: Resolved,
) -> AsyncIterator[Context]:
    """A context whose roles are all played by `model` but for those of `roles`; at the end `recorded` gets the run."""
    models = {"": Resolved(model, profile or Profile(kind="scripted", replies="")), **roles}
    with TraceStore(traces) as store:
        trace = store.open_run(RunHeader("r1", "t1"))
        task = Task(question="4 + 3 - 2?").public()
        run = RunState("r1", task, models, {}, trace, EventStream(), seed=1, sampling=sampling)
        yield Context(run, Branch("", Account(Budget()), Session()))
        trace.finish()
    with TraceReader(traces) as reader:
        recorded.append(reader.run("r1"))
