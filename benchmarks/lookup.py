"""Looking up one run among a million: the index beside a scan of the same runs as plain JSONL.

    python benchmarks/lookup.py [--runs 1000000] [--lookups 200]

The runs are short (one call each), written through the trace store as any run is. Measured: taking them into the index
for the first time, opening a reader on an index that is up to date, and from then on a run by its id, read back whole
and decoded. The peer is one JSON line a run in one file, read from its beginning until the run is there.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, RunHeader
from maieutic.trace.writer import TraceStore
from maieutic.types import Completion, Request, Usage

SCANS = 5
BATCH = 2000


def run_id(number: int) -> str:
    return f"20260101-000000-{number:012x}"


async def write(root: Path, runs: int) -> None:
    """The runs in the trace, and beside it the same as plain lines."""
    request = Request(({"role": "user", "content": "What is 4 + 3?"},))
    completion = Completion("Answer: 7", finish_reason="stop", token_ids=(1, 2, 3), usage=Usage(1, 12, 3))
    with TraceStore(root / "traces") as store, (root / "plain.jsonl").open("w") as plain:
        for number in range(runs):
            name = run_id(number)
            run = store.open_run(RunHeader(name, f"task-{number}"))
            run.call(CallRecord(name, "c0", "model", request, completion, 1.0, 2.0))
            run.finish(answer="7", outcome="correct", score=1.0, partial=False)
            line = {"run_id": name, "task": f"task-{number}", "messages": request.messages, "text": completion.text}
            plain.write(json.dumps({**line, "token_ids": completion.token_ids, "outcome": "correct"}) + "\n")
            if number % BATCH == 0:
                await store.commit()


def scanned(path: Path, name: str) -> float:
    """Seconds until the run is found in the plain file."""
    started, wanted = time.perf_counter(), f'"{name}"'
    with path.open() as lines:
        found = next(json.loads(line) for line in lines if wanted in line)
    assert found["run_id"] == name
    return time.perf_counter() - started


def milliseconds(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return f"{statistics.median(ordered) * 1000:.2f} ms (99th percentile {last * 1000:.2f}, n={len(ordered)})"


def measure(root: Path, runs: int, lookups: int) -> list[str]:
    rng = random.Random(0)
    started = time.perf_counter()
    with TraceReader(root):
        built = time.perf_counter() - started
    started = time.perf_counter()
    with TraceReader(root) as reader:
        opened = time.perf_counter() - started
        spans, whole = [], []
        for _ in range(lookups):
            name = run_id(rng.randrange(runs))
            started = time.perf_counter()
            assert reader._index.spans(name)
            spans.append(time.perf_counter() - started)
            started = time.perf_counter()
            assert reader.run(name).finish is not None
            whole.append(time.perf_counter() - started)
    scans = [scanned(root / "plain.jsonl", run_id(rng.randrange(runs))) for _ in range(SCANS)]
    return [
        f"taken into the index for the first time: {built:.1f} s ({runs / built:.0f} runs/s)",
        f"a reader opened on it: {opened * 1000:.0f} ms",
        f"where a run lies: {milliseconds(spans)}",
        f"a run read back whole: {milliseconds(whole)}",
        f"a run in plain JSONL (peer): {milliseconds(scans)}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--lookups", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        asyncio.run(write(Path(folder), options.runs))
        lines = measure(Path(folder), options.runs, options.lookups)
    text = "\n".join([f"Looking up one run among {options.runs:,}.", "", *(f"- {line}" for line in lines), ""])
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/lookup.py {' '.join(sys.argv[1:])}".strip()
    (options.out / "lookup.md").write_text(f"{text}\n`{command}`, Python {sys.version.split()[0]}\n")


if __name__ == "__main__":
    main()
