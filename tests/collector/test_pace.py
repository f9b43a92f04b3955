"""The pace: it finds what a server bears, gives way where it doesn't, stays within its bounds, and waits for nobody."""

import asyncio
import time
from pathlib import Path

import pytest

from maieutic.cli.progress import in_words
from maieutic.collector import Progress, collect
from maieutic.collector.load import tell_load
from maieutic.collector.pace import AdaptivePace, Pace, pace_of
from maieutic.errors import UserError
from maieutic.llm.registry import resolve_model
from maieutic.llm.scripted import ScriptedModel
from maieutic.settings import Settings
from maieutic.tasks.task import Task
from maieutic.types import Request
from tests.support.server import Answer, FakeServer


def tasks(n: int) -> list[Task]:
    return [Task(id=f"t{i}", question=f"Question {i}?", gold="1") for i in range(n)]


def window(pace: AdaptivePace, seconds: float = 1.0) -> None:
    """As many runs as are allowed at once, all of them used."""
    number = pace.limit
    for _ in range(number):
        pace.begin()
    for _ in range(number):
        pace.end()
        pace.took(seconds, 10)


def test_it_doubles_until_the_first_load_and_then_grows_by_steps() -> None:
    pace = AdaptivePace(4, 512)
    seen = []
    for _ in range(5):
        window(pace)
        seen.append(pace.limit)
    assert seen == [8, 16, 32, 64, 128]
    pace.refused()
    assert pace.limit == 64
    pace.refused()  # the same trouble, told twice
    assert pace.limit == 64
    window(pace)
    assert pace.limit == 64  # what gave way is looked at for a whole window
    window(pace)
    assert pace.limit == 68


def test_it_stays_within_its_bounds() -> None:
    pace = AdaptivePace(4, 10)
    for _ in range(5):
        window(pace)
    assert pace.limit == 10
    for _ in range(4):
        pace.refused()
        window(pace)
    assert pace.limit == 4


def test_what_is_not_used_does_not_grow() -> None:
    pace = AdaptivePace(4, 100)
    for _ in range(40):
        pace.begin()
        pace.end()
        pace.took(1.0, 10)
    assert pace.limit == 4


def test_a_long_queue_gives_way_and_a_server_that_tells_of_none_may_take_its_time() -> None:
    pace = AdaptivePace(4, 512)
    for _ in range(4):
        window(pace)
    pace.queued(5)
    assert pace.limit == 64
    pace.queued(9)
    assert pace.limit == 44
    window(pace)
    pace.queued(0)
    window(pace, seconds=60.0)
    assert pace.limit == 46


def test_a_server_without_a_queue_is_judged_by_its_time_a_token() -> None:
    pace = AdaptivePace(4, 512)
    for _ in range(4):
        window(pace)
    assert pace.limit == 64
    window(pace, seconds=2.5)
    assert pace.limit == 128
    window(pace, seconds=3.5)
    assert pace.limit == 89


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("x", "give a number such as 64"), ("0", "from 1"), (-1, "from 1"), ("8-4", "the lower bound first"), ("", "64")],
)
def test_what_is_no_pace_is_refused(text: str | int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        pace_of(text)


def test_a_number_is_fixed_and_bounds_are_not() -> None:
    assert type(pace_of(5)) is type(pace_of("5")) is type(pace_of("5-5")) is Pace
    assert (pace_of("8-512").low, pace_of("8-512").high) == (8, 512)


class Capacity:
    """A model that serves `width` requests at once and lets the others wait."""

    def __init__(self, width: int, seconds: float) -> None:
        self._slots = asyncio.Semaphore(width)
        self._seconds = seconds

    async def __call__(self, request: Request) -> str:
        async with self._slots:
            await asyncio.sleep(self._seconds)
        return "Answer: 1"


async def test_it_finds_a_servers_width_and_shows_it(tmp_path: Path) -> None:
    seen: list[Progress] = []
    model = ScriptedModel(Capacity(16, 0.03))
    report = await collect(tasks(1200), out=tmp_path, model=model, concurrency="4-1000", on_progress=seen.append)
    limits = [progress.limit for progress in seen]
    assert report.done == 1200 and limits[0] == 4
    settled = limits[len(limits) // 2 :]
    assert 12 <= min(settled) and max(settled) < 160  # without giving way it would be 512 by then
    assert model.peak < 300
    middle = seen[len(seen) // 2]
    assert f"{middle.under_way} of {middle.limit} under way" in in_words(middle)


async def test_refusals_and_queues_of_a_real_server_are_told() -> None:
    told: list[str] = []

    class Told(AdaptivePace):
        def refused(self) -> None:
            told.append("refused")

        def queued(self, waiting: int) -> None:
            told.append(f"queued {waiting}")

    with FakeServer([Answer(status=429, headers={"retry-after": "0"}), Answer("Answer: 1")]) as server:
        server.waiting = 7
        model = resolve_model(f"vllm/m@{server.url}", Settings()).model
        watching = asyncio.create_task(tell_load([model, ScriptedModel("")], Told(1, 9), every=0.02))
        await model.sample(Request(({"role": "user", "content": "?"},)))
        await asyncio.sleep(0.3)
        watching.cancel()
        await model.close()
    assert told.count("refused") == 1 and "queued 7" in told


async def test_a_straggler_holds_up_nobody_and_is_named(tmp_path: Path) -> None:
    seen: list[Progress] = []
    started = time.monotonic()

    async def script(request: Request) -> str:
        await asyncio.sleep(1.5 if "Question 0?" in str(request.messages[-1]["content"]) else 0.005)
        return "Answer: 1"

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 99:
            others.append(time.monotonic() - started)

    others: list[float] = []
    await collect(tasks(100), out=tmp_path, model=ScriptedModel(script), concurrency=4, on_progress=watch)
    assert others and others[0] < 1.4
    last = max(seen, key=lambda progress: progress.oldest)
    assert last.oldest > 0.2 and last.limit == 4
