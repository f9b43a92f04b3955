"""`maieutic plan`."""

import json
from pathlib import Path

from tests.cli.conftest import Command


def test_what_to_do_next_names_the_graph_that_was_searched(maieutic: Command, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"question": "What is six times seven?", "gold": "42"}) + "\n")
    asked = ("plan", str(tasks), "--model", "yes", "--rounds", "1", "--arm", "none/cot/none", "--quiet")
    ended = maieutic(*asked, "--out", str(tmp_path / "out"))
    assert ended.code == 0 and "1 × none/cot/none" in ended.out
    assert f"ask QUESTION --graph planner --set outcomes={tmp_path / 'out' / 'outcomes.jsonl'}" in ended.out
