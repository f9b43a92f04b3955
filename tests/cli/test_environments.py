"""`maieutic envs`: what there is, and what one environment asks."""

import json

import pytest

from maieutic.cli import main


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["envs", *arguments])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_own_environments_are_listed_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    names = json.loads(said(capsys, "kn", "--json"))
    assert names["env:knights"].startswith("Knights and knaves") and all("kn" in name for name in names)


def test_one_is_shown_with_its_knobs_and_what_guessing_gets(capsys: pytest.CaptureFixture[str]) -> None:
    fields = json.loads(said(capsys, "env:saturn?level=2&n=30&variables=6", "--json"))
    assert fields["knobs"] == "literals=3, variables=6, clauses=6, unsatisfiable=0.0"
    assert "& " in fields["question"] and fields["guessing"].startswith("random answer 0.") and fields["levels"] == 6
    assert "guessing" in said(capsys, "env:saturn?n=2")


def test_an_unknown_one_exits_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["envs", "env:saturm"])
    assert ended.value.code == 2 and "no environment named 'saturm'" in capsys.readouterr().err
