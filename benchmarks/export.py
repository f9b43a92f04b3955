"""Export of many runs: rows a second and the memory that it takes, for a tenth, three tenths and all of them.

    python benchmarks/export.py [--runs 100000]

Every export has a process of its own, and the peak of its memory is asked of the system. A reader holds two segments of
64 MiB, so memory stands still from the second segment on. The peer is the plainest export: all rows in a list.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from maieutic.trace.record import CallRecord, RunHeader
from maieutic.trace.writer import TraceStore
from maieutic.types import Completion, Message, Request, Sampling, Usage

RESULTS = Path(__file__).parent / "results" / "export.md"
PROMPT, SAMPLED = 200, 200
REPEATS = 3


def write(root: Path, number: int) -> None:
    """Runs of one call each, all of them right, with other ids each."""
    chance = random.Random(0)
    with TraceStore(root) as store:
        for i in range(number):
            name = f"r{i:07}"
            run = store.open_run(RunHeader(name, f"t{i // 4}", sample=i % 4, graph="direct", task={"question": name}))
            ids = [chance.randrange(150_000) for _ in range(PROMPT + SAMPLED)]
            messages: tuple[Message, ...] = ({"role": "user", "content": "word " * PROMPT},)
            said = Completion(
                "word " * SAMPLED,
                finish_reason="stop",
                prompt_token_ids=tuple(ids[:PROMPT]),
                token_ids=tuple(ids[PROMPT:]),
                usage=Usage(1, PROMPT, SAMPLED),
            )
            run.call(CallRecord(name, "a", "model", Request(messages, Sampling()), said, 0.0, 1.0))
            run.finish(answer="1", answer_call="a", outcome="correct", score=1.0, partial=False)


def side(kind: str, root: Path, out: Path) -> None:
    """One export, in this process: prints its seconds and its peak in MiB."""
    started = time.perf_counter()
    if kind == "list":
        rows = everything_in_a_list(root, out)
    else:
        from maieutic.recipes.export import export

        rows = export(root, "solved", "trl-sft", out, kind=kind).rows
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - started, "peak": peak()}))


def everything_in_a_list(root: Path, out: Path) -> int:
    from maieutic.recipes.formats.trl_sft import trl_sft
    from maieutic.recipes.recipe import Candidate, Tally
    from maieutic.recipes.solved import solved
    from maieutic.trace.reader import TraceReader

    tally = Tally()
    with TraceReader(root) as reader:
        lines = [
            json.dumps(row) for row in trl_sft(solved([Candidate(s, reader) for s in reader.runs()], tally), tally)
        ]
    kept = list(dict.fromkeys(lines))
    out.write_text("\n".join(kept))
    return len(kept)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(root: Path, work: Path) -> Iterator[tuple[str, float, str]]:
    """Each side several times over the same traces, whose index is built before: its name, peak MiB, rows a second."""
    for kind in ("jsonl", "parquet", "list"):
        ran = []
        for _ in range(1 + REPEATS if kind == "jsonl" else REPEATS):  # the first one builds the index
            command = [sys.executable, __file__, "--side", kind, str(root), str(work / f"rows.{kind}")]
            ran.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        rates = sorted(said["rows"] / said["seconds"] for said in ran[-REPEATS:])
        said = f"{statistics.median(rates):.0f} ({rates[0]:.0f} to {rates[-1]:.0f})"
        yield kind, max(one["peak"] for one in ran), said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--side", nargs=3, metavar=("KIND", "TRACES", "OUT"))
    parser.add_argument("--write", nargs=2, metavar=("TRACES", "RUNS"))  # apart: children inherit their parent's peak
    asked = parser.parse_args()
    if asked.write:
        return write(Path(asked.write[0]), int(asked.write[1]))
    if asked.side:
        return side(asked.side[0], Path(asked.side[1]), Path(asked.side[2]))
    lines = ["| runs | side | peak MiB | rows a second |", "|-|-|-|-|"]
    for number in (asked.runs // 10, 3 * asked.runs // 10, asked.runs):
        with tempfile.TemporaryDirectory() as work:
            subprocess.run([sys.executable, __file__, "--write", f"{work}/traces", str(number)], check=True)
            for kind, most, rate in measured(Path(work) / "traces", Path(work)):
                lines.append(f"| {number:,} | {kind} | {most:.0f} | {rate} |")
                print(lines[-1], flush=True)
    said = (
        f"`python benchmarks/export.py --runs {asked.runs}`: {date.today()}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores shared with others. Runs of one call, {PROMPT} tokens in, {SAMPLED} out, through the "
        f"recipe `solved` into `trl-sft`; rates are the median of {REPEATS} processes (and their range), peaks the "
        "highest. `list` is the plainest export: all rows in a list."
    )
    RESULTS.write_text("# Export\n\n" + "\n".join(lines) + "\n\n" + said + "\n")


if __name__ == "__main__":
    main()
