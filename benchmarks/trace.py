"""What recording costs: durable events a second against an fsync each, and CPU time a model call on the event loop.

    python benchmarks/trace.py

The peers are the plainest exact records: one `json.dumps`, one `write`, one `fdatasync` for every event, and the same
with group commit: whoever waits is written and synced together, with no framing, checksum or index.
"""

import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, RunHeader
from maieutic.trace.writer import TraceStore
from maieutic.types import Completion, Request, Usage

EVENT = "x" * 4096
REPEATS = 5


def fsync_each(root: Path, events: int) -> float:
    file = os.open(root / "peer.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    started = time.perf_counter()
    for _ in range(events):
        os.write(file, json.dumps({"text": EVENT}).encode() + b"\n")
        os.fdatasync(file)
    seconds = time.perf_counter() - started
    os.close(file)
    return events / seconds


def group_commit(root: Path, events: int, waiters: int) -> float:
    """`waiters` runs, each of which waits for the disk after every event, as turns of a conversation do."""

    async def work() -> float:
        with TraceStore(root) as store:
            runs = [store.open_run(RunHeader(f"r{i}", "task")) for i in range(waiters)]
            await store.commit()
            started = time.perf_counter()

            async def one(number: int) -> None:
                for _ in range(events // waiters):
                    runs[number].write("note", text=EVENT)
                    await runs[number].commit()

            await asyncio.gather(*map(one, range(waiters)))
            return events / (time.perf_counter() - started)

    return asyncio.run(work())


def raw_group_commit(root: Path, events: int, waiters: int) -> float:
    """Plain lines, many of them a write and a sync; `waiters` wait after each of theirs."""

    async def work() -> float:
        file = os.open(root / "raw.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        lines: list[bytes] = []
        waiting: list[asyncio.Future[None]] = []
        wake = asyncio.Event()

        def put(data: bytes) -> None:
            os.write(file, data)
            os.fdatasync(file)

        async def flush() -> None:
            while True:
                await wake.wait()
                wake.clear()
                data, ready = b"".join(lines), list(waiting)
                lines.clear()
                waiting.clear()
                await asyncio.to_thread(put, data)
                for one in ready:
                    one.set_result(None)

        async def one() -> None:
            loop = asyncio.get_running_loop()
            for _ in range(events // waiters):
                lines.append(json.dumps({"text": EVENT}).encode() + b"\n")
                waiting.append(loop.create_future())
                wake.set()
                await waiting[-1]

        flushing = asyncio.create_task(flush())
        started = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(waiters)))
        seconds = time.perf_counter() - started
        flushing.cancel()
        os.close(file)
        return events / seconds

    return asyncio.run(work())


def at_the_end(root: Path, events: int) -> float:
    """One run that waits for the disk once, at its end."""

    async def work() -> float:
        with TraceStore(root) as store:
            run = store.open_run(RunHeader("r", "task"))
            started = time.perf_counter()
            for _ in range(events):
                run.write("note", text=EVENT)
            await run.commit()
            return events / (time.perf_counter() - started)

    return asyncio.run(work())


def calls(number: int, prompt: int, sampled: int) -> list[CallRecord]:
    """Calls of different prompts: the costliest case, nothing is shared."""
    chance = random.Random(0)
    made = []
    for i in range(number):
        ids = tuple(chance.randrange(150_000) for _ in range(prompt + sampled))
        completion = Completion(
            "z" * 4 * sampled,
            finish_reason="stop",
            prompt_token_ids=ids[:prompt],
            token_ids=ids[prompt:],
            logprobs=tuple(-chance.random() for _ in range(sampled)),
            usage=Usage(1, prompt, sampled),
        )
        request = Request(({"role": "system", "content": "x" * 400}, {"role": "user", "content": f"{i}" * 200}))
        made.append(CallRecord("r", f"c{i}", "model", request, completion, 1.0, 2.0))
    return made


def loop_cpu(root: Path, prompt: int, sampled: int) -> float:
    """Microseconds of the event loop's thread for one call."""
    records = calls(500, prompt, sampled)
    with TraceStore(root) as store:
        run = store.open_run(RunHeader("r", "task"))
        run.call(CallRecord("r", "warm", "model", Request(()), None, 1.0, 2.0))
        started = time.thread_time()
        for record in records:
            run.call(record)
        return (time.thread_time() - started) / len(records) * 1e6


def reading(root: Path, runs: int) -> tuple[float, float]:
    """Runs a second: indexed for the first time, and read back whole from a sealed segment."""
    records = calls(4, 200, 300)
    with TraceStore(root) as store:
        for i in range(runs):
            run = store.open_run(RunHeader(f"r{i}", "task"))
            for record in records:
                run.call(CallRecord(f"r{i}", record.call_id, "model", record.request, record.completion, 1.0, 2.0))
            run.finish(answer="4", outcome="correct")
    started = time.perf_counter()
    with TraceReader(root) as reader:
        indexed = time.perf_counter()
        for summary in reader.runs():
            reader.run(summary.run_id)
        return runs / (indexed - started), runs / (time.perf_counter() - indexed)


def measured(what: str, unit: str, measure: Callable[[Path], float]) -> None:
    figures = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(dir=".") as root:
            figures.append(measure(Path(root)))
    low, high = min(figures), max(figures)
    print(f"{what:<58} {statistics.median(figures):>10.0f} {unit:<8} ({low:.0f}-{high:.0f}, n={REPEATS})", flush=True)


def main() -> None:
    measured("fdatasync after each 4 KiB event (peer)", "events/s", lambda root: fsync_each(root, 300))
    for waiters in (1, 32, 256):
        what = f"group commit, {waiters} waiting after each event"
        measured(what, "events/s", lambda root, w=waiters: group_commit(root, 10 * w + 290, w))
        what = f"plain JSONL with group commit (peer), {waiters} waiting"
        measured(what, "events/s", lambda root, w=waiters: raw_group_commit(root, 10 * w + 290, w))
    measured("group commit, waiting once at the end", "events/s", lambda root: at_the_end(root, 20_000))
    for prompt, sampled in ((200, 300), (2000, 300), (8000, 1000)):
        what = f"a call of {prompt} + {sampled} tokens, nothing shared"
        measured(what, "µs CPU", lambda root, p=prompt, s=sampled: loop_cpu(root, p, s))
    measured("indexed for the first time (4 calls of 500 tokens)", "runs/s", lambda root: reading(root, 500)[0])
    measured("read back whole, sealed (4 calls of 500 tokens)", "runs/s", lambda root: reading(root, 500)[1])


if __name__ == "__main__":
    main()
