"""Chaos: killed a hundred times, a disk that is full, a server that does everything wrong. At the end every task has
exactly its results, and every line that was reported is there."""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from maieutic.budget import Budget
from maieutic.collector import CollectReport, collect, read_failures
from maieutic.errors import TraceError
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.types import Request
from tests.support.collected import each_done_once, whole_lines
from tests.support.server import Answer, FakeServer

KENNEL = Path(__file__).with_name("kennel.py")
ROOT = KENNEL.parents[2]

# A process of its own, since a limit on file sizes is for a whole process.
FULL = """
import asyncio, resource, sys
from tests.collector.test_chaos import fill
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
asyncio.run(fill(sys.argv[1], 150))
"""


def tasks(n: int) -> list[Task]:
    return [Task(id=f"task-{i}", question=f"Question {i}?", gold="1") for i in range(n)]


def keys(n: int) -> list[tuple[str, int]]:
    return [(f"task-{i}", 0) for i in range(n)]


@pytest.mark.slow
def test_killed_a_hundred_times(tmp_path: Path) -> None:
    seed = str(time.time_ns())
    command = [sys.executable, str(KENNEL), str(tmp_path), "2500", "100", seed]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    killed, by_then = map(int, done.stdout.split())
    assert killed == 100 and by_then > 100
    each_done_once(tmp_path, keys(2500))


async def fill(out: str, n: int) -> None:
    """Collect until nothing more can be written."""

    def reply(request: Request) -> str:
        return f"{random.randbytes(1500).hex()}\nAnswer: 1"

    await collect(tasks(n), out=out, model=ScriptedModel(reply), concurrency=4)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [4_000, 30_000, 200_000])
async def test_a_file_that_may_not_grow_further(limit: int, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FULL, str(tmp_path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 1 and "free some space" in done.stderr.splitlines()[-1], done.stderr
    assert "never retrieved" not in done.stderr
    before = whole_lines(tmp_path)
    await fill(str(tmp_path), 150)
    assert whole_lines(tmp_path)[: len(before)] == before
    each_done_once(tmp_path, keys(150))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
async def test_a_full_disk(small_disk: Path) -> None:
    out, ballast = small_disk / "collected", small_disk / "ballast"
    ballast.write_bytes(b"x" * 15_000_000)
    with pytest.raises(TraceError, match="free some space"):
        await fill(str(out), 100)
    before = whole_lines(out)
    ballast.unlink()
    await fill(str(out), 100)
    assert whole_lines(out)[: len(before)] == before
    each_done_once(out, keys(100))


def wrong(rng: random.Random) -> Answer:
    """Anything that a server has been seen to do, and now and then what it should."""
    return rng.choice(
        [
            Answer("Answer: 1"),
            Answer("Answer: 1"),
            Answer("Answer: 1"),
            Answer("Answer: 1", delay=0.05),
            Answer(body=b"<html>Bad gateway</html>"),
            Answer(body=b"{}"),
            Answer(body=b""),
            Answer(body=b'{"choices": [{"message": '),
            Answer("Answer: 1", cut_after=0),
            Answer("Answer: 1", cut_after=1),
            Answer("Answer: 1", delay=0.6),  # later than anybody waits
            Answer("Answer: 1", chunk_delay=0.6),
            Answer("slow down", status=429, headers={"retry-after": "0"}),
            Answer("broken", status=500),
            Answer("no", status=400),
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_server_that_does_everything_wrong(streamed: bool, tmp_path: Path) -> None:
    seed, n = time.time_ns(), 120
    rng = random.Random(seed)
    profile = tmp_path / "m.yaml"
    times = "{connect: 2, first_byte: 0.3, between: 0.3}"
    with FakeServer(lambda _: wrong(rng)) as server:
        profile.write_text(
            f"kind: vllm\nmodel: m\nbase_url: {server.url}\nretries: 1\ntimeouts: {times}\n", encoding="utf-8"
        )
        out = tmp_path / "out"
        starts, before = 0, whole_lines(out)
        while len(before) < n and starts < 40:
            limits = Budget(seconds=60) if streamed else None
            report = await collect(tasks(n), out=out, model=str(profile), concurrency=8, budget=limits)
            lines = whole_lines(out)
            assert lines[: len(before)] == before and report.done == len(lines), seed
            before, starts = lines, starts + 1
    assert starts > 1
    rows = each_done_once(out, keys(n))
    assert [json.loads(line)["answer"] for line in before] == [row.answer for row in rows]
    failed = Counter(failure.key for failure in read_failures(out))
    assert all(row.attempt == failed[row.key] for row in rows), seed  # a failure is one attempt, written down once


@pytest.mark.slow
async def test_a_server_that_dies_and_comes_back(tmp_path: Path) -> None:
    n, port, out, profile = 280, 0, tmp_path / "out", tmp_path / "m.yaml"

    def start() -> "asyncio.Task[CollectReport]":
        return asyncio.create_task(collect(tasks(n), out=out, model=str(profile), concurrency=4))

    for life in (1, 2, 3):
        with FakeServer(Answer("Answer: 1", delay=0.01), port=port) as server:
            port = server.port
            profile.write_text(f"kind: vllm\nmodel: m\nbase_url: {server.url}\nretries: 0\n")
            work = start()
            while len(whole_lines(out)) < n * life // 4:
                await asyncio.sleep(0.01)
        report = await work
        assert report.stopped is not None and "stopped answering" in report.stopped
        assert n * life // 4 <= report.done < n
    with FakeServer(Answer("Answer: 1"), port=port):
        report = await start()
    assert (report.done, report.stopped) == (n, None)
    each_done_once(out, keys(n))
