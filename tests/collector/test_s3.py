"""Collections and rows in S3, at a real server on this machine: gone on with, killed, and cut off from it.

Skipped where s3fs or moto is not installed; `make test` installs both.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import fsspec
import pytest

from maieutic.cli.collection import in_words
from maieutic.collector import collect
from maieutic.collector.remote import folder_for
from maieutic.errors import TraceError
from maieutic.llm.scripted import ScriptedModel
from maieutic.recipes.export import export
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from tests.support.collected import each_done_once
from tests.support.s3 import S3Server

pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'maieutic[remote]'")
pytest.importorskip("moto.server", reason="moto is not installed: pip install 'maieutic[dev]'")
PROGRAM = Path(__file__).with_name("program.py")


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A server whose bucket is this test's own."""
    bucket = "b-" + "".join(random.choices("abcdefgh", k=12))
    with S3Server(bucket) as server:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in {**server.environment, "MAIEUTIC_HOME": str(tmp_path / "one")}.items():
            monkeypatch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield server


def tasks(n: int = 10) -> list[Task]:
    return [Task(id=f"t{i}", question=f"Question {i}?", gold="1") for i in range(n)]


def keys(n: int) -> list[tuple[str, int]]:
    return [(f"t{i}", 0) for i in range(n)]


def model(latency: float = 0.0) -> ScriptedModel:
    return ScriptedModel("Answer: 1", latency=latency)


def brought(s3: S3Server, below: str, folder: Path) -> Path:
    """A copy of what is there."""
    for name, data in s3.files(below).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def maieutic(*arguments: str, env: Mapping[str, str | None] = {}, without: str = "") -> tuple[int, list[str]]:
    """The command in a process of its own: its exit code, and the lines on stderr. `without` is not installed there."""
    code = f"import sys; sys.modules.update(dict.fromkeys({without.split()})); from maieutic.cli import main; main()"
    changed = {**os.environ, **env}
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={name: value for name, value in changed.items() if value is not None},
    )
    return ran.returncode, ran.stderr.splitlines()


def task_file(tmp_path: Path) -> str:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(task.model_dump_json() + "\n" for task in tasks(3)))
    return str(path)


async def test_another_machine_goes_on_where_one_ended(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://{s3.bucket}/deep/runs"
    first = await collect(tasks(), out=url, model=model())
    assert (first.done, first.place) == (10, url) and first.out.is_dir()
    assert f"traces:  {url}/traces" in in_words(first) and f"export {url} --recipe" in in_words(first)
    monkeypatch.setenv("MAIEUTIC_HOME", str(tmp_path / "two"))
    second = await collect(tasks(15), out=url, model=model())
    assert (second.done, second.new) == (15, 5)
    each_done_once(brought(s3, "deep/runs/", tmp_path / "copy"), keys(15))
    assert json.loads(s3.files("deep/runs/")["claim.json"])["open"] is False


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_lost_and_nothing_doubled(s3: S3Server, tmp_path: Path) -> None:
    """Uploads are made all the time, so that kills fall into them, too; the last start is another machine's."""
    url, told, home = f"s3://{s3.bucket}/runs", 0, tmp_path / "one"
    command = [sys.executable, str(PROGRAM), url, "300", "0.05"]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
            assert process.stdout is not None
            enough = told + 10
            while told < enough:
                told = int(process.stdout.readline())
            time.sleep(random.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            told = max([told, *map(int, process.stdout.read().split("\n")[:-1])])
        local = (next((home / "remote").iterdir()) / "results.jsonl").read_text().count("\n")
        assert local >= told
        copy = brought(s3, "runs/", tmp_path / f"copy-{told}")
        with TraceReader(copy) as reader:  # what is there has a whole trace for every result
            for line in (copy / "results.jsonl").read_text().splitlines() if (copy / "results.jsonl").exists() else ():
                assert reader.run(json.loads(line)["run_id"]).finish
    claim = json.loads(s3.files("runs/")["claim.json"])
    s3.put("runs/claim.json", json.dumps(claim | {"time": claim["time"] - 200}).encode())
    env = {**os.environ, "MAIEUTIC_HOME": str(tmp_path / "two")}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0 and done.stdout.endswith("finished\n"), done.stderr
    each_done_once(brought(s3, "runs/", tmp_path / "last"), [(f"task-{i}", 0) for i in range(300)])
    assert not [name for name in s3.files("runs/") if name.endswith("-part")]


@pytest.mark.slow
async def test_a_server_that_goes_away_in_the_middle_loses_nothing(s3: S3Server, tmp_path: Path) -> None:
    url = f"s3://{s3.bucket}/runs"
    await collect(tasks(3), out=url, model=model())
    before = s3.files()
    s3.stop()
    try:
        code, lines = maieutic("collect", task_file(tmp_path), "--model", "in-box", "--out", url, "--quiet")
    finally:
        s3.start()
    assert code == 2 and len(lines) == 1
    assert lines[0].startswith(f"maieutic: {url} can't be used (Could not connect to the endpoint URL")
    assert lines[0].endswith("see that the server is up and rightly named, then start the same command again.")

    def going(request: object) -> str:
        if len(scripted.requests) == 3:
            s3.stop()
        return "Answer: 1"

    scripted = ScriptedModel(going)
    try:
        with pytest.raises(TraceError, match=r"Not all of it could be uploaded.*Nothing is lost: it is in"):
            await collect(tasks(9), out=url, model=scripted, concurrency=1)
    finally:
        s3.start()
    assert s3.files().keys() == before.keys()
    again = await collect(tasks(12), out=url, model=model())
    assert (again.done, again.new) == (12, 3)
    each_done_once(brought(s3, "runs/", tmp_path / "copy"), keys(12))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bucket", "env", "without", "sentence"),
    [
        ("not-there", {}, "", "(there is no bucket not-there): make it, or give another place."),
        (
            "",
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true"},
            "",
            "(no credentials for it were found): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
        ),
        ("", {}, "s3fs", "needs an optional part that is not installed: pip install 'maieutic[remote]'."),
    ],
)
async def test_what_can_not_be_used_is_said_in_a_sentence_and_leaves_nothing(
    bucket: str, env: dict[str, str | None], without: str, sentence: str, s3: S3Server, tmp_path: Path
) -> None:
    env = {**env, "HOME": str(tmp_path / "nobody")}
    buckets = s3.buckets()
    url = f"s3://{bucket or s3.bucket}/runs"
    collecting = ("collect", task_file(tmp_path), "--model", "in-box", "--out", url, "--quiet")
    await collect(tasks(3), out=tmp_path / "here", model=model())
    exporting = ("export", str(tmp_path / "here"), "--out", f"{url}/rows.jsonl")
    for command in (collecting, exporting):
        code, lines = maieutic(*command, env=env, without=without)
        assert code == 2 and len(lines) == 1
        assert lines[0].startswith("maieutic: ") and url in lines[0] and lines[0].endswith(sentence)
    assert s3.buckets() == buckets and s3.files() == {}
    assert not folder_for(url).exists()


async def test_a_request_that_is_wrong_leaves_nothing_there(s3: S3Server, tmp_path: Path) -> None:
    url = f"s3://{s3.bucket}/runs"
    code, lines = maieutic("collect", task_file(tmp_path), "--model", "nothing-like-it", "--out", url, "--quiet")
    assert code == 2 and len(lines) == 1 and "nothing-like-it" in lines[0]
    assert s3.files() == {}


async def test_rows_are_sent_with_their_cards(s3: S3Server, tmp_path: Path) -> None:
    report = await collect(tasks(4), out=tmp_path / "runs", model=model())
    url = f"s3://{s3.bucket}/rows/solved.jsonl"
    made = export(report.out, "solved", "trl-sft", url)
    here = export(report.out, "solved", "trl-sft", tmp_path / "solved.jsonl")
    assert (made.url, made.place(made.out), made.rows) == (url, url, here.rows)
    assert made.place(made.readable_card) == f"{url}.card.md"
    files = s3.files("rows/")
    assert sorted(files) == ["solved.jsonl", "solved.jsonl.card.json", "solved.jsonl.card.md"]
    assert files["solved.jsonl"] == here.out.read_bytes()
    card = json.loads(files["solved.jsonl.card.json"])
    assert f"--out {url}" in card["command"] and card["rows"] == here.rows == 4


async def test_runs_are_read_from_there(s3: S3Server, tmp_path: Path) -> None:
    url = f"s3://{s3.bucket}/runs"
    await collect(tasks(4), out=url, model=model(), shard="0/2")
    await collect(tasks(4), out=url, model=model(), shard="1/2")
    rows = tmp_path / "rows.jsonl"
    assert maieutic("export", url, "--out", str(rows)) == (0, [])
    assert len(rows.read_text().splitlines()) == 4
    card = json.loads((tmp_path / "rows.jsonl.card.json").read_text())
    assert card["command"].startswith(f"maieutic export {url} ")
    for place, sentence in ((f"{url}-2", "There are no runs in "), ("s3://not-there/runs", "no bucket not-there")):
        code, lines = maieutic("export", place, "--out", str(tmp_path / "none.jsonl"))
        assert code == 2 and len(lines) == 1 and sentence in lines[0]
    assert not (tmp_path / "none.jsonl").exists()


async def test_a_dataset_is_sent_as_a_folder_and_no_other_is_overwritten(s3: S3Server, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    report = await collect(tasks(4), out=tmp_path / "runs", model=model())
    url = f"s3://{s3.bucket}/dataset"
    s3.put("dataset/thesis.tex", b"precious")
    arguments = ("export", str(report.out), "--as", "hf", "--out", url)
    code, lines = maieutic(*arguments)
    assert code == 2 and "give another folder" in lines[0] and s3.files() == {"dataset/thesis.tex": b"precious"}
    s3.client.delete_object(Bucket=s3.bucket, Key="dataset/thesis.tex")
    for _ in range(2):  # an earlier export's is
        assert maieutic(*arguments) == (0, [])
    assert sorted(s3.files("dataset/")) == ["README.md", "card.json", "data/train-00000-of-00001.parquet"]
