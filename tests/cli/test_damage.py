"""A trace that was cut, told once by every command that reads it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from maieutic.trace.segment import list_segments, load
from tests.cli.conftest import Command


def sealed(path: Path) -> None:
    """Cut a sealed segment in half."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def plain(path: Path) -> None:
    """Cut a segment that was never sealed in half, in the middle of a line."""
    data = load(path)
    end = len(data) // 2
    path.with_suffix("").write_bytes(data[: end - 3 if data[end - 1 : end] == b"\n" else end])
    path.unlink()


@pytest.fixture(params=[sealed, plain], ids=["sealed", "plain"])
def cut(request: pytest.FixtureRequest, maieutic: Command, tmp_path: Path) -> tuple[Path, str]:
    """A collection whose only segment was cut, and that segment's name; the index was made before."""
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(json.dumps({"id": f"t{i}", "question": "6 * 7?", "gold": "42"}) + "\n" for i in range(4)))
    out = tmp_path / "out"
    command = ("collect", str(tasks), "--model", "yes", "--out", str(out), "--concurrency", "1")
    assert maieutic(*command).code == maieutic("trace", "list", str(out)).code == 0
    [(name, path)] = list_segments(out / "traces").items()
    request.param(path)
    return out, name


@pytest.mark.parametrize("command", ["collect", "export", "trace", "gate"])
def test_what_was_cut_is_said_once(command: str, cut: tuple[Path, str], tmp_path: Path) -> None:
    (out, name), rows = cut, str(tmp_path / "rows.jsonl")
    arguments = {
        "collect": [str(tmp_path / "tasks.jsonl"), "--model", "yes", "--out", str(out), "--concurrency", "1"],
        "export": [str(out), "--out", rows],
        "gate": [str(out), "--out", rows],
        "trace": ["list", str(out)],
    }[command]
    ran = subprocess.run([sys.executable, "-m", "maieutic", command, *arguments], capture_output=True, text=True)
    assert [name in line for line in ran.stderr.splitlines()].count(True) == 1, ran.stderr
    assert "Traceback" not in ran.stderr
