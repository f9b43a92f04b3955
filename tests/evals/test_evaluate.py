"""An evaluation from start to report, on a model that depends on the request alone."""

import json
from pathlib import Path

import pytest

from maieutic.cli import main
from maieutic.evals import evaluate, parse_contender
from maieutic.settings import load_settings


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    (folder / "mixed.yaml").write_text("kind: scripted\nreplies: 'Answer: 7'\n")
    path = tmp_path / "tasks.jsonl"
    lines = [{"id": f"t{i}", "question": f"Which number is {i}?", "gold": str(7 if i < 3 else 8)} for i in range(4)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["eval", *arguments])
    return ended.value.code


def test_a_table_a_picture_and_a_comparison(tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    asked = [str(tasks), "--graph", "one=direct", "--graph", "three=self_consistency?samples=3", "--model", "mixed"]
    assert run(*asked, "--bank", "3", "--compare", "one,three", "--out", str(out), "--quiet") == 0
    said = capsys.readouterr().out
    assert "| `one` | 4 | 75.0 %" in said
    assert "**three against one**, n = 4 paired questions: +0.0 points" in said
    report = json.loads((out / "report.json").read_text())
    assert [row["contender"] for row in report["rows"]] == ["one", "three"]
    assert report["rows"][0]["beside_self_consistency"]["samples"] == 1
    assert len((out / "items.jsonl").read_text().splitlines()) == 8
    assert (out / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_said_before_anything_runs(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(str(tasks), "--graph", "one=direct", "--compare", "one,two", "--out", str(out)) == 2
    assert "no contender named 'two'" in capsys.readouterr().err
    assert run(str(tasks), "--graph", "direct?x=1", "--out", str(out)) == 2
    assert not out.exists()


async def test_a_second_start_goes_on(tasks: Path, tmp_path: Path) -> None:
    options = {"out": tmp_path / "out", "settings": load_settings()}
    contenders = [parse_contender("direct")]
    first = await evaluate([str(tasks)], contenders, ["mixed"], limit=2, **options)  # type: ignore[arg-type]
    again = await evaluate([str(tasks)], contenders, ["mixed"], **options)  # type: ignore[arg-type]
    runs = {attempt.task: attempt.run_id for attempt in again.rows[0].attempts}
    assert again.rows[0].figures.n == 4
    assert all(runs[attempt.task] == attempt.run_id for attempt in first.rows[0].attempts)
