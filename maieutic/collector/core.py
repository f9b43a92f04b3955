"""The core of collection: bounded admission over keys (task, sample), each done once, whatever kills it between."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from maieutic.collector.agenda import Agenda, Attempt
from maieutic.collector.claim import claimed
from maieutic.collector.job import Job
from maieutic.collector.ledger import Ledger, Row, read_failures, read_groups, read_results
from maieutic.collector.load import tell_load
from maieutic.collector.manifest import Manifest, refuse_foreign, settle
from maieutic.collector.pace import Pace, pace_of
from maieutic.collector.place import opened, url_of
from maieutic.collector.pool import Pool
from maieutic.collector.remote import EVERY
from maieutic.collector.report import CollectReport, Meter, Progress, Tally
from maieutic.collector.rows import FailureRow, Key, ResultRow
from maieutic.errors import ModelError, TraceError
from maieutic.llm.model import Model
from maieutic.runner import Runner
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader

PATIENCE = 20  # failures in a row, of a server that does not answer, before giving up
BEAT = 5.0  # seconds between two reports of progress while nothing ends

OnProgress = Callable[[Progress], None]


async def carry_out(
    job: Job,
    out: str | Path,
    concurrency: int | str | Pace,
    *,
    on_progress: OnProgress | None = None,
    stop: asyncio.Event | None = None,
    checkpoint: float = EVERY,
) -> CollectReport:
    """Do what is left of a job. The parameters and errors are those of `collect`."""
    return (await carry_out_counting(job, out, concurrency, on_progress, stop, checkpoint))[0]


async def carry_out_counting(
    job: Job,
    out: str | Path,
    concurrency: int | str | Pace,
    on_progress: OnProgress | None,
    stop: asyncio.Event | None,
    checkpoint: float,
) -> tuple[CollectReport, Tally]:
    """The same, with the counts that the report's figures are made of: those of several shards add up."""
    pace = pace_of(concurrency)
    tasks, problems = await job.tasks()
    graph = job.load_graph()
    async with opened(out, job.shard, checkpoint) as folder:
        refuse_foreign(folder)
        async with job.open_runner(graph, folder / "traces") as runner:
            asked = job.manifest(runner, tasks)
            with claimed(folder):
                settle(folder, asked)
                collection = _Collection(job, runner, tasks, asked, folder, on_progress)
                stopped = await collection.run(pace, stop or asyncio.Event())
    return replace(collection.report(problems, stopped), url=url_of(out, job.shard)), collection.meter.tally


class _ServerGone(Exception):
    """The model's server has not answered for a while, or not since the last results."""


class _Collection:
    """One start: what is still to do, and how it is going."""

    def __init__(
        self,
        job: Job,
        runner: Runner,
        tasks: list[Task],
        asked: Manifest,
        out: Path,
        on_progress: OnProgress | None,
    ) -> None:
        self._job = job
        self._runner = runner
        self._tasks = tasks
        self._asked = asked
        self._out = out
        self._on_progress = on_progress
        self._done: set[Key] = set()
        self._runs: set[str] = set()
        self._earlier: list[ResultRow] = []  # kept only where groups may end early
        self._groups: set[str] = set()
        self._failed: Counter[Key] = Counter()
        self._recovered = 0
        self._silent, self._unreached = 0, ""  # failures in a row; what the last said, if it was no refusal of a task
        self._group = job.group()
        self.meter = Meter(len(tasks) * asked.samples)

    async def run(self, pace: Pace, stop: asyncio.Event) -> str | None:
        """Do what is left; the sentence that says why it ended early, or None."""
        self._ledger = Ledger(self._out, self._report)
        self._look_back()
        recovered = await asyncio.to_thread(self._recover)
        async with self._ledger.writing():
            for row in recovered:
                self._note(row)
                self._ledger.add(row)
            asked = self._asked
            self._agenda = Agenda(self._tasks, asked.samples, self._job.group_stop, self._done, self._earlier)
            self._earlier = []
            self._pace, self._pool = pace, Pool(self._agenda, pace, self._work)
            self._report([])
            watching = [asyncio.create_task(watch) for watch in (tell_load(self._models(), pace), self._beat())]
            try:
                ended, what, detail = await self._pool.run(stop), "Interrupted", ""
                if ended and self._unreached:  # it went so near the end that too few were left to try our patience
                    raise _ServerGone(self._unreached)
            except _ServerGone as gone:
                ended, what, detail = False, f"The server of {asked.model} stopped answering", f" ({gone})"
            finally:
                for task in watching:
                    task.cancel()
                await asyncio.gather(*watching, return_exceptions=True)
            self._close_groups()
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
            left_out=self._agenda.left_out,
        )

    def _look_back(self) -> None:
        """Take in what earlier starts did."""
        for row in read_results(self._out):
            self._note(row)
            self.meter.tally.add(row)
        for failure in read_failures(self._out):
            self._runs.add(failure.run_id)
            self._failed[failure.key] = max(self._failed[failure.key], failure.attempt + 1)
        self._groups = {row.task for row in read_groups(self._out)}

    def _note(self, row: ResultRow) -> None:
        self._done.add(row.key)
        self._runs.add(row.run_id)
        if self._job.group_stop:
            self._earlier.append(row)

    def _recover(self) -> list[ResultRow]:
        """Rows of runs that ended, on disk, just before their process was killed; not of those that were cut short."""
        traces = self._runner.store.root
        if not self._runs and not any(traces.iterdir()):
            return []
        found, done = [], set(self._done)
        with TraceReader(traces, skip_damaged=True) as reader:
            for run in reader.runs():
                key = (run.task_key, run.sample)
                if run.finished is None or run.partial or run.run_id in self._runs or key in done:
                    continue
                found.append(ResultRow.recovered(reader.run(run.run_id)))
                done.add(key)
        self._recovered = len(found)
        return found

    async def _work(self, attempt: Attempt) -> None:
        (task, sample), row = attempt, None
        number = self._failed[task.id, sample]
        seed = _run_seed(self._asked.seed, task.id, sample)
        running = self._runner.start(task, seed=seed, sample=sample, attempt=number, group=self._group)
        try:
            row = ResultRow.of(await running.result(), sample, number)
        except TraceError:
            raise
        except Exception as error:  # an own graph, tool or verifier may raise anything, and other runs go on
            self._ledger.add(FailureRow.of((task.id, sample), number, running.run_id, error))
            self._listen(error)
        else:
            self._ledger.add(row)
            self._heard()
            self._pace.took(row.usage.seconds, row.usage.completion_tokens)
        self._agenda.ended(task.id, row)
        self._close_groups()

    def _close_groups(self) -> None:
        """Write down which groups have ended early since."""
        for row in self._agenda.closed():
            self.meter.total = len(self._tasks) * self._asked.samples - self._agenda.left_out
            if row.task not in self._groups:
                self._ledger.add(row)

    def _listen(self, error: Exception) -> None:
        """Raise _ServerGone once there have been too many failures in a row that no other task could avoid."""
        if not isinstance(error, ModelError) or not _server_is_gone(error):
            self._heard()
            return
        if error.kind == "overloaded" and self._pace.limit > self._pace.low:
            self._pace.refused()
            return
        self._silent += 1
        said = str(error).rstrip(".")
        if _is_unreached(error):
            self._unreached = said
        if self._silent >= PATIENCE:
            raise _ServerGone(said)

    def _heard(self) -> None:
        self._silent, self._unreached = 0, ""

    def _models(self) -> list[Model]:
        return list({id(one.model): one.model for one in self._runner.models.values()}.values())

    async def _beat(self) -> None:
        """Progress also while nothing ends."""
        while True:
            await asyncio.sleep(BEAT)
            self._report([])

    def _report(self, rows: list[Row]) -> None:
        pace, pool = self._pace, self._pool
        counted = self.meter.add(rows)
        progress = replace(counted, under_way=pool.under_way, limit=pace.limit, oldest=pool.oldest)
        if self._on_progress is not None:
            self._on_progress(progress)


def _server_is_gone(error: ModelError) -> bool:
    return _is_unreached(error) or error.status in (401, 403, 404)


def _is_unreached(error: ModelError) -> bool:
    """Whether it is the server's doing alone; a status may also refuse one task."""
    return error.kind in ("unreachable", "overloaded")


def _run_seed(seed: int, task: str, sample: int) -> int:
    """A 31-bit seed that a later start finds again."""
    digest = hashlib.blake2b(f"{seed}/{sample}/{task}".encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
