"""Export of many runs: rows a CPU second and the memory that it takes, for a tenth, three tenths and all of them.

    python benchmarks/export.py [--runs 100000] [--repeats 3]

Every export has a process of its own, and the peak of its memory is asked of the system. A reader holds two segments of
64 MiB, so memory stands still from the second segment on. Tasks have four attempts each, which lie among those of other
tasks, as with many runs under way at once; `pairs` puts them together again. The peers are the plainest ways: all rows
in a list, all attempts in a dictionary.
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
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from maieutic.trace.record import CallRecord, RunHeader
from maieutic.trace.writer import TraceStore
from maieutic.types import Completion, Message, Request, Sampling, Usage

RESULTS = Path(__file__).parent / "results" / "export.md"
PROMPT, SAMPLED = 200, 200
ATTEMPTS, UNDER_WAY = 4, 512
SIDES = ("jsonl", "parquet", "replay", "pairs", "list", "dictionary")


def write(root: Path, number: int) -> None:
    """Runs of one call each, with other sampled ids each; the last attempt at each task is wrong."""
    chance = random.Random(0)
    with TraceStore(root) as store:
        for first in range(0, number, UNDER_WAY):
            order = list(range(first, min(first + UNDER_WAY, number)))
            chance.shuffle(order)
            for i in order:
                _write(store, i, chance)


def _write(store: TraceStore, i: int, chance: random.Random) -> None:
    name, task, sample = f"r{i:07}", f"t{i // ATTEMPTS}", i % ATTEMPTS
    header = RunHeader(
        name, task, sample=sample, graph="direct", task={"id": task, "question": task}, group_id=f"{task}/direct"
    )
    run = store.open_run(header)
    prompt = random.Random(i // ATTEMPTS)
    messages: tuple[Message, ...] = ({"role": "user", "content": f"{task} " + "word " * PROMPT},)
    said = Completion(
        f"{name} " + "word " * SAMPLED,
        finish_reason="stop",
        prompt_token_ids=tuple(prompt.randrange(150_000) for _ in range(PROMPT)),
        token_ids=tuple(chance.randrange(150_000) for _ in range(SAMPLED)),
        usage=Usage(1, PROMPT, SAMPLED),
    )
    run.call(CallRecord(name, "a", "model", Request(messages, Sampling()), said, 0.0, 1.0))
    right = sample < ATTEMPTS - 1
    outcome, score = ("correct", 1.0) if right else ("wrong", 0.0)
    run.finish(answer=str(int(right)), answer_call="a", outcome=outcome, score=score, partial=False)


def older(rows: Path, out: Path) -> None:
    """Other rows of the same form and number."""
    with rows.open("rb") as lines, out.open("wb") as file:
        file.writelines(line.replace(b"[", b"[0,") for line in lines)


def side(kind: str, root: Path, out: Path) -> None:
    """One export, in this process: prints its seconds and its peak in MiB."""
    started = time.process_time()
    if kind == "list":
        rows = everything_in_a_list(root, out)
    elif kind == "dictionary":
        rows = attempts_in_a_dictionary(root, out)
    else:
        from maieutic.recipes.export import export

        recipe, format = ("step_dpo", "trl-dpo") if kind == "pairs" else ("solved", "trl-sft")
        replay = (out.with_name("older.jsonl"), 0.25) if kind == "replay" else None
        file = "parquet" if kind == "parquet" else "jsonl"
        rows = export(root, recipe, format, out, kind=file, replay=replay).rows
    print(json.dumps({"rows": rows, "seconds": time.process_time() - started, "peak": peak()}))


def everything_in_a_list(root: Path, out: Path) -> int:
    from maieutic.recipes.candidates import Candidates
    from maieutic.recipes.formats.trl_sft import trl_sft
    from maieutic.recipes.recipe import Tally
    from maieutic.recipes.solved import solved
    from maieutic.trace.reader import TraceReader

    tally = Tally()
    with TraceReader(root) as reader:
        lines = [json.dumps(row) for row in trl_sft(solved(Candidates([reader]), tally), tally)]
    kept = list(dict.fromkeys(lines))
    out.write_text("\n".join(kept))
    return len(kept)


def attempts_in_a_dictionary(root: Path, out: Path) -> int:
    from maieutic.recipes.candidates import Candidates
    from maieutic.recipes.groups import Attempt, attempts
    from maieutic.recipes.recipe import Tally
    from maieutic.trace.reader import TraceReader

    groups: defaultdict[str, list[Attempt]] = defaultdict(list)
    with TraceReader(root) as reader:
        for attempt in attempts(Candidates([reader]), Tally(), "pairs"):
            groups[attempt.run.header.task_key].append(attempt)
    lines = []
    for group in groups.values():
        right = next(attempt for attempt in group if attempt.right)
        wrong = next(attempt for attempt in group if not attempt.right)
        sides = {"chosen": [right.reply.message], "rejected": [wrong.reply.message]}
        lines.append(json.dumps({"prompt": right.prompt, **sides}))
    out.write_text("\n".join(lines))
    return len(lines)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(root: Path, work: Path, repeats: int) -> Iterator[tuple[str, float, str]]:
    """Each side several times over the same traces, whose index is built before: its name, peak MiB, rows a second."""
    for kind in SIDES:
        ran = []
        for _ in range(1 + repeats if kind == "jsonl" else repeats):  # the first one builds the index
            command = [sys.executable, __file__, "--side", kind, str(root), str(work / f"rows.{kind}")]
            ran.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        if kind == "jsonl":
            older(work / "rows.jsonl", work / "older.jsonl")
        rates = sorted(said["rows"] / said["seconds"] for said in ran[-repeats:])
        said = f"{statistics.median(rates):.0f} ({rates[0]:.0f} to {rates[-1]:.0f})"
        yield kind, max(one["peak"] for one in ran), said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", nargs=3, metavar=("KIND", "TRACES", "OUT"))
    parser.add_argument("--write", nargs=2, metavar=("TRACES", "RUNS"))  # apart: children inherit their parent's peak
    asked = parser.parse_args()
    if asked.write:
        return write(Path(asked.write[0]), int(asked.write[1]))
    if asked.side:
        return side(asked.side[0], Path(asked.side[1]), Path(asked.side[2]))
    lines = ["| runs | side | peak MiB | rows a CPU second |", "|-|-|-|-|"]
    for number in (asked.runs // 10, 3 * asked.runs // 10, asked.runs):
        with tempfile.TemporaryDirectory() as work:
            subprocess.run([sys.executable, __file__, "--write", f"{work}/traces", str(number)], check=True)
            for kind, most, rate in measured(Path(work) / "traces", Path(work), asked.repeats):
                lines.append(f"| {number:,} | {kind} | {most:.0f} | {rate} |")
                print(lines[-1], flush=True)
    said = (
        f"`python benchmarks/export.py --runs {asked.runs} --repeats {asked.repeats}`: {date.today()}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores shared with others. Runs of one call, {PROMPT} "
        f"tokens in, {SAMPLED} out, {ATTEMPTS} at each task, of which one is wrong, in random order among {UNDER_WAY}. "
        "`jsonl`, `parquet` and `replay` (a quarter of older rows) are of the recipe `solved` into `trl-sft`, `pairs` "
        "of `step_dpo` into `trl-dpo`; `list` and `dictionary` are the plainest ways to the first and to the last. "
        "Rates are of the processor's time, the median of all processes (and their range), peaks the highest. A task "
        "gives one pair, so that a pair stands for four runs read."
    )
    RESULTS.write_text("# Export\n\n" + "\n".join(lines) + "\n\n" + said + "\n")


if __name__ == "__main__":
    main()
