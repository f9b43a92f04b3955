"""Shards: every task in exactly one, whatever else is asked for, and read together as one collection."""

import json
from pathlib import Path

import pytest

from maieutic.collector import collect, read_results, summarise
from maieutic.collector.shard import Shard
from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.recipes.export import export
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader

MODEL = ScriptedModel("Answer: 1")


def tasks(n: int) -> list[Task]:
    return [Task(id=f"t{i}", question=f"Question {i}?", gold="1") for i in range(n)]


async def collect_all(out: Path, n: int, of: int) -> None:
    for index in range(of):
        await collect(tasks(n), out=out, model=MODEL, shard=f"{index}/{of}")


def test_every_task_is_in_one_shard_and_stays_there() -> None:
    ids = [f"task-{i}" for i in range(4000)]
    taken = [[task for task in ids if Shard(index, 8).takes(task)] for index in range(8)]
    assert sorted(task for part in taken for task in part) == sorted(ids)
    assert all(400 < len(part) < 600 for part in taken)
    assert [Shard(i, 16).takes("task-0") for i in range(16)].index(True) == 10  # a later version must say the same


async def test_shards_together_are_the_whole(tmp_path: Path) -> None:
    await collect_all(tmp_path / "parts", 30, 3)
    await collect(tasks(30), out=tmp_path / "whole", model=MODEL)
    rows = list(read_results(tmp_path / "parts"))
    assert sorted(row.key for row in rows) == sorted((f"t{i}", 0) for i in range(30))
    assert summarise(rows).accuracy == summarise(read_results(tmp_path / "whole")).accuracy
    with TraceReader(tmp_path / "parts") as reader:
        found = {run.task_key: reader.run(run.run_id) for run in reader.runs()}
    assert sorted(found) == sorted(f"t{i}" for i in range(30))
    assert all(len(run.calls) == 1 for run in found.values())
    whole = export(tmp_path / "whole", "solved", "trl-sft", tmp_path / "whole.jsonl")
    assert export(tmp_path / "parts", "solved", "trl-sft", tmp_path / "rows.jsonl").rows == whole.rows > 0


async def test_a_shard_goes_on_and_takes_in_tasks_that_were_added(tmp_path: Path) -> None:
    await collect_all(tmp_path, 30, 3)
    first = await collect(tasks(60), out=tmp_path, model=MODEL, shard="1/3")
    before = sum(Shard(1, 3).takes(f"t{i}") for i in range(30))
    after = sum(Shard(1, 3).takes(f"t{i}") for i in range(60))
    assert (first.done, first.new, first.total) == (after, after - before, after)
    manifest = json.loads((tmp_path / "shard-0001-of-0003" / "collect.json").read_text())
    assert manifest["shard"] == "1/3" and len(manifest["tasks"]) == after


@pytest.mark.parametrize("text", ["3", "3/3", "-1/3", "1/0", "a/b", "1/3/4", ""])
async def test_what_is_no_shard_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give I/N with I from 0 to N-1"):
        await collect(tasks(3), out=tmp_path / "out", model=MODEL, shard=text)
    assert not (tmp_path / "out").exists()


async def test_one_directory_is_divided_one_way(tmp_path: Path) -> None:
    await collect(tasks(9), out=tmp_path / "parts", model=MODEL, shard="0/3")
    for shard in ("0/4", None):
        with pytest.raises(UserError, match=r"holds shards of 3: give --shard I/3"):
            await collect(tasks(9), out=tmp_path / "parts", model=MODEL, shard=shard)
    await collect(tasks(9), out=tmp_path / "whole", model=MODEL)
    with pytest.raises(UserError, match="was started without shards"):
        await collect(tasks(9), out=tmp_path / "whole", model=MODEL, shard="0/3")


async def test_a_shard_without_tasks_is_done_at_once(tmp_path: Path) -> None:
    reports = [await collect(tasks(1), out=tmp_path, model=MODEL, shard=f"{i}/4") for i in range(4)]
    assert sorted(report.total for report in reports) == [0, 0, 0, 1]
    assert all(report.stopped is None for report in reports)
