"""From tasks to rows at the command line: `collect`, `export`, `trace`."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.support.server import Answer, FakeServer

TASKS = [{"id": f"t{i}", "question": f"What is {i} + {42 - i}?", "gold": "42"} for i in range(4)]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(task) + "\n" for task in TASKS))
    return path


def test_tasks_become_rows(maieutic: Command, tasks: Path, tmp_path: Path) -> None:
    out, rows = tmp_path / "out", tmp_path / "rows.jsonl"
    collected = maieutic("collect", str(tasks), "--model", "yes", "--out", str(out), "--samples", "2")
    assert collected.code == 0
    assert "8 of 8 runs" in collected.out
    assert "correct: 8 of 8, 100.0 %" in collected.out
    assert "8/8" in collected.err
    exported = maieutic("export", str(out), "--out", str(rows), "--json")
    report = json.loads(exported.out)
    assert report["runs"] == {"seen": 8, "kept": 8, "dropped": {}}
    assert len(rows.read_text().splitlines()) == report["rows"]


def test_the_same_command_goes_on(maieutic: Command, tasks: Path, tmp_path: Path) -> None:
    command = ["collect", str(tasks), "--model", "yes", "--out", str(tmp_path / "out"), "--json", "--quiet"]
    first = json.loads(maieutic(*command, "--limit", "3").out)
    again = maieutic(*command)
    assert (first["done"], first["new"]) == (3, 3)
    assert (json.loads(again.out)["done"], json.loads(again.out)["new"]) == (4, 1)
    assert again.err == ""


def test_a_role_has_a_model_of_its_own(maieutic: Command, tasks: Path, tmp_path: Path) -> None:
    command = ["collect", str(tasks), "--graph", "critique", "--limit", "1", "--out", str(tmp_path / "out"), "--quiet"]
    assert maieutic(*command, "--model", "yes", "--model", "critic=twice").code == 0
    assert json.loads((tmp_path / "out" / "collect.json").read_text())["models"] == {"critic": "twice"}
    again = maieutic(*command, "--model", "critic=yes", "--model", "yes")
    assert again.code == 2 and "models critic=twice" in again.err
    for models, sentence in (
        (["yes", "twice"], "as ROLE=NAME"),
        (["critic=yes", "critic=twice"], "given two models"),
        (["critik=yes"], "critik"),
    ):
        wrong = maieutic(*command, *(word for name in models for word in ("--model", name)))
        assert wrong.code == 2 and sentence in wrong.err


def test_a_server_that_goes_near_the_end_is_no_success(maieutic: Command, tasks: Path, tmp_path: Path) -> None:
    with FakeServer([*[Answer("Answer: 42")] * 3, Answer("later", status=503)]) as server:
        profile = tmp_path / "m.yaml"
        profile.write_text(f"kind: vllm\nmodel: m\nbase_url: {server.url}\nretries: 0\n")
        command = ["collect", str(tasks), "--model", str(profile), "--out", str(tmp_path / "out"), "--quiet"]
        ended = maieutic(*command, "--concurrency", "1")
        assert ended.code == 1 and "3 of 4 runs" in ended.out and "failed: 1 runs" in ended.out
        last = ended.out.splitlines()[-1]
        assert "stopped answering after 3 results" in last and "start the same command again to go on." in last
        server.script = Answer("Answer: 42")
        ended = maieutic(*command)
        assert ended.code == 0 and "4 of 4 runs (3 of them before)" in ended.out


def test_a_bad_line_is_told_by_its_number_and_the_others_run(maieutic: Command, tasks: Path, tmp_path: Path) -> None:
    tasks.write_text(tasks.read_text() + "{not json\n")
    ended = maieutic("collect", str(tasks), "--model", "yes", "--out", str(tmp_path / "out"), "--quiet")
    assert ended.code == 2
    assert "4 of 4 runs" in ended.out
    assert "line 5" in ended.err


def test_nothing_is_left_of_a_mistake(maieutic: Command, tasks: Path, tmp_path: Path) -> None:
    ended = maieutic("collect", str(tasks), "--model", "yes", "--graph", "nope", "--out", str(tmp_path / "out"))
    assert (ended.code, ended.out) == (2, "")
    assert not (tmp_path / "out").exists()


def test_an_export_of_nothing_writes_nothing(maieutic: Command, tasks: Path, tmp_path: Path) -> None:
    maieutic("collect", str(tasks), "--model", "twice", "--out", str(tmp_path / "out"), "--limit", "1")
    ended = maieutic("export", str(tmp_path / "out"), "--out", str(tmp_path / "rows.jsonl"))
    assert (ended.code, ended.out) == (2, "")
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_trace_is_read_as_a_tree(maieutic: Command) -> None:
    arguments = ("--graph", "self_consistency", "--set", "samples=2", "--gold", "42", "--json")
    run_id = json.loads(maieutic("ask", "What is six times seven?", "--model", "yes", *arguments).out)["run_id"]
    listed = maieutic("trace", "list")
    assert run_id in listed.out and "correct" in listed.out
    shown = maieutic("trace", "show", run_id[-8:]).out
    for part in (
        run_id,
        "question: What is six times seven?",
        "sample-1",
        "Answer: 42",
        "votes 42 ×1",
        "reward correct: 1",
    ):
        assert part in shown
    assert "user: " not in shown
    assert "user: What is six times seven?" in maieutic("trace", "show", run_id, "--full").out
    record = json.loads(maieutic("trace", "show", run_id, "--json").out)
    assert record["header"]["run_id"] == run_id


def test_an_unknown_run_is_a_sentence(maieutic: Command) -> None:
    maieutic("ask", "What?", "--model", "yes")
    ended = maieutic("trace", "show", "nope")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("maieutic: There is no run nope in ")
