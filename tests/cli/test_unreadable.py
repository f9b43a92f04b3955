"""Folders that can't be read, or can't be written: one sentence each, and what can be read is shown."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from maieutic.trace.segment import frame, list_segments
from tests.cli.conftest import Command


@pytest.fixture
def asked(tmp_path: Path, maieutic: Command, scripts: Path) -> list[str]:
    """A collection of two starts, each of which has left a segment; the command that goes on with it."""
    (scripts / "seven.yaml").write_text("kind: scripted\nreplies: 'Answer: 7'\n")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(json.dumps({"id": f"t{n}", "question": f"{n}?", "gold": "7"}) + "\n" for n in range(4)))
    command = ["collect", str(tasks), "--model", "seven", "--out", str(tmp_path / "runs"), "--quiet"]
    for limit in ("2", "4"):
        assert maieutic(*command, "--limit", limit).code == 0
    return command


def segments(tmp_path: Path) -> list[Path]:
    return list(list_segments(tmp_path / "runs" / "traces").values())


def run_ids(tmp_path: Path) -> list[str]:
    return [json.loads(line)["run_id"] for line in (tmp_path / "runs" / "results.jsonl").read_text().splitlines()]


def test_runs_beside_a_damaged_segment_are_listed_and_shown(
    asked: list[str], tmp_path: Path, maieutic: Command
) -> None:
    first, second = segments(tmp_path)
    first.write_bytes(first.read_bytes()[:-30])
    hidden, fine = run_ids(tmp_path)[0], run_ids(tmp_path)[-1]
    runs = str(tmp_path / "runs")
    listed = maieutic("trace", "list", runs)
    assert listed.code == 1 and fine in listed.out and hidden not in listed.out
    assert listed.err.count(f"{first.name} is damaged") >= 1 and "move it out of the directory" in listed.err
    assert fine in maieutic("trace", "list", runs, "--json").out
    shown = maieutic("trace", "show", fine[-6:], "--traces", runs)
    assert shown.code == 0 and "Answer: 7" in shown.out
    other = maieutic("trace", "show", hidden, "--traces", runs)
    assert other.code == 1 and f"{first.name} is damaged" in other.err


def test_a_collection_beside_a_newer_segment_says_so_and_changes_nothing(
    asked: list[str], tmp_path: Path, maieutic: Command
) -> None:
    newer = tmp_path / "runs" / "traces" / "20990101T000000000-1-00000000.jsonl"
    newer.write_bytes(frame(b'{"kind":"segment","format":2}'))
    before = (tmp_path / "runs" / "results.jsonl").read_bytes()
    ended = maieutic(*asked, "--samples", "2")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"maieutic: {newer.stem} was written in trace format 2") and ended.err.count("\n") == 1
    assert (tmp_path / "runs" / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["results.jsonl", "failures.jsonl", "collect.json"])
def test_a_file_of_a_collection_that_can_not_be_read(
    asked: list[str], tmp_path: Path, maieutic: Command, name: str
) -> None:
    (tmp_path / "runs" / name).unlink(missing_ok=True)
    (tmp_path / "runs" / name).mkdir()
    ended = maieutic(*asked)
    assert ended.code == 2 and f"{name} can't be " in ended.err and "(Is a directory)" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 9}', '{"format": 1, "tasks": []}'])
def test_a_manifest_that_is_none(asked: list[str], tmp_path: Path, maieutic: Command, text: str) -> None:
    (tmp_path / "runs" / "collect.json").write_text(text)
    ended = maieutic(*asked)
    assert ended.code == 1 and ended.err.count("\n") == 1
    assert "upgrade" in ended.err if "9" in text else "is damaged" in ended.err


def test_a_disk_error_that_no_command_expects_is_a_sentence(
    asked: list[str], tmp_path: Path, maieutic: Command
) -> None:
    """Such as of a report, for which no command has a sentence of its own."""
    out = tmp_path / "out"
    (out / "report.md").mkdir(parents=True)
    ended = maieutic("eval", asked[1], "--graph", "direct", "--model", "seven", "--out", str(out), "--quiet")
    said = f"{out / 'report.md'} can't be used: {os.strerror(errno.EISDIR)}. Give another place"
    assert ended.code == 2 and said in ended.err, ended.err
    loop = maieutic("improve", "in-box", "--env", asked[1], "--held-out", asked[1], "--out", asked[1], "--quiet")
    assert loop.code == 2 and f"{asked[1]} can't be used: {os.strerror(errno.EEXIST)}. Give" in loop.err, loop.err


READERS = {
    "calibrate": ["calibrate", "PLACE", "--out", "OUT"],
    "teach": ["teach", "PLACE", "--recipe", "persona", "--model", "seven", "--out", "OUT"],
    "resume": ["ask", "--resume", "RUN", "--traces", "PLACE"],
}


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize(
    ("state", "code", "sentence"),
    [
        ("not there", 2, "There are no traces in "),
        ("a file", 2, "There are no traces in "),
        ("empty", 2, "There are no runs in |There is no run "),
        ("newer", 1, "was written in trace format 2"),
        ("cut", 1, "is damaged and can't be decompressed"),
        ("strange", 1, "is damaged at byte 0: move it out of the directory"),
    ],
)
def test_every_reader_says_what_is_wrong_in_one_sentence_and_makes_nothing(
    asked: list[str], tmp_path: Path, maieutic: Command, command: str, state: str, code: int, sentence: str
) -> None:
    place, out, later = tmp_path / "runs", tmp_path / "out", "20990101T000000000-1-00000000.jsonl"
    if state in ("not there", "a file", "empty"):
        shutil.rmtree(place)
    if state == "a file":
        place.write_text("hello")
    if state == "empty":
        place.mkdir()
    if state == "newer":
        (place / "traces" / later).write_bytes(frame(b'{"kind":"segment","format":2}'))
    if state == "strange":
        (place / "traces" / later).write_text("hello\nyou\n")
    if state == "cut":
        for path in segments(tmp_path):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = sorted(tmp_path.rglob("*"))
    names = {"PLACE": str(place), "OUT": str(out), "RUN": "nobody"}
    ended = maieutic(*(names.get(word, word) for word in READERS[command]))
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1), ended.err
    assert any(said in ended.err for said in sentence.split("|")), ended.err
    assert [path for path in sorted(tmp_path.rglob("*")) if "index.sqlite" not in path.name] == [
        path for path in before if "index.sqlite" not in path.name
    ]


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may read everything")
@pytest.mark.parametrize(
    ("shut", "command", "code"),
    [
        ("traces", ["trace", "list", "runs"], 2),
        ("traces", ["export", "runs", "--out", "rows.jsonl"], 2),
        ("traces", ["calibrate", "runs", "--out", "rows.json"], 2),
        ("traces", ["teach", "runs", "--recipe", "persona", "--model", "seven", "--out", "rows"], 2),
        ("traces", ["ask", "--resume", "x", "--traces", "runs"], 2),
        ("results.jsonl", [], 2),
        ("collect.json", [], 2),
        ("traces", [], 2),
    ],
)
def test_without_the_right_to_it(
    asked: list[str], tmp_path: Path, shut: str, command: list[str], code: int, scripts: Path
) -> None:
    place = tmp_path / "runs" / shut
    place.chmod(0)
    before = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    try:
        ended = subprocess.run(
            [*before, sys.executable, "-m", "maieutic", *(command or asked)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
    finally:
        place.chmod(0o755)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.count("\n") == 1 and shut in ended.stderr and "permission" in ended.stderr.lower()
    assert not list(tmp_path.glob("*rows*"))
