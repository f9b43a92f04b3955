"""The front door of collection: `collect`."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maieutic.budget import Budget
from maieutic.collector.core import OnProgress, carry_out
from maieutic.collector.job import ARGUMENTS, Job, refuse_below_one
from maieutic.collector.remote import EVERY
from maieutic.collector.report import CollectReport
from maieutic.errors import UnknownName
from maieutic.llm.model import Model
from maieutic.settings import Settings
from maieutic.tasks.task import Task
from maieutic.tools.tool import Tool
from maieutic.tools.toolset import Toolset
from maieutic.types import Sampling


async def collect(
    source: str | Path | Sequence[Task],
    *,
    out: str | Path,
    graph: str = "direct",
    model: str | Model | None = None,
    models: Mapping[str, str | Model] | None = None,
    samples: int = 1,
    concurrency: int | str = 8,
    seed: int = 0,
    tools: Iterable[str | Tool | Toolset] = (),
    budget: Budget | None = None,
    sampling: Sampling = Sampling(),
    graph_settings: Mapping[str, Any] | None = None,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
    settings: Settings | None = None,
    stop: asyncio.Event | None = None,
    sandbox: str | None = None,
    unsafe_local: bool = False,
    approve: Iterable[str] = (),
    oracle: bool = False,
    shard: str | None = None,
    stop_group_at: int | None = None,
    stop_group_agreed: int | None = None,
    checkpoint: float = EVERY,
    engine: str = "asyncio",
    actors: int = 4,
) -> CollectReport:
    """Run `graph` on every task of `source`, `samples` times each, and record everything under the directory `out`.

    `source` is a task file, an environment ("env:rg/chain_sum?n=100&seed=7"), or tasks. At most `concurrency` runs
    are under way at once, with "8-512" as many between these bounds as the server bears; `budget` is each run's.
    `limit` takes only the first so many tasks. A run's seed follows from (`seed`, task id, sample) alone. `shard`, such
    as "3/16", takes that part of the tasks, into a folder of its own in `out`. A task's attempts end early once
    `stop_group_at` of them are correct, or the first `stop_group_agreed` agree; groups.jsonl then says so. `models`,
    `sandbox`, `unsafe_local`, `approve` and `oracle` are as in `open_runner`. The `engine` "ray" does it in so many
    `actors`.

    `out` then holds collect.json (what was asked), traces/, results.jsonl (a line for each finished run) and
    failures.jsonl (runs that raised). Where `out` is a URL (s3://…), they are made in a folder here, the report's
    `out`, and uploaded every `checkpoint` seconds and at the end. Starting again with the same `out` goes on: what is
    done stays, what failed is tried again, and more samples or more tasks may be asked for. Setting `stop`, or
    cancelling, cancels the runs under way and leaves `out` ready to go on.

    Raises UserError where something can't be done as written, another start differs in what it asks, or the directory
    is in use; TraceError when the disk takes no more. A single run's failure is not raised but counted. A server that
    stops answering ends the collection early: `stopped` of the report says so, also where only the last runs failed
    for it.
    """
    job = Job.of(**{name: value for name, value in locals().items() if name in ARGUMENTS})
    if engine == "asyncio":
        return await carry_out(job, out, concurrency, on_progress=on_progress, stop=stop, checkpoint=checkpoint)
    if engine != "ray":
        raise UnknownName("engine", engine, ["asyncio", "ray"])
    from maieutic.collector.ray_engine import carry_out_on_ray  # an optional part

    refuse_below_one("actors", actors)
    return await carry_out_on_ray(job, out, concurrency, actors, on_progress, stop, checkpoint)
