"""Kills collections at random moments: `python kennel.py OUT TASKS KILLS SEED`.

Python is started once and forked for each life, so that a life costs milliseconds; nothing runs in this process that a
fork could tear. A life that is killed must leave every line that it had reported, and every earlier line as it was.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from maieutic.collector import Progress, collect
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.types import Request
from tests.support.collected import whole_lines


async def answer(request: Request) -> str:
    await asyncio.sleep(random.uniform(0.002, 0.04))
    return f"Answer: {request.sampling.seed}"


def live(out: Path, tasks: list[Task], pipe: int) -> None:
    """One life: collect, and report what is done."""
    random.seed()

    def report(progress: Progress) -> None:
        os.write(pipe, b"%d\n" % progress.done)

    asyncio.run(collect(tasks, out=out, model=ScriptedModel(answer), concurrency=4, on_progress=report))


def one_life(out: Path, tasks: list[Task], seconds: float | None) -> tuple[int, bool]:
    """What it had reported done when it was killed after so many seconds, and whether it was done by then."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            live(out, tasks, writing)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().split(b"\n")[:-1]
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a life ended with an error: see above")
    return (int(said[-1]) if said else 0), os.WIFEXITED(status)


def main() -> None:
    out, number, kills, rng = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), random.Random(sys.argv[4])
    tasks = [Task(id=f"task-{i}", question=f"Question {i}?", gold="1") for i in range(number)]
    killed, before = 0, whole_lines(out)
    while killed < kills:
        reported, ended = one_life(out, tasks, rng.choice([rng.uniform(0.0, 0.05), rng.uniform(0.05, 0.4)]))
        if ended:
            raise SystemExit(f"all was done after {killed} kills: give more tasks")
        killed += 1
        lines = whole_lines(out)
        assert lines[: len(before)] == before, f"life {killed} changed a line"
        assert reported <= len(lines), f"life {killed} reported {reported} and left {len(lines)}"
        before = lines
    print(killed, len(before), flush=True)
    one_life(out, tasks, None)
    assert whole_lines(out)[: len(before)] == before


if __name__ == "__main__":
    main()
