"""Collects slowly, for tests that kill it: `python program.py OUT TASKS [CHECKPOINT]`; prints what it reports done."""

import asyncio
import random
import sys

from maieutic.collector import Progress, collect, stop_on_signals
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.types import Request


async def answer(request: Request) -> str:
    await asyncio.sleep(random.uniform(0.002, 0.04))
    return f"Answer: {request.sampling.seed}"


def report(progress: Progress) -> None:
    print(progress.done, flush=True)


async def main() -> None:
    tasks = [Task(id=f"task-{i}", question=f"Question {i}?", gold="1") for i in range(int(sys.argv[2]))]
    checkpoint = float(sys.argv[3]) if len(sys.argv) > 3 else 60.0
    async with stop_on_signals() as stop:
        done = await collect(
            tasks,
            out=sys.argv[1],
            model=ScriptedModel(answer),
            concurrency=4,
            on_progress=report,
            stop=stop,
            checkpoint=checkpoint,
        )
    print(done.stopped or "finished")


if __name__ == "__main__":
    asyncio.run(main())
