import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from maieutic.collector import collect, read_results, stop_on_signals
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from tests.support.collected import whole_lines

PROGRAM = Path(__file__).with_name("program.py")
TASKS = 120


def start(out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), str(out), str(TASKS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_midway(out: Path, seconds: float, number: int) -> list[str]:
    """Start, let it work for `seconds`, send the signal; what it printed."""
    with start(out) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(number)
        return [first.strip(), *process.stdout.read().split("\n")[:-1]]


def finish(out: Path) -> str:
    with start(out) as process:
        assert process.stdout is not None
        return process.stdout.read().split("\n")[-2]


async def test_killed_again_and_again_it_loses_and_repeats_nothing(tmp_path: Path) -> None:
    rng = random.Random(time.time_ns())
    before: list[str] = []
    out = tmp_path / "killed"
    for _ in range(3):
        reported = [int(n) for n in kill_midway(out, rng.uniform(0.02, 0.3), signal.SIGKILL) if n.isdigit()]
        lines = whole_lines(out)
        assert lines[: len(before)] == before
        assert reported[-1] <= len(lines)
        before = lines
    assert finish(out) == "finished"
    rows = list(read_results(out))
    assert sorted(row.key for row in rows) == sorted((f"task-{i}", 0) for i in range(TASKS))
    with TraceReader(out / "traces") as reader:
        for row in rows:
            run = reader.run(row.run_id)
            assert run.finish is not None
            assert (run.header.task_key, run.finish.fields["answer"]) == (row.task, row.answer)
        ended = Counter(run.task_key for run in reader.runs() if run.finished)
    assert set(ended.values()) == {1}
    whole = [Task(id=f"task-{i}", question=f"Question {i}?", gold="1") for i in range(TASKS)]
    await collect(whole, out=tmp_path / "whole", model=ScriptedModel(lambda r: f"Answer: {r.sampling.seed}"))
    uninterrupted = {row.key: row.answer for row in read_results(tmp_path / "whole")}
    assert {row.key: row.answer for row in rows} == uninterrupted
    assert len(set(uninterrupted.values())) == TASKS  # the scripted model answers with its seed


def test_a_polite_signal_ends_it_cleanly(tmp_path: Path) -> None:
    said = kill_midway(tmp_path, 0.2, signal.SIGTERM)
    done = len(whole_lines(tmp_path))
    assert 0 < done < TASKS
    assert said[-1] == f"Interrupted after {done} results; start the same command again to go on."
    assert not list((tmp_path / "traces").glob("*.jsonl"))  # sealed


async def test_signals_are_as_before_after_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 60)
        assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGTERM) == before


async def test_runs_whose_line_was_lost_are_recovered_from_the_trace(tmp_path: Path) -> None:
    tasks = [Task(id=f"t{i}", question=f"q{i}", gold=str(i)) for i in range(20)]
    await collect(tasks, out=tmp_path, model=ScriptedModel("Answer: 3"))
    results = tmp_path / "results.jsonl"
    lines = results.read_bytes().splitlines(keepends=True)
    results.write_bytes(b"".join(lines[:15]) + lines[15][:40])
    model = ScriptedModel("Answer: 3")
    report = await collect(tasks, out=tmp_path, model=model)
    assert (report.recovered, report.new, report.done, model.requests) == (5, 0, 20, [])
    after = results.read_bytes().splitlines()
    assert sorted(map(json.loads, after), key=str) == sorted(map(json.loads, lines), key=str)


async def test_runs_that_were_cut_short_are_not_recovered(tmp_path: Path) -> None:
    tasks = [Task(question="q")]
    stop = asyncio.Event()
    waiting = asyncio.create_task(collect(tasks, out=tmp_path, model=ScriptedModel("x", latency=60), stop=stop))
    await asyncio.sleep(0.3)
    stop.set()
    assert (await waiting).done == 0
    report = await collect(tasks, out=tmp_path, model=ScriptedModel("Answer: 1"))
    assert (report.recovered, report.new) == (0, 1)
