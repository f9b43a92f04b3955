"""A collection of which half was deleted, told once by every command that reads it; what is whole is gone on with."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maieutic.trace.segment import list_segments, load
from tests.cli.conftest import Command


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "maieutic", *arguments], capture_output=True, text=True)


@pytest.fixture
def half(maieutic: Command, tmp_path: Path) -> Path:
    """A collection of two segments with two runs each, of which the first is gone."""
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(json.dumps({"id": f"t{i}", "question": f"{i}?", "gold": "42"}) + "\n" for i in range(4)))
    out = tmp_path / "out"
    for limit in ("2", "4"):
        command = ("collect", str(tasks), "--model", "yes", "--out", str(out), "--limit", limit)
        assert maieutic(*command, "--quiet").code == 0
    [first, _] = list_segments(out / "traces").values()
    first.unlink()
    return out


@pytest.mark.parametrize(
    ("command", "code", "printed"),
    [
        (["collect", "tasks.jsonl", "--model", "yes", "--out", "out"], 0, "4 of 4 runs (4 of them before)"),
        (["export", "out", "--out", "rows.jsonl"], 0, "2 rows in "),
        (["gate", "out", "--any-difficulty", "--keep-near", "--out", "rows.jsonl"], 0, "2 of 2 rows in "),
        (["teach", "out", "--recipe", "persona", "--model", "yes", "--out", "taught"], 0, " replies in "),
        (["calibrate", "out", "--out", "c.json"], 2, ""),
        (["trace", "list", "out"], 0, "done  correct"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_missing_is_said_once(command: list[str], code: int, printed: str, half: Path, tmp_path: Path) -> None:
    words = [str(tmp_path / word) if word.partition(".")[0] in ("out", "tasks", "rows", "c", "taught") else word
             for word in command]  # fmt: skip
    ran = run(*words)
    assert ran.returncode == code and printed in ran.stdout, ran
    assert "Traceback" not in ran.stderr
    told = [line for line in ran.stderr.splitlines() if f"2 runs recorded in {half / 'traces'} are missing" in line]
    assert len(told) == 1 and " is gone): put the missing segments back" in told[0], ran.stderr
    assert "or take their lines out of results.jsonl" in told[0]
    if (tmp_path / "rows.jsonl").exists():
        assert told[0] in (tmp_path / "rows.jsonl.card.json").read_text()


def test_a_run_that_is_missing_is_not_shown_and_not_resumed(half: Path) -> None:
    gone = json.loads((half / "results.jsonl").read_text().splitlines()[0])["run_id"]
    for command in (["trace", "show", gone, "--traces", str(half)], ["ask", "--resume", gone, "--traces", str(half)]):
        ran = run(*command)
        assert ran.returncode == 1 and f"maieutic: Run {gone} is missing in {half / 'traces'}" in ran.stderr
        assert ran.stdout == "" and "Traceback" not in ran.stderr


def test_without_any_traces_nothing_is_exported_and_the_collection_is_as_it_was(half: Path, tmp_path: Path) -> None:
    shutil.rmtree(half / "traces")
    before = (half / "results.jsonl").read_bytes()
    rows = tmp_path / "rows.jsonl"
    ran = run("export", str(half), "--out", str(rows))
    assert ran.returncode == 2 and "4 runs recorded in" in ran.stderr and "There are no runs in" in ran.stderr
    assert not list(tmp_path.glob("*rows*"))
    ran = run("collect", str(tmp_path / "tasks.jsonl"), "--model", "yes", "--out", str(half))
    assert ran.returncode == 0 and ran.stderr.count("4 runs recorded in") == 1
    assert (half / "results.jsonl").read_bytes() == before


def test_without_its_manifest_it_is_not_gone_on_with_and_still_read(half: Path, tmp_path: Path) -> None:
    (half / "collect.json").unlink()
    ran = run("collect", str(tmp_path / "tasks.jsonl"), "--model", "yes", "--out", str(half))
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert f"{half} has lost its collect.json" in ran.stderr and "put it back from a copy" in ran.stderr
    assert run("export", str(half), "--out", str(tmp_path / "rows.jsonl")).returncode == 0


def test_without_its_ledger_the_runs_are_found_in_the_traces(half: Path, tmp_path: Path) -> None:
    (half / "results.jsonl").unlink()
    ran = run("collect", str(tmp_path / "tasks.jsonl"), "--model", "yes", "--out", str(half), "--json", "--quiet")
    assert ran.returncode == 0 and json.loads(ran.stdout.splitlines()[-1])["done"] == 4
    assert len((half / "results.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize("harm", ["some bytes", "half", "gone", "half, and a line of the results"])
def test_an_evaluation_is_gone_on_with_over_a_cut_segment_to_the_same_table(
    harm: str, maieutic: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a kill and a bad disk leave it: what was done counts, what is missing is said, the rest is done."""
    tasks, out = tmp_path / "tasks.jsonl", tmp_path / "out"
    tasks.write_text("".join(json.dumps({"id": f"t{i}", "question": f"{i}?", "gold": "42"}) + "\n" for i in range(6)))
    asking = ("eval", str(tasks), "--graph", "direct", "--graph", "self_consistency", "--model", "yes", "--quiet")
    assert maieutic(*asking, "--out", str(tmp_path / "whole")).code == 0
    assert maieutic(*asking, "--out", str(out), "--limit", "3").code == 0
    graphs = {json.loads(path.read_text())["graph"]: path.parent for path in out.glob("cells/*/collect.json")}
    cell = graphs["self_consistency"]
    [path] = list_segments(cell / "traces").values()
    lines = load(path)
    cut = {"some bytes": len(lines) - 40, "gone": 0}.get(harm, len(lines) // 2)
    path.unlink()
    if cut:
        path.with_suffix("").write_bytes(lines[:cut])
    results = cell / "results.jsonl"
    if harm == "half, and a line of the results":
        results.write_bytes(results.read_bytes()[:-20])
    caplog.clear()
    assert maieutic(*asking, "--out", str(out)).code == 0
    assert table(out) == table(tmp_path / "whole")
    told = [message for message in caplog.messages if f"recorded in {cell / 'traces'} " in message]
    assert len(told) == 1 and "missing or not whole any more" in told[0]


def table(out: Path) -> list[dict[str, Any]]:
    items = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    return [{name: value for name, value in item.items() if name not in ("seconds", "run_id")} for item in items]
