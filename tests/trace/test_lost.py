"""Half of a directory deleted: what is missing is said once, what is whole is read, nothing else is called missing."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from maieutic.collector import collect
from maieutic.errors import TraceError
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.segment import list_segments
from maieutic.trace.writer import TraceStore
from tests.trace.builders import call, header


def write_run(root: Path, run_id: str, segments: int = 1) -> list[Path]:
    """A run whose lines are in so many segments, and these."""
    before = set(list_segments(root).values()) if root.exists() else set()
    with TraceStore(root, rotate_at=1 if segments > 1 else 2**26) as store:
        run = store.open_run(header(run_id))
        for number in range(1, segments - 1):
            asyncio.run(store.commit())
            run.call(call(run_id, f"c{number}"))
        asyncio.run(store.commit())
        run.finish(answer="4", outcome="correct", score=1.0, partial=False)
    made = [path for path in list_segments(root).values() if path not in before]
    assert len(made) == segments
    return made


def read(root: Path) -> tuple[list[str], list[str]]:
    """The runs that are listed, and the notes."""
    with TraceReader(root) as reader:
        return [run.run_id for run in reader.runs()], reader.notes


def away(path: Path, tmp_path: Path) -> Path:
    """Where a file was put out of the way."""
    return path.rename(tmp_path / f"kept-{path.name}")


def test_a_segment_that_is_gone_is_told_by_every_reader_until_it_is_back(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    (path,) = write_run(root, "r1")
    write_run(root, "r2")
    assert read(root) == (["r1", "r2"], [])
    kept = away(path, tmp_path)
    name = path.name.partition(".")[0]
    for _ in range(2):
        listed, (note,) = read(root)
        assert listed == ["r2"]
        assert note == (
            f"1 run recorded in {root} is missing or not whole any more, r1 (segment {name} is gone): put the missing "
            "segments back from a copy, or remove index.sqlite there if they are meant to be gone; all others are read."
        )
    with TraceReader(root) as reader, pytest.raises(TraceError, match=f"Run r1 is missing in .*segment {name} is gone"):
        reader.run("r1")
    kept.rename(path)
    assert read(root) == (["r1", "r2"], [])
    away(path, tmp_path)
    assert len(read(root)[1]) == 1
    (root / "index.sqlite").unlink()
    assert read(root) == (["r2"], [])


def test_all_segments_gone(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    paths = [*write_run(root, "r1"), *write_run(root, "r2")]
    assert read(root)[1] == []
    for path in paths:
        path.unlink()
    listed, (note,) = read(root)
    assert listed == [] and "2 runs recorded in" in note and "2 segments are gone, such as" in note


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_run_of_three_segments_without_one_of_them(tmp_path: Path, place: int, indexed: bool) -> None:
    root = tmp_path / "runs"
    paths = write_run(root, "r1", segments=3)
    write_run(root, "r2")
    if indexed:
        assert read(root) == (["r1", "r2"], [])
    kept = away(paths[place], tmp_path)
    listed, notes = read(root)
    if indexed:  # the half run is not taken for a whole one
        assert listed == ["r2"] and len(notes) == 1 and "r1 (segment " in notes[0]
    elif place == 0:
        assert listed == ["r2"] and len(notes) == 1 and "r1 (its first line is gone): put the missing" in notes[0]
    if indexed or place == 0:
        with TraceReader(root) as reader, pytest.raises(TraceError, match="Run r1 "):
            reader.run("r1")
    kept.rename(paths[place])
    with TraceReader(root) as reader:
        found = [(run.run_id, run.calls, run.outcome, run.finished is None) for run in reader.runs()]
        assert found == [("r1", 1, "correct", False), ("r2", 0, "correct", False)]
        assert reader.notes == [] and len(reader.run("r1").calls) == 1 and reader.run("r1").finish


def tasks(n: int) -> list[Task]:
    return [Task(id=f"t{i}", question=f"{i}?", gold="7") for i in range(n)]


async def collected(out: Path, n: int = 4, parts: Sequence[str | None] = (None,)) -> list[Path]:
    """A collection in as many segments as it has starts, and these."""
    for part in parts:
        for limit in range(1, n + 1) if part is None else (n,):
            await collect(tasks(n)[:limit], out=out, model=ScriptedModel("Answer: 7"), shard=part)
    roots = [out / "traces"] if (out / "traces").exists() else [out]
    return [path for root in roots for path in list_segments(root).values()]


async def test_runs_that_a_ledger_names_and_no_segment_has(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    first, second, *_ = await collected(out)
    for path in (first, second):
        path.unlink()
    for root in (out, out / "traces"):
        (out / "traces" / "index.sqlite").unlink(missing_ok=True)
        listed, (note,) = read(root)
        assert len(listed) == 2
        assert note.startswith(f"2 runs recorded in {out / 'traces'} are missing or not whole any more, such as ")
        assert f"({out / 'results.jsonl'} names it): put the missing segments back from a copy, or take their" in note
    lines = (out / "results.jsonl").read_text().splitlines(keepends=True)
    (out / "results.jsonl").write_text("".join(lines[2:]))
    assert read(out) == (listed, [])
    report = await collect(tasks(4), out=out, model=ScriptedModel("Answer: 7"))
    assert (report.new, report.done) == (2, 4)
    assert len(read(out)[0]) == 4 and read(out)[1] == []


async def test_the_end_of_a_run_that_is_gone_is_known_by_the_ledger(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    await collected(out, 2)
    root = out / "traces"
    with TraceReader(root) as reader:
        [one, two] = [run.run_id for run in reader.runs()]
    for path in list_segments(root).values():
        path.unlink()
    with TraceStore(root) as store:
        for run_id in (one, two):
            run = store.open_run(header(run_id))
            if run_id == one:
                run.finish(answer="4", outcome="correct", score=1.0, partial=False)
    (root / "index.sqlite").unlink()
    listed, (note,) = read(out)
    assert listed == [one, two] and f"1 run recorded in {root}" in note and f"{two} ({out / 'results.jsonl'}" in note


async def test_without_its_folder_of_traces(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    for path in await collected(out):
        path.unlink()
    for path in (out / "traces").iterdir():
        path.unlink()
    (out / "traces").rmdir()
    listed, (note,) = read(out)
    assert listed == [] and "4 runs recorded in" in note


async def test_shards_and_collections_put_together_lack_nothing(tmp_path: Path) -> None:
    parts = await collected(tmp_path / "parts", parts=("0/2", "1/2"))
    assert len(read(tmp_path / "parts")[0]) == 4 and read(tmp_path / "parts")[1] == []
    for path in await collected(tmp_path / "one", 2):  # one's runs among the other's, with its lines or without
        path.rename(parts[0].parent / path.name)
    assert len(read(tmp_path / "parts")[0]) == 6 and read(tmp_path / "parts")[1] == []
    ledger = parts[0].parent.parent / "results.jsonl"
    ledger.write_text(ledger.read_text() + (tmp_path / "one" / "results.jsonl").read_text())
    assert read(tmp_path / "parts")[1] == [] and read(parts[0].parent)[1] == []
    parts[0].unlink()
    listed, (note,) = read(tmp_path / "parts")
    assert 2 <= len(listed) < 6 and f"recorded in {tmp_path / 'parts'} " in note


async def test_a_line_that_is_torn_and_one_of_something_else_name_nothing(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    await collected(out, 2)
    ledger = out / "results.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + whole.splitlines()[0].replace(b'"run_id":"', b'"run_id":"x'))
    assert read(out)[1] == []
    ledger.write_bytes(whole + b'{"run_id":"nobody"}\n\xff\n')
    assert read(out)[1] == []
    ledger.unlink()
    ledger.mkdir()
    assert read(out)[1] == []


async def test_a_folder_that_is_being_written_lacks_nothing(tmp_path: Path) -> None:
    """Segments are sealed and lines are added all the time while it is read."""
    out, done, notes = tmp_path / "runs", threading.Event(), []

    def look() -> None:
        while not done.is_set():
            if (out / "traces").is_dir():
                notes.extend(read(out)[1])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for limit in range(1, 61, 4):
            await collect(tasks(limit), out=out, model=ScriptedModel("Answer: 7"))
    finally:
        done.set()
        watcher.join()
    assert notes == [] and len(read(out)[0]) == 57
