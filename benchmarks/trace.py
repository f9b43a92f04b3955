"""What recording costs: durable events a second against an fsync each, and CPU time a model call on the event loop.

    python benchmarks/trace.py [--write]

The peers are the plainest exact records: one `json.dumps`, one `write`, one `fdatasync` for every event, and the same
with group commit: whoever waits is written and synced together, with no framing, checksum or index. That one and ours
take turns, and the ratio is taken within a turn; the target is at least 0.8.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, RunHeader
from maieutic.trace.writer import TraceStore
from maieutic.types import Completion, Request, Usage

EVENT = "x" * 4096
REPEATS, TURNS = 5, 9
TARGET = 0.8
RESULTS = Path(__file__).parent / "results" / "trace.md"


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


def measured(what: str, unit: str, measure: Callable[[Path], float]) -> str:
    return _row(what, unit, [_once(measure) for _ in range(REPEATS)])


def beside(waiters: int) -> list[str]:
    """Durable events a second of ours and of plain JSONL with group commit, in turns, and ours by the peer's."""
    events = 10 * waiters + 290
    pairs = []
    for _ in range(TURNS):
        peer = _once(lambda root: raw_group_commit(root, events, waiters))
        pairs.append((peer, _once(lambda root: group_commit(root, events, waiters))))
    ratios = [ours / peer for peer, ours in pairs]
    kept = "kept" if statistics.median(ratios) >= TARGET else "missed"
    return [
        _row(
            f"plain JSONL with group commit (peer), {waiters} waiting after each event",
            "events/s",
            [p for p, _ in pairs],
        ),
        _row(f"group commit, {waiters} waiting after each event", "events/s", [ours for _, ours in pairs]),
        _row(f"… by the peer's (at least {TARGET}: {kept})", "", ratios, digits=2),
    ]


def _once(measure: Callable[[Path], float]) -> float:
    with tempfile.TemporaryDirectory(dir=".") as root:
        return measure(Path(root))


def _row(what: str, unit: str, figures: list[float], digits: int = 0) -> str:
    low, middle, high = (f"{one:,.{digits}f}" for one in (min(figures), statistics.median(figures), max(figures)))
    row = f"| {what} | {middle} {unit} | {low} to {high} | {len(figures)} |"
    print(row, flush=True)
    return row


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write results/trace.md")
    asked = parser.parse_args()
    rows = [measured("fdatasync after each 4 KiB event (peer)", "events/s", lambda root: fsync_each(root, 300))]
    for waiters in (1, 32, 256):
        rows += beside(waiters)
    rows.append(measured("group commit, waiting once at the end", "events/s", lambda root: at_the_end(root, 20_000)))
    for prompt, sampled in ((200, 300), (2000, 300), (8000, 1000)):
        what = f"a call of {prompt} + {sampled} tokens, nothing shared"
        rows.append(measured(what, "µs CPU", partial(loop_cpu, prompt=prompt, sampled=sampled)))
    what = "(4 calls of 500 tokens)"
    rows.append(measured(f"indexed for the first time {what}", "runs/s", lambda root: reading(root, 500)[0]))
    rows.append(measured(f"read back whole, sealed {what}", "runs/s", lambda root: reading(root, 500)[1]))
    if asked.write:
        head = "# What recording costs\n\n| | median | range | n |\n|---|---|---|---|\n"
        made = f"`python benchmarks/trace.py`: Python {platform.python_version()}, {os.cpu_count()} cores."
        RESULTS.write_text(head + "\n".join(rows) + f"\n\n{made} Events are of 4 KiB.\n")


if __name__ == "__main__":
    main()
