"""`maieutic recipes`, `maieutic teach`, and older rows in an export."""

import json
from pathlib import Path

from maieutic.recipes.recipe import recipe_names
from tests.cli.conftest import Command
from tests.recipes.runs import Runs
from tests.trace.builders import call


def test_an_export_says_what_it_replayed(tmp_path: Path, maieutic: Command) -> None:
    runs = Runs(tmp_path / "runs")
    for n in range(4):
        runs.add("4", "correct", calls=[call(f"r{n:03}", "a", None, None, text=f"Way {n}.\nAnswer: 4")])
    old = tmp_path / "old.jsonl"
    old.write_text("".join(json.dumps({"prompt": [], "completion": [n]}) + "\n" for n in range(9)))
    out = tmp_path / "rows.jsonl"
    ended = maieutic("export", str(runs.root), "--out", str(out), "--replay", f"{old}:0.5", "--json")
    assert json.loads(ended.out)["rows"] == 8
    card = json.loads(Path(f"{out}.card.json").read_text())
    assert card["replayed_rows"] == 4 and card["command"].endswith(f"--replay {old}:0.5")
    assert maieutic("export", str(runs.root), "--out", str(out), "--replay", "old").code == 2


def test_what_a_format_has_no_rows_for_is_told(tmp_path: Path, maieutic: Command) -> None:
    runs = Runs(tmp_path / "runs")
    runs.add("4", "correct")
    runs.add("5", "wrong")
    ended = maieutic("export", str(runs.root), "--format", "trl-dpo", "--out", str(tmp_path / "rows.jsonl"))
    assert ended.code == 2 and "1 kept without a row, 1 episodes left out of trl-dpo" in ended.err
    ended = maieutic("export", str(runs.root), "--recipe", "step_dpo", "--out", str(tmp_path / "rows.jsonl"))
    assert ended.code == 2 and "left out of trl-sft" in ended.err
    asked = ("export", str(runs.root), "--out", str(tmp_path / "rows"), "--format", "parquet")
    assert maieutic(*asked).err.startswith(
        "maieutic: parquet is no format of rows but a kind of file: say --as parquet"
    )


def test_every_recipe_says_what_it_makes_of_what(maieutic: Command) -> None:
    described = json.loads(maieutic("recipes", "--json").out)
    assert list(described) == [name for name in recipe_names() if name in described]
    for name, about in described.items():
        assert about["line"] and about["gives"] and about["needs"], name
    assert "solved" in maieutic("recipes", "solv").out


def test_a_teacher_is_asked_and_the_next_command_is_named(tmp_path: Path, maieutic: Command, scripts: Path) -> None:
    (scripts / "teacher.yaml").write_text("kind: scripted\nreplies: |-\n  So.\n\n  Answer: 1; counting\n")
    runs = Runs(tmp_path / "runs")
    runs.add("5", "wrong")
    runs.add("4", "correct")
    command = ("teach", str(runs.root), "--model", "teacher", "--quiet", "--out", str(tmp_path / "asked"))
    ended = maieutic(*command, "--recipe", "lemma", "--recipe-set", "inject=0")
    assert ended.code == 0, ended.err
    assert "3 replies in 2 rounds" in ended.out and "--recipe lemma --set inject=0 --out rows.jsonl" in ended.out
    assert maieutic(*command[:-1], str(tmp_path / "other"), "--recipe", "solved").code == 2


def test_a_filter_that_fits_nothing_is_a_mistake(maieutic: Command) -> None:
    done = maieutic("recipes", "nope")
    assert done.code == 2 and "There is no recipe named 'nope'. Known: agent_r, " in done.err
