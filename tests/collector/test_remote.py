"""Collections behind a URL: brought, gone on with, uploaded whole, and never by two machines at once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

from maieutic.collector import collect, read_results
from maieutic.collector.remote import folder_for
from maieutic.errors import TraceError, UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.url_store import UrlStore

PROGRAM = Path(__file__).with_name("program.py")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine("one", tmp_path, monkeypatch)


def machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on it is the machine of this name: another has other files."""
    monkeypatch.setenv("MAIEUTIC_HOME", str(tmp_path / name))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"memory://{tmp_path.name}/runs"


def tasks(n: int = 10) -> list[Task]:
    return [Task(id=f"t{i}", question=f"Question {i}?", gold="1") for i in range(n)]


def model() -> ScriptedModel:
    return ScriptedModel("Answer: 1")


def there(url: str) -> dict[str, bytes]:
    fs, root = fsspec.url_to_fs(url)
    return {name.removeprefix(root).lstrip("/"): fs.cat_file(name) for name in fs.find(root)}


def lines(files: dict[str, bytes], name: str = "results.jsonl") -> list[str]:
    return files[name].decode().splitlines()


async def test_another_machine_goes_on_where_one_ended(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await collect(tasks(), out=url, model=model())
    assert len(lines(there(url))) == first.done == 10
    machine("two", tmp_path, monkeypatch)
    second = await collect(tasks(15), out=url, model=model())
    assert (second.done, second.new) == (15, 5)
    assert second.out != first.out
    machine("three", tmp_path, monkeypatch)
    fs, root = fsspec.url_to_fs(url)
    fs.get(root, str(tmp_path / "copy"), recursive=True)
    rows = list(read_results(tmp_path / "copy"))
    assert sorted(row.key for row in rows) == sorted((f"t{i}", 0) for i in range(15))
    with TraceReader(tmp_path / "copy") as reader:
        assert all(reader.run(row.run_id).finish for row in rows)
    machine("one", tmp_path, monkeypatch)  # what it has is older than what is there
    assert (await collect(tasks(15), out=url, model=model())).new == 0


async def test_the_same_machine_goes_on_with_what_was_never_uploaded(url: str) -> None:
    await collect(tasks(3), out=url, model=model())
    folder = folder_for(url)
    fs, root = fsspec.url_to_fs(url)
    before = there(url)
    await collect(tasks(10), out=url, model=model())
    for name, data in before.items():  # as if the machine had died before its last upload
        fs.pipe_file(f"{root}/{name}", data)
    state = folder / ".remote.json"
    state.write_text(json.dumps({"stamps": [json.loads(before["claim.json"])["stamp"]], "sent": {}}))
    scripted = model()
    report = await collect(tasks(10), out=url, model=scripted)
    assert (report.done, report.new, scripted.requests) == (10, 0, [])
    assert len(lines(there(url))) == 10


async def test_what_is_uploaded_on_the_way_is_consistent(url: str, tmp_path: Path) -> None:
    work = asyncio.create_task(
        collect(tasks(60), out=url, model=ScriptedModel("Answer: 1", latency=0.05), concurrency=2, checkpoint=0.05)
    )
    fs, root = fsspec.url_to_fs(url)
    seen = 0
    for number in range(6):
        await asyncio.sleep(0.2)
        copy = tmp_path / f"copy-{number}"
        await asyncio.to_thread(_copied, fs, root, copy)
        rows = list(read_results(copy)) if copy.exists() else []
        assert len(rows) >= seen
        seen = len(rows)
        if rows:
            with TraceReader(copy) as reader:
                assert all(reader.run(row.run_id).finish for row in rows)
    assert seen > 5
    await work
    files = there(url)
    assert not [name for name in files if name.endswith((".maieutic-part", ".jsonl")) and name.startswith("traces")]
    assert json.loads(files["claim.json"])["open"] is False


def _copied(fs: Any, root: str, copy: Path) -> None:
    """A copy of what is there, the ledger first: what its lines name must be there by then."""
    for name in sorted(fs.find(root), key=lambda name: "/traces/" in name):
        path = copy / name.removeprefix(root).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(fs.cat_file(name))
        except FileNotFoundError:  # sealed and uploaded anew meanwhile
            sealed = name + ".zst"
            path.with_name(path.name + ".zst").write_bytes(fs.cat_file(sealed))


async def test_one_machine_at_a_time(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs, root = fsspec.url_to_fs(url)
    claim = {"stamp": "x", "owner": "other-host:17", "time": time.time(), "open": True}
    fs.pipe_file(f"{root}/claim.json", json.dumps(claim).encode())
    with pytest.raises(UserError, match="other-host:17 is collecting into"):
        await collect(tasks(), out=url, model=model())
    fs.pipe_file(f"{root}/claim.json", json.dumps(claim | {"time": time.time() - 200}).encode())
    assert (await collect(tasks(), out=url, model=model())).done == 10


async def test_shards_lie_side_by_side(url: str) -> None:
    for index in (0, 1):
        await collect(tasks(), out=url, model=model(), shard=f"{index}/2")
    found = [name for name in there(url) if name.endswith("results.jsonl")]
    assert found == ["shard-0000-of-0002/results.jsonl", "shard-0001-of-0002/results.jsonl"]
    with pytest.raises(UserError, match="holds shards of 2"):
        await collect(tasks(), out=url, model=model())


async def test_other_things_are_left_alone(url: str) -> None:
    fs, root = fsspec.url_to_fs(url)
    fs.pipe_file(f"{root}/thesis.tex", b"precious")
    with pytest.raises(UserError, match="is not what was collected here"):
        await collect(tasks(), out=url, model=model())
    assert there(url) == {"thesis.tex": b"precious"}


async def test_a_url_that_nothing_here_can_reach() -> None:
    with pytest.raises(UserError, match="can't be used"):
        await collect(tasks(), out="nonsense://bucket/runs", model=model())


async def test_an_upload_that_fails_loses_nothing(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/there"
    await collect(tasks(3), out=url, model=model())
    in_the_way = tmp_path / "there" / "results.jsonl.maieutic-part"
    in_the_way.mkdir()  # nothing can be written under that name
    with pytest.raises(TraceError, match="Nothing is lost: it is in"):
        await collect(tasks(6), out=url, model=model())
    in_the_way.rmdir()
    report = await collect(tasks(6), out=url, model=model())
    assert (report.done, report.new) == (6, 0)
    assert len(lines(there(url))) == 6


async def test_an_upload_that_fails_on_the_way_is_made_good_by_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, in_the_way = f"file://{tmp_path}/there", tmp_path / "there" / "results.jsonl.maieutic-part"

    async def answer(request: object) -> str:
        number = len(scripted.requests)
        if number == 2:
            in_the_way.mkdir()
        while number == 3 and not caplog.records:  # until an upload has failed
            await asyncio.sleep(0.01)
        if number == 3:
            in_the_way.rmdir()
        while number == 4 and not (tmp_path / "there" / "results.jsonl").exists():  # until one was made good
            await asyncio.sleep(0.01)
        return "Answer: 1"

    scripted = ScriptedModel(answer)
    report = await collect(tasks(5), out=url, model=scripted, concurrency=1, checkpoint=0.02)
    assert (report.done, report.stopped) == (5, None)
    assert f"The upload to {url} failed" in caplog.text and "it is tried again in 0.02 s" in caplog.text
    assert len(lines(there(url))) == 5


async def test_where_an_upload_broke_off_another_machine_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, in_the_way = f"file://{tmp_path}/there", tmp_path / "there" / "traces"

    def answer(request: object) -> str:
        in_the_way.touch()  # no trace can be put below a file
        return "Answer: 1"

    with pytest.raises(TraceError, match="Nothing is lost"):
        await collect(tasks(3), out=url, model=ScriptedModel(answer))
    in_the_way.unlink()
    claim = tmp_path / "there" / "claim.json"
    claim.write_text(json.dumps(json.loads(claim.read_bytes()) | {"time": time.time() - 200}))
    machine("two", tmp_path, monkeypatch)
    report = await collect(tasks(3), out=url, model=model())
    assert (report.done, report.new) == (3, 3)
    machine("one", tmp_path, monkeypatch)  # it was overtaken, and takes what is there now
    assert (await collect(tasks(3), out=url, model=model())).new == 0


async def test_a_machine_that_was_overtaken_uploads_nothing_more(tmp_path: Path) -> None:
    url, claim = f"file://{tmp_path}/there", tmp_path / "there" / "claim.json"

    def answer(request: object) -> str:
        claim.write_text(json.dumps({"stamp": "x", "owner": "other-host:17", "time": time.time(), "open": True}))
        return "Answer: 1"

    with pytest.raises(TraceError, match="other-host:17 has gone on with"):
        await collect(tasks(3), out=url, model=ScriptedModel(answer))
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["claim.json"]


def test_killed_and_started_again_it_is_whole_there(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/there"
    command = [sys.executable, str(PROGRAM), url, "80"]
    env = {**os.environ, "MAIEUTIC_HOME": str(tmp_path / "machine")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.stdout.split("\n")[-2] == "finished"
    rows = list(read_results(tmp_path / "there"))
    assert sorted(row.key for row in rows) == sorted((f"task-{i}", 0) for i in range(80))
    with TraceReader(tmp_path / "there") as reader:
        assert all(reader.run(row.run_id).finish for row in rows)
        ended = [run.task_key for run in reader.runs() if run.finished]
    assert len(ended) == len(set(ended)) == 80
    assert UrlStore(url).names() >= {"collect.json", "results.jsonl", "traces", "claim.json"}
