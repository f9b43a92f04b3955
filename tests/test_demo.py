import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from maieutic.collector import read_results
from maieutic.demo import DEFAULT_OUT, ENTRIES, main
from maieutic.errors import UserError

PROGRAM = "import sys; from maieutic.demo import main; sys.exit(main(sys.argv[1:]))"
FEW = ("--questions", "3", "--seed", "11")


def demo(folder: Path, *arguments: str, **env: str) -> str:
    """What a demo in `folder` writes when nobody watches it on a terminal."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    ran = subprocess.run(
        command, cwd=folder, env={**os.environ, "COLUMNS": "100", **env}, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


@pytest.mark.slow
def test_the_demo_does_the_main_job(tmp_path: Path) -> None:
    said = demo(tmp_path, *FEW)
    run = tmp_path / DEFAULT_OUT / "run-1"
    shown = re.findall(r"│ (\w[^│]*?) +│ +(\d+) │ +([\d.]+ % \[[\d.]+, [\d.]+\])", said)
    wanted = [e.label for e in ENTRIES if not e.tools or "Left out" not in said]
    assert [(label, n) for label, n, _ in shown] == [(label, "9") for label in wanted]
    for folder in run.iterdir():
        if folder.is_dir():
            assert len({row.task for row in read_results(folder)}) == 9
            assert list((folder / "traces").glob("*.jsonl.zst"))
    assert f"{DEFAULT_OUT}/run-1/*/traces" in said
    assert "\x1b" not in said
    assert re.search(r'^Next: .*maieutic ask "', said, re.M)
    rights = sum(row.outcome == "correct" for f in run.iterdir() if f.is_dir() for row in read_results(f))
    assert ("rows.jsonl" in said) == (rights > 0) == (run / "rows.jsonl").exists()


@pytest.mark.slow
def test_without_a_sandbox_it_says_what_is_left_out_and_does_the_rest(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.yaml").write_text("sandbox: docker\n")  # which is not on the empty PATH below
    (tmp_path / DEFAULT_OUT / "run-1").mkdir(parents=True)  # an earlier demo's
    said = demo(tmp_path, *FEW, PATH=str(tmp_path), MAIEUTIC_HOME=str(home))
    assert "Left out: every graph with the python tool." in said
    assert "install bubblewrap" in said and "docker" in said
    assert "tool_loop" not in said.partition("graph")[2]
    assert sorted(p.name for p in (tmp_path / DEFAULT_OUT).iterdir()) == ["run-1", "run-2"]


def test_no_questions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--questions is 0"):
        main(["--questions", "0", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())
