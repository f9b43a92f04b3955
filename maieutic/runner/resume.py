"""Resuming a run by its id: what it was asked for is read from its header, what it had finished is replayed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from maieutic.budget import Budget
from maieutic.errors import UserError
from maieutic.runner.front import open_runner
from maieutic.runner.replay import Recording, refuse_ended, task_of
from maieutic.runner.result import Result
from maieutic.runner.running import Running
from maieutic.settings import Settings, load_settings
from maieutic.tools.approval import Approver
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Sampling


@asynccontextmanager
async def open_resumed(
    run_id: str,
    *,
    traces: Path | None = None,
    gold: str | None = None,
    approve_pending: bool | None = None,
    approver: Approver | None = None,
    settings: Settings | None = None,
    **instead: Any,
) -> AsyncIterator[Running]:
    """A run that goes on where the run `run_id` ended: killed, interrupted, out of budget, or waiting for approval.

    It is a run of its own, whose `parent` is the earlier one. `approve_pending` is the word for all calls that wait;
    without it `approver` is asked. `instead` are options of `open_runner` in place of the recorded ones: models and
    tools that were given as objects must be given again. Raises UserError for a run that is unknown or has ended.
    """
    settings = settings or load_settings()
    root = traces or settings.traces_dir
    with TraceReader(root) as reader:
        record = reader.run(run_id)
        root = reader.root
    refuse_ended(record)
    past = Recording(record)
    ask = approver if approve_pending is None else past.deciding(approve_pending, approver)
    options = {**_options(record), **instead}
    graph = options.pop("graph")
    if options["model"] is None:
        raise UserError(f"The model of the run {run_id} was given as an object: give it again to resume the run.")
    if options["tools"] is None:
        raise UserError(f"Tools of the run {run_id} were given as objects: give all of them again to resume the run.")
    async with open_runner(graph, **options, settings=settings, traces=root, approver=ask) as runner:
        header, history = record.header, tuple(record.header.asked.get("history", ()))
        yield runner.start(
            task_of(record, gold),
            seed=header.seed,
            sample=header.sample,
            attempt=header.attempt,
            history=history,
            past=past,
        )


async def resume(run_id: str, **options: Any) -> Result:
    """The result of the run `run_id`, gone on with. `options` are those of `open_resumed`."""
    async with open_resumed(run_id, **options) as running:
        return await running.result()


def _options(record: RunRecord) -> dict[str, Any]:
    header, asked = record.header, record.header.asked
    if not asked:
        raise UserError(f"The run {header.run_id} was recorded by an older version, which did not keep what was asked.")
    sampling = {**asked["sampling"], "stop": tuple(asked["sampling"]["stop"])}
    return {
        "graph": asked["graph"],
        "graph_settings": header.settings,
        "model": asked["model"],
        "models": asked["models"],
        "tools": asked["tools"],
        "sandbox": asked["sandbox"],
        "approve": asked["approve"],
        "oracle": asked.get("oracle", False),
        "sampling": Sampling(**sampling),
        "budget": Budget(**header.budget) if header.budget else None,
    }
