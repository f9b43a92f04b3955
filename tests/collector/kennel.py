"""Kills collections at random moments: `python kennel.py OUT TASKS KILLS SEED`.

A life is killed a random while after its start, or a random while after it reported a random number of tasks done: the
first finds the moments of starting, the second gets on however slow the machine is.

Python is started once and forked for each life, so that a life costs milliseconds; nothing runs in this process that a
fork could tear. A life that is killed must leave every line that it had reported, and every earlier line as it was.
"""

import asyncio
import os
import random
import signal
import sys
import time
import traceback
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


def one_life(out: Path, tasks: list[Task], reports: int, seconds: float | None) -> tuple[int, bool]:
    """What it had reported done when it was killed, so many seconds after so many reports, and whether it had ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            live(out, tasks, writing)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = [pipe.readline() for _ in range(reports)]
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        said += pipe.readlines()
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a life ended with an error: see above")
    whole = [line for line in said if line.endswith(b"\n")]
    return (int(whole[-1]) if whole else 0), os.WIFEXITED(status)


def main() -> None:
    out, number, kills, rng = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), random.Random(sys.argv[4])
    tasks = [Task(id=f"task-{i}", question=f"Question {i}?", gold="1") for i in range(number)]
    killed, before = 0, whole_lines(out)
    while killed < kills:
        reports, seconds = rng.choice([(0, rng.uniform(0.0, 0.05)), (rng.randint(1, 12), rng.uniform(0.0, 0.02))])
        reported, ended = one_life(out, tasks, reports, seconds)
        if ended:
            raise SystemExit(f"all was done after {killed} kills: give more tasks")
        killed += 1
        lines = whole_lines(out)
        assert lines[: len(before)] == before, f"life {killed} changed a line"
        assert reported <= len(lines), f"life {killed} reported {reported} and left {len(lines)}"
        before = lines
    print(killed, len(before), flush=True)
    one_life(out, tasks, 0, None)
    assert whole_lines(out)[: len(before)] == before


if __name__ == "__main__":
    main()
