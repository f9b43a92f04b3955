"""The engine `ray`: the same core in Ray actors, on one machine or on a cluster that shares the output's place.

The tasks are divided into shards, more of them than actors. An actor works on two at a time under one pace, so that the
slow end of one shard is the busy beginning of another. Each shard is an ordinary collection, and that is what makes
killed actors harmless: Ray starts the actor again and calls it again, and the shard goes on from its own ledger.
"""

import asyncio
import os
import re
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maieutic.collector.claim import Claimed
from maieutic.collector.core import OnProgress, carry_out_counting
from maieutic.collector.job import Job
from maieutic.collector.pace import pace_of, share
from maieutic.collector.place import shards_at, url_of
from maieutic.collector.remote import folder_for
from maieutic.collector.report import CollectReport, Progress, Tally
from maieutic.collector.shard import Shard
from maieutic.collector.together import progress_of, progress_together, reports_together
from maieutic.errors import MaieuticError, MissingExtra, TraceError, UserError
from maieutic.tasks.task import Task
from maieutic.url_store import is_url

SHARDS_AN_ACTOR = 4
AT_ONCE = 2  # shards in one actor
RESTARTS = 100  # of one actor
POLL = 1.0  # seconds between two questions for progress
PATIENCE = 30.0  # seconds that a shard's last owner is given to die
ANSWER = 5.0  # seconds within which a cluster has to be reached

_SETTINGS = b"\x04"  # the type of the frame
_NO_SETTINGS = b"\0\0\0" + _SETTINGS + b"\0" * 5
_HERE = ("localhost", "127.0.0.1", "::1")
_ADDRESS = re.compile(r"(?:ray://)?(\[[^\]]+\]|[^\s:/]+):(\d+)")


@dataclass(frozen=True, slots=True)
class Broken:
    """What ended a shard that raised, in a form that can be sent: errors of some classes can't be unpickled."""

    user: bool
    message: str

    def error(self) -> MaieuticError:
        return UserError(self.message) if self.user else TraceError(self.message)


Done = tuple[CollectReport, Tally]


class Worker:
    """What an actor does. All its shards share one pace."""

    def __init__(self, concurrency: str) -> None:
        self._pace = pace_of(concurrency)
        self._stop = asyncio.Event()
        self._progress: dict[int, Progress] = {}

    async def collect(self, job: Job, out: str, checkpoint: float) -> Done | Broken:
        """Do what is left of one shard."""
        assert job.shard is not None
        index, give_up = job.shard.index, asyncio.get_running_loop().time() + PATIENCE

        def note(progress: Progress) -> None:
            self._progress[index] = progress

        while True:
            try:
                return await carry_out_counting(job, out, self._pace, note, self._stop, checkpoint)
            except Claimed as error:  # by an actor that is about to die with its driver
                if asyncio.get_running_loop().time() > give_up:
                    return Broken(True, str(error))
                await asyncio.sleep(0.2)
            except MaieuticError as error:
                return Broken(isinstance(error, UserError), str(error))

    async def progress(self) -> tuple[int, dict[int, Progress]]:
        """How many runs may be under way here, and how far each shard is."""
        return self._pace.limit, self._progress

    async def stop(self) -> None:
        self._stop.set()

    async def pid(self) -> int:
        return os.getpid()


async def carry_out_on_ray(
    job: Job,
    out: str | Path,
    concurrency: int | str,
    actors: int,
    on_progress: OnProgress | None,
    stop: asyncio.Event | None,
    checkpoint: float,
) -> CollectReport:
    """Do what is left of a job. `concurrency` is of all actors together. Raises UserError and TraceError as `collect`.

    RAY_ADDRESS names a cluster; without it Ray is started on this machine, and ended afterwards.
    """
    if job.shard is not None:
        raise UserError("--engine ray makes shards of its own: leave --shard out.")
    each = share(concurrency, actors)
    tasks, problems = await job.tasks()
    job.load_graph()
    shards = await asyncio.to_thread(shards_at, out, SHARDS_AN_ACTOR * actors)
    jobs = deque(_jobs(job, tasks, shards))
    with _ray() as ray:
        name = f"maieutic-{secrets.token_hex(4)}"
        workers = [_actor(ray, f"{name}-{i}", each) for i in range(min(actors, len(jobs) or 1))]
        totals = {one.shard.index: len(one.source) * job.samples for one in jobs if one.shard}  # type: ignore[arg-type]
        place = str(out) if is_url(out) else str(Path(out).absolute())
        fleet = _Fleet(workers, jobs, place, checkpoint, _Sum(totals, on_progress))
        try:
            done = await fleet.run(stop or asyncio.Event())
        finally:
            for worker in workers:
                ray.kill(worker)
    report = reports_together(folder_for(str(out)) if is_url(out) else Path(out), done, problems, totals)
    return replace(report, url=url_of(out))


def _actor(ray: Any, name: str, concurrency: str) -> Any:
    """An actor that Ray starts and calls again when it has died. It mostly waits, so that it takes no whole CPU."""
    options = {"num_cpus": 0, "scheduling_strategy": "SPREAD", "max_restarts": RESTARTS, "max_task_retries": -1}
    return ray.remote(Worker).options(name=name, **options).remote(concurrency)


def _jobs(job: Job, tasks: list[Task], shards: int) -> list[Job]:
    """A job for every shard that has tasks."""
    name = job.named
    parts = [Shard(index, shards) for index in range(shards)]
    made = [replace(job, source=part.of_tasks(tasks), source_name=name, limit=None, shard=part) for part in parts]
    return [one for one in made if one.source]


class _Fleet:
    """The driver's side of the actors."""

    def __init__(self, workers: list[Any], jobs: deque[Job], out: str, checkpoint: float, total: "_Sum") -> None:
        self._workers = workers
        self._jobs = jobs
        self._out = out
        self._checkpoint = checkpoint
        self._total = total
        self._done: list[Done] = []

    async def run(self, stop: asyncio.Event) -> list[Done]:
        """What came of every shard that was begun."""
        lanes = [asyncio.create_task(self._lane(worker)) for worker in self._workers for _ in range(AT_ONCE)]
        beside = [asyncio.create_task(one) for one in (self._watch(), self._heed(stop))]
        try:
            await asyncio.gather(*lanes)
        finally:
            for task in (*lanes, *beside):
                task.cancel()
            await asyncio.gather(*lanes, *beside, return_exceptions=True)
        self._total.tell()
        return self._done

    async def _lane(self, worker: Any) -> None:
        """One shard after the other."""
        while self._jobs:
            job = self._jobs.popleft()
            assert job.shard is not None
            found = await self._ask(worker.collect.remote(job, self._out, self._checkpoint))
            if isinstance(found, Broken):
                raise found.error()
            self._done.append(found)
            self._total.finished(job.shard.index, found[0])
            if found[0].stopped and found[0].left:  # one whose last runs alone failed says nothing of other shards
                self._jobs.clear()

    async def _ask(self, reference: Any) -> Any:
        import ray

        try:
            return await reference
        except ray.exceptions.RayError as error:  # pyright: ignore[reportAttributeAccessIssue]
            first = str(error).strip().partition("\n")[0]
            raise TraceError(f"An actor could not be kept alive ({first}): start the same command again.") from error

    async def _watch(self) -> None:
        while True:
            asked = [asyncio.ensure_future(self._ask(worker.progress.remote())) for worker in self._workers]
            answered, late = await asyncio.wait(asked, timeout=POLL * 5)
            for one in late:
                one.cancel()
            found = [one.result() for one in answered if one.exception() is None]
            for _, shards in found:
                self._total.take_in(shards)
            self._total.tell(sum(limit for limit, _ in found))
            await asyncio.sleep(POLL)

    async def _heed(self, stop: asyncio.Event) -> None:
        """Once it is asked to stop: no more shards, and each actor ends those it has."""
        await stop.wait()
        self._jobs.clear()
        while True:  # one that is started anew has to be told again
            for worker in self._workers:
                worker.stop.remote()
            await asyncio.sleep(POLL)


class _Sum:
    """Progress of all shards together; `totals` are the runs of each."""

    def __init__(self, totals: dict[int, int], on_progress: OnProgress | None) -> None:
        self._totals = totals
        self._on_progress = on_progress
        self._shards: dict[int, Progress] = {}
        self._ended: set[int] = set()

    def take_in(self, shards: dict[int, Progress]) -> None:
        self._shards |= {index: one for index, one in shards.items() if index not in self._ended}

    def finished(self, index: int, report: CollectReport) -> None:
        self._shards[index] = progress_of(report)
        self._ended.add(index)

    def tell(self, limit: int = 0) -> None:
        if self._on_progress is not None:
            self._on_progress(progress_together(self._shards, self._totals, limit))


@contextmanager
def _ray() -> Iterator[Any]:
    """Ray, connected: to what is initialised already, to RAY_ADDRESS, or to one of its own that ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unasked
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("The engine ray", "ray") from error
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS") or "local"  # else it would look for clusters that once were here
    _refuse_unreached(address, ray.util.get_node_ip_address)
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level="error")  # pyright: ignore[reportArgumentType]
    except Exception as error:  # of any class, a bare Exception among them
        ray.shutdown()
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise UserError(
            f"Ray could not be started ({first}): start the same command again, or see to what RAY_ADDRESS names."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _refuse_unreached(address: str, own: Callable[[], str]) -> None:
    """UserError where nobody listens at a cluster's address: Ray itself would end the process, without a word. What
    Ray takes for this machine may be listening at its `own` address alone."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return
    host, port, why = found[1].strip("[]"), int(found[2]), ""
    for name in [host, *([own()] if host in _HERE else [])]:
        try:
            with socket.create_connection((name, port), ANSWER) as connection:
                speaks = _speaks_grpc(connection)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            continue
        if speaks:
            return
        raise UserError(
            f"What answers at {address} is no Ray cluster: correct RAY_ADDRESS, or unset it to have Ray run on this "
            "machine."
        )
    raise UserError(
        f"Nobody answers at {address} ({why}): start the cluster that RAY_ADDRESS names, or unset it to have Ray run "
        "on this machine."
    )


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether HTTP/2 is answered in kind, with a frame of settings, as RFC 9113 (3.4) has a server begin: Ray waits for
    minutes for anything else to do so."""
    connection.settimeout(ANSWER)
    try:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _NO_SETTINGS)
        return connection.recv(9)[3:4] == _SETTINGS
    except OSError:
        return False
