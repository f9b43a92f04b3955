"""An evaluation from start to report, on a model that depends on the request alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from maieutic.cli import main
from maieutic.evals import evaluate, parse_contender
from maieutic.evals.chance import Chances
from maieutic.evals.items import Attempt
from maieutic.settings import load_settings
from maieutic.types import Outcome


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


def table(path: Path) -> str:
    return (path / "report.md").read_text()


def test_guessing_stands_beside_accuracy_where_it_gets_anywhere(tasks: Path, tmp_path: Path) -> None:
    """The model always says 7, which is right for 3 of 4: nothing above a constant answer."""
    out = tmp_path / "out"
    assert run(str(tasks), "--graph", "one=direct", "--model", "mixed", "--out", str(out), "--quiet") == 0
    assert "| accuracy | guessing | above chance |" in table(out)
    assert "| 75.0 % [30.1, 95.4] | constant 75.0 % | 0.0 % [-179.7, 81.8] |" in table(out)
    (row,) = json.loads((out / "report.json").read_text())["rows"]
    assert row["guessing"] == {"n": 4, "random": None, "constant": 0.75}
    assert row["above_chance"]["estimate"] == 0 and row["above_chance"]["n"] == 4


def test_guessing_is_only_of_the_questions_that_were_asked(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(str(tasks), "--graph", "direct", "--model", "mixed", "--limit", "3", "--out", str(out), "--quiet") == 0
    (row,) = json.loads((out / "report.json").read_text())["rows"]
    assert row["guessing"] == {"n": 3, "random": None, "constant": 1.0}
    assert row["above_chance"] is None and "| constant 100.0 % |  |" in table(out)


@pytest.mark.parametrize("golds", [[str(n) for n in range(12)], [None] * 12, ["7", None]])
def test_where_it_gets_nowhere_or_is_not_known_there_is_no_column(
    tasks: Path, tmp_path: Path, golds: list[str | None]
) -> None:
    lines = [{"id": f"t{i}", "question": f"Which number is {i}?", "gold": gold} for i, gold in enumerate(golds)]
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "out"
    assert run(str(tasks), "--graph", "direct", "--model", "mixed", "--out", str(out), "--quiet") == 0
    assert "guessing" not in table(out).lower()
    (row,) = json.loads((out / "report.json").read_text())["rows"]
    assert (row["guessing"] is None) == (golds == [None] * 12)


def test_of_a_big_set_so_many_are_drawn(tasks: Path) -> None:
    lines = [{"id": f"t{i}", "question": f"Which is {i}?", "gold": "7" if i % 4 else str(-i)} for i in range(2000)]
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines))
    one = Attempt("", 0, Outcome.CORRECT, "7", 1, 1, 1.0, None, "r")
    chances = Chances()
    every = [replace(one, task=f"t{i}") for i in range(2000)]
    found = chances.of(str(tasks), every)
    assert found is not None and found.n == 500 and found.constant == pytest.approx(0.75, abs=0.06)
    assert chances.of(str(tasks), every) is found
    assert chances.of(str(tasks), [one]) is None  # a question that is not in the file any more


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
