"""The core of collection: bounded admission over keys (task, sample), each done once, whatever kills it between."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from maieutic.collector.claim import claimed
from maieutic.collector.job import Job
from maieutic.collector.ledger import Ledger, Row, read_failures, read_results
from maieutic.collector.manifest import Manifest, refuse_foreign, settle
from maieutic.collector.place import opened
from maieutic.collector.remote import EVERY
from maieutic.collector.report import CollectReport, Meter, Progress
from maieutic.collector.rows import FailureRow, Key, ResultRow
from maieutic.errors import ModelError, TraceError
from maieutic.runner import Runner
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader

PATIENCE = 20  # failures in a row, of a server that does not answer, before giving up

OnProgress = Callable[[Progress], None]


async def carry_out(
    job: Job,
    out: str | Path,
    concurrency: int,
    *,
    on_progress: OnProgress | None = None,
    stop: asyncio.Event | None = None,
    checkpoint: float = EVERY,
) -> CollectReport:
    """Do what is left of a job. The parameters and errors are those of `collect`."""
    tasks, problems = await job.tasks()
    graph = job.load_graph()
    async with opened(out, job.shard, checkpoint) as folder:
        refuse_foreign(folder)
        async with job.open_runner(graph, folder / "traces") as runner:
            asked = job.manifest(runner, tasks)
            with claimed(folder):
                settle(folder, asked)
                collection = _Collection(runner, tasks, asked, folder, on_progress)
                stopped = await collection.run(concurrency, stop or asyncio.Event())
    return collection.report(problems, stopped)


class _ServerGone(Exception):
    """The model's server has not answered for a while."""


class _Collection:
    """One start: what is still to do, and how it is going."""

    def __init__(
        self, runner: Runner, tasks: list[Task], asked: Manifest, out: Path, on_progress: OnProgress | None
    ) -> None:
        self._runner = runner
        self._tasks = tasks
        self._asked = asked
        self._out = out
        self._on_progress = on_progress
        self._done: set[Key] = set()
        self._failed: Counter[Key] = Counter()
        self._recovered = 0
        self._silent = 0
        self.meter = Meter(len(tasks) * asked.samples)

    async def run(self, concurrency: int, stop: asyncio.Event) -> str | None:
        """Do what is left; the sentence that says why it ended early, or None."""
        ledger = Ledger(self._out, self._on_disk)
        self._look_back()
        async with ledger.writing():
            for row in await asyncio.to_thread(self._recover):
                ledger.add(row)
            self._report([])
            keys = self._keys()
            workers = {asyncio.create_task(self._work(keys, ledger)) for _ in range(concurrency)}
            try:
                ended, what, detail = await _until_done(workers, stop), "Interrupted", ""
            except _ServerGone as gone:
                ended, what, detail = False, f"The server of {self._asked.model} stopped answering", f" ({gone})"
        if ended:
            return None
        return f"{what} after {self.meter.tally.n} results{detail}; start the same command again to go on."

    def report(self, problems: list[str], stopped: str | None) -> CollectReport:
        meter = self.meter
        return CollectReport(
            out=self._out,
            total=meter.total,
            done=meter.tally.n,
            new=meter.new - self._recovered,
            recovered=self._recovered,
            failed=meter.failures.total(),
            failures=dict(meter.failures.most_common(10)),
            summary=meter.tally.summary(),
            seconds=meter.seconds,
            problems=problems,
            stopped=stopped,
        )

    def _look_back(self) -> None:
        """Take in what earlier starts did."""
        for row in read_results(self._out):
            self._done.add(row.key)
            self.meter.tally.add(row)
        for failure in read_failures(self._out):
            self._failed[failure.key] = max(self._failed[failure.key], failure.attempt + 1)

    def _recover(self) -> list[ResultRow]:
        """Rows of runs that ended, on disk, just before their process was killed; not of those that were cut short."""
        traces = self._runner.store.root
        if not any(traces.iterdir()):
            return []
        known = {row.run_id for row in read_results(self._out)} | {row.run_id for row in read_failures(self._out)}
        found = []
        with TraceReader(traces, skip_damaged=True) as reader:
            for run in reader.runs():
                key = (run.task_key, run.sample)
                if run.finished is None or run.partial or run.run_id in known or key in self._done:
                    continue
                found.append(ResultRow.recovered(reader.run(run.run_id)))
                self._done.add(key)
        self._recovered = len(found)
        return found

    def _keys(self) -> Iterator[tuple[Task, int]]:
        """What is to do, in order; samples of a task are neighbours, so that a server can share their prompt."""
        for task in self._tasks:
            for sample in range(self._asked.samples):
                if (task.id, sample) not in self._done:
                    yield task, sample

    async def _work(self, keys: Iterator[tuple[Task, int]], ledger: Ledger) -> None:
        for task, sample in keys:
            attempt = self._failed[task.id, sample]
            running = self._runner.start(
                task, seed=_run_seed(self._asked.seed, task.id, sample), sample=sample, attempt=attempt
            )
            try:
                result = await running.result()
            except TraceError:
                raise
            except Exception as error:  # an own graph, tool or verifier may raise anything, and other runs go on
                ledger.add(FailureRow.of((task.id, sample), attempt, running.run_id, error))
                self._listen(error)
            else:
                ledger.add(ResultRow.of(result, sample, attempt))
                self._silent = 0

    def _listen(self, error: Exception) -> None:
        """Raise _ServerGone once there have been too many failures in a row that no other task could avoid."""
        if not isinstance(error, ModelError) or not _server_is_gone(error):
            self._silent = 0
            return
        self._silent += 1
        if self._silent >= PATIENCE:
            raise _ServerGone(str(error).rstrip("."))

    def _on_disk(self, rows: list[Row]) -> None:
        self._report(rows)

    def _report(self, rows: list[Row]) -> None:
        progress = self.meter.add(rows)
        if self._on_progress is not None:
            self._on_progress(progress)


def _server_is_gone(error: ModelError) -> bool:
    return error.kind in ("unreachable", "overloaded") or error.status in (401, 403, 404)


def _run_seed(seed: int, task: str, sample: int) -> int:
    """A 31-bit seed that a later start finds again."""
    digest = hashlib.blake2b(f"{seed}/{sample}/{task}".encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


async def _until_done(workers: "set[asyncio.Task[None]]", stop: asyncio.Event) -> bool:
    """Wait for all workers; False where `stop` was set first. What is still under way then is cancelled."""
    halt = asyncio.create_task(stop.wait())
    left = set(workers)
    try:
        while left and not halt.done():
            done, _ = await asyncio.wait({*left, halt}, return_when=asyncio.FIRST_COMPLETED)
            left -= done
            for task in done:
                task.result()
        return not left
    finally:
        for task in (halt, *left):
            task.cancel()
        await asyncio.gather(halt, *left, return_exceptions=True)
