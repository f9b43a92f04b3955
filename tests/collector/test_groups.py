"""Groups that end early: nothing needless is begun, what ended early says so, and a second start decides alike."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from maieutic.collector import collect, read_groups, read_results
from maieutic.errors import ModelError, UserError
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.types import Request


def tasks(n: int = 4) -> list[Task]:
    return [Task(id=f"t{i}", question=f"What is {i}?", gold=str(i), answer_type="number") for i in range(n)]


class Attempts:
    """A model whose nth attempt at a question gives the nth of its replies; `peak` is the most at one question."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = replies
        self.asked: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self.peak = 0

    async def __call__(self, request: Request) -> Reply:
        question = str(request.messages[-1]["content"])
        reply = self._replies[self.asked[question]]
        self.asked[question] += 1
        self._now[question] += 1
        self.peak = max(self.peak, self._now[question])
        await asyncio.sleep(0.005)
        self._now[question] -= 1
        number = question.split()[-1].strip("?")
        return reply.replace("RIGHT", f"Answer: {number}") if isinstance(reply, str) else reply


def samples(out: Path) -> dict[str, int]:
    return dict(sorted(Counter(row.task for row in read_results(out)).items()))


async def test_groups_share_an_id_and_have_seeds_of_their_own(tmp_path: Path) -> None:
    report = await collect(tasks(2), out=tmp_path, model=ScriptedModel("Answer: 1"), samples=3)
    with TraceReader(report.traces) as reader:
        headers = [reader.run(run.run_id).header for run in reader.runs()]
    assert set(Counter((h.task_key, h.group_id) for h in headers).values()) == {3}
    assert len({h.group_id for h in headers}) == 2 and len({h.seed for h in headers}) == 6
    assert not any("group" in h.asked for h in headers)


async def test_no_attempt_is_made_once_enough_are_correct(tmp_path: Path) -> None:
    said = Attempts("Answer: 99", "RIGHT", "Answer: 98", "RIGHT", "RIGHT", "RIGHT")
    model = ScriptedModel(said)
    report = await collect(tasks(), out=tmp_path, model=model, samples=6, stop_group_at=2, concurrency=16)
    assert samples(tmp_path) == dict.fromkeys(["t0", "t1", "t2", "t3"], 4)
    assert said.peak == 2  # never more under way than may still be needed
    assert (report.total, report.done, report.left_out) == (16, 16, 8)
    rows = {row.task: (row.attempts, row.correct, row.left_out, row.why) for row in read_groups(tmp_path)}
    assert rows == dict.fromkeys(["t0", "t1", "t2", "t3"], (4, 2, 2, "2 correct"))
    with TraceReader(report.traces) as reader:
        asked = [reader.run(run.run_id).header.asked["group"] for run in reader.runs()]
    assert asked == [{"samples": 6, "stop_group_at": 2, "stop_group_agreed": None}] * 16


async def test_a_group_that_agrees_ends_and_one_that_does_not_goes_on(tmp_path: Path) -> None:
    agreeing = Attempts("Answer: 5", "Answer: 5.0", "Answer: 10/2", "Answer: 6", "Answer: 6")
    await collect(tasks(1), out=tmp_path / "a", model=ScriptedModel(agreeing), samples=5, stop_group_agreed=3)
    assert samples(tmp_path / "a") == {"t0": 3}
    assert [row.why for row in read_groups(tmp_path / "a")] == ["the first 3 agree"]
    torn = Attempts("Answer: 5", "Answer: 6", "Answer: 6", "Answer: 6", "Answer: 6")
    await collect(tasks(1), out=tmp_path / "b", model=ScriptedModel(torn), samples=5, stop_group_agreed=3)
    assert samples(tmp_path / "b") == {"t0": 5}
    assert list(read_groups(tmp_path / "b")) == []


@pytest.mark.parametrize("reply", ["Hm.", "Answer: I don't know"])
async def test_what_is_not_an_answer_agrees_with_nothing(reply: str, tmp_path: Path) -> None:
    model = ScriptedModel(Attempts(*[reply] * 4))
    report = await collect(tasks(1), out=tmp_path, model=model, samples=4, stop_group_agreed=2)
    assert (report.done, report.left_out) == (4, 0)


async def test_a_failed_attempt_is_no_answer_and_is_not_tried_again_in_vain(tmp_path: Path) -> None:
    said = Attempts(ModelError("Too long."), "RIGHT", "RIGHT", "RIGHT")
    options = {"samples": 4, "stop_group_at": 2}
    report = await collect(tasks(2), out=tmp_path, model=ScriptedModel(said), **options)  # type: ignore[arg-type]
    assert samples(tmp_path) == {"t0": 2, "t1": 2} and report.failed == 2
    model = ScriptedModel("Answer: 0")
    again = await collect(tasks(2), out=tmp_path, model=model, **options)  # type: ignore[arg-type]
    assert (again.new, model.requests, again.total, again.left_out) == (0, [], 4, 4)
    assert len(list(read_groups(tmp_path))) == 2


async def test_a_second_start_goes_on_within_a_group(tmp_path: Path) -> None:
    stop = asyncio.Event()

    def until_stopped(request: Request) -> str:
        if len(model.requests) == 3:
            stop.set()
        return "Answer: 7"

    model = ScriptedModel(until_stopped, latency=0.01)
    options = {"samples": 6, "stop_group_at": 1, "concurrency": 1}
    first = await collect(tasks(1), out=tmp_path, model=model, stop=stop, **options)  # type: ignore[arg-type]
    assert first.stopped and first.done < 6
    report = await collect(tasks(1), out=tmp_path, model=ScriptedModel("Answer: 0"), **options)  # type: ignore[arg-type]
    assert report.new == 1 and report.done == first.done + report.recovered + 1
    with pytest.raises(UserError, match="stop_group_at 1, and now None"):
        await collect(tasks(1), out=tmp_path, model=model, samples=6)


@pytest.mark.parametrize(("wrong", "said"), [({"stop_group_at": 0}, "from 1"), ({"stop_group_agreed": 1}, "from 2")])
async def test_rules_that_make_no_sense_are_refused(wrong: dict[str, int], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        await collect(tasks(1), out=tmp_path / "out", model=ScriptedModel(""), **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
