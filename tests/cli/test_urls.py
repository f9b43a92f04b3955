"""Places behind URLs: what `export` takes, `gate` and `teach` take too; what takes none says so and makes nothing."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def url(maieutic: Command, tmp_path: Path) -> str:
    """A collection of four right runs, behind a URL."""
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(json.dumps({"id": f"t{i}", "question": f"{i}?", "gold": "42"}) + "\n" for i in range(4)))
    url = f"file://{tmp_path}/far/runs"
    assert maieutic("collect", str(tasks), "--model", "yes", "--out", url, "--quiet").code == 0
    return url


def test_the_gate_takes_traces_and_rows_from_urls_and_sends_what_may_leave(
    url: str, maieutic: Command, tmp_path: Path
) -> None:
    far, loose = f"file://{tmp_path}/far", ("--any-difficulty", "--keep-near", "--json")
    ended = maieutic("gate", url, "--out", f"{far}/rows.jsonl", *loose)
    report = json.loads(ended.out)
    assert (ended.code, report["rows_out"], report["sources"][0]["source"]) == (0, 4, url)
    assert (report["out"], report["card"]) == (f"{far}/rows.jsonl", f"{far}/rows.jsonl.card.json")
    names = sorted(path.name for path in (tmp_path / "far").iterdir() if path.is_file())
    assert names == ["rows.jsonl", "rows.jsonl.card.json", "rows.jsonl.card.md", "rows.jsonl.dropped.jsonl"]
    again = maieutic("gate", f"{far}/rows.jsonl", "--out", str(tmp_path / "again.jsonl"), *loose)
    source = json.loads(again.out)["sources"][0]
    assert source["source"] == f"{far}/rows.jsonl" and source["card"]["rows_out"] == 4
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "far" / "rows.jsonl").read_bytes()
    told = maieutic("gate", url, "--out", f"{far}/rows.jsonl", *loose[:2]).out
    assert f"4 of 4 rows in {far}/rows.jsonl" in told and f"card: {far}/rows.jsonl.card.json" in told


def test_where_nothing_may_leave_nothing_is_sent(url: str, maieutic: Command, tmp_path: Path) -> None:
    before = sorted((tmp_path / "far").rglob("*"))
    for place, sentence in ((url, "None of 0 rows may leave|takes none of|may leave"), (f"{url}-2", "nothing|without")):
        ended = maieutic("gate", place, "--allow", "MIT", "--out", f"file://{tmp_path}/far/rows.jsonl")
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), sentence
        assert any(word in ended.err for word in sentence.split("|")) and "/tmp/maieutic-" not in ended.err
    assert sorted((tmp_path / "far").rglob("*")) == before


def test_a_teacher_is_asked_about_traces_behind_a_url(url: str, maieutic: Command, tmp_path: Path) -> None:
    out = tmp_path / "taught"
    asking = ("teach", url, "--recipe", "persona", "--model", "yes", "--quiet")
    ended = maieutic(*asking, "--out", str(out))
    assert ended.code == 0 and f"maieutic export {url} {out}/001-teacher" in ended.out
    away = maieutic(*asking, "--out", f"file://{tmp_path}/far/taught")
    assert (away.code, away.out) == (2, "") and "kept in a directory of this machine" in away.err
    assert not (tmp_path / "far" / "taught").exists() and not list(Path.cwd().glob("file:*"))


@pytest.mark.parametrize(
    "command",
    [
        ["eval", "TASKS", "--graph", "direct", "--model", "yes", "--out", "URL"],
        ["improve", "in-box", "--env", "TASKS", "--held-out", "TASKS", "--out", "URL"],
        ["calibrate", "URL", "--out", "c.json"],
        ["trace", "list", "URL"],
        ["trace", "show", "x", "--traces", "URL"],
        ["ask", "6 * 7?", "--model", "yes", "--traces", "URL"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_what_takes_no_url_says_so_and_makes_no_folder_of_that_name(
    command: list[str], maieutic: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasks.jsonl").write_text('{"question": "6 * 7?", "gold": "42"}\n')
    names = {"URL": "s3://bucket/runs", "TASKS": "tasks.jsonl"}
    ended = maieutic(*(names.get(word, word) for word in command))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "s3://bucket/runs is a URL: give a directory of this machine" in ended.err
    assert {path.name for path in tmp_path.iterdir()} == {"home", "tasks.jsonl"}
