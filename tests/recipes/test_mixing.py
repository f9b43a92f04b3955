"""Older rows among new ones, gold answers from the tasks, and what is said of recipes."""

import json
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.recipes.export import export
from maieutic.recipes.mixing import mix_in
from maieutic.recipes.recipe import describe_recipes
from tests.recipes.runs import Runs

DOCS = Path(__file__).parents[2] / "docs"


def rows(path: Path, first: int, number: int) -> Path:
    path.write_text("".join(json.dumps({"prompt": str(first + i), "completion": "x"}) + "\n" for i in range(number)))
    return path


def read(path: Path) -> list[int]:
    return [int(json.loads(line)["prompt"]) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("share", "drawn"), [(0.0, 0), (0.2, 5), (0.5, 20), (0.9, 50)])
def test_the_share_is_of_all_rows(tmp_path: Path, share: float, drawn: int) -> None:
    new, old = rows(tmp_path / "new", 0, 20), rows(tmp_path / "old", 1000, 50)
    assert mix_in(new, old, share) == drawn  # at 0.9 there are too few, and all are taken
    found = read(new)
    assert [row for row in found if row < 1000] == list(range(20))
    assert len({row for row in found if row >= 1000}) == drawn


def test_replayed_rows_are_spread_and_the_same_every_time(tmp_path: Path) -> None:
    mixes = []
    for name in ("a", "b"):
        new, old = rows(tmp_path / name, 0, 30), rows(tmp_path / "old", 1000, 50)
        mix_in(new, old, 0.5)
        mixes.append(read(new))
    assert mixes[0] == mixes[1]
    assert 0 < sum(row >= 1000 for row in mixes[0][:30]) < 30


def test_a_row_that_is_new_is_not_replayed(tmp_path: Path) -> None:
    new, old = rows(tmp_path / "new", 0, 10), rows(tmp_path / "old", 5, 10)
    assert mix_in(new, old, 0.5) == 5
    assert len(set(read(new))) == 15


def test_wrong_shares_files_and_formats_are_refused(tmp_path: Path) -> None:
    new, old = rows(tmp_path / "new", 0, 3), tmp_path / "old"
    with pytest.raises(UserError, match="from 0 to below 1"):
        mix_in(new, old, 1.0)
    with pytest.raises(UserError, match="can't be read"):
        mix_in(new, old, 0.5)
    old.write_text('{"input_ids": [1], "labels": [1]}\n')
    with pytest.raises(UserError, match="another format"):
        mix_in(new, old, 0.5)


def test_prompts_have_a_check_where_the_tasks_are_given(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    for outcome in ("correct", "wrong"):
        runs.add("4", outcome)
    with pytest.raises(UserError):
        export(runs.root, "edge_of_ability", "trl-grpo", tmp_path / "rows.jsonl")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"id": "t1", "question": "2+2?", "gold": "4", "answer_type": "number"}) + "\n")
    report = export(runs.root, "edge_of_ability", "trl-grpo", tmp_path / "rows.jsonl", tasks=str(tasks))
    [row] = [json.loads(line) for line in report.out.read_text().splitlines()]
    assert json.loads(row["task"])["gold"] == "4" and "'4'" not in str(row["prompt"])


def test_the_page_has_every_recipe_as_it_describes_itself() -> None:
    page = (DOCS / "recipes.md").read_text()
    for name, about in describe_recipes().items():
        if about.shipped:
            teacher = " and a teacher" if about.asks else ""
            assert f"| `{name}` | {about.line} | {about.needs}{teacher} | {about.gives} | {about.paper or ''} |" in page
