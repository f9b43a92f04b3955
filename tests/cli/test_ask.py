"""`maieutic ask`: what it prints where, and what it says when something is wrong."""

import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_the_answer_is_all_there_is_on_stdout(maieutic: Command) -> None:
    ended = maieutic("ask", "What is six times seven?", "--model", "yes")
    assert (ended.code, ended.out) == (0, "42\n")
    assert "solver: Six times seven." in ended.err
    assert "1 call" in ended.err


def test_quiet_says_nothing_on_the_way(maieutic: Command) -> None:
    ended = maieutic("ask", "What?", "--model", "yes", "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "42\n", "")


def test_json_is_one_object(maieutic: Command, tmp_path: Path) -> None:
    ended = maieutic("ask", "What?", "--model", "yes", "--json", "--gold", "42", "--traces", str(tmp_path / "t"))
    said = json.loads(ended.out)
    assert set(said) == {"answer", "outcome", "partial", "usage", "run_id", "trace"}
    assert (said["answer"], said["outcome"], said["partial"]) == ("42", "correct", False)
    assert set(said["usage"]) == {"calls", "prompt_tokens", "completion_tokens", "seconds"}
    assert said["trace"] == str(tmp_path / "t")
    assert ended.out.count("\n") == 1


def test_a_wrong_answer_is_still_an_answer(maieutic: Command) -> None:
    ended = maieutic("ask", "What?", "--model", "yes", "--json", "--gold", "43")
    assert (ended.code, json.loads(ended.out)["outcome"]) == (0, "wrong")


def test_the_question_may_come_from_stdin(maieutic: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("What is six times seven?\n"))
    assert maieutic("ask", "-", "--model", "yes").out == "42\n"


def test_votes_and_branches_are_told(maieutic: Command) -> None:
    ended = maieutic("ask", "What?", "--model", "yes", "--graph", "self_consistency", "--set", "samples=3")
    assert ended.out == "42\n"
    assert "[sample-1] solver: Answer: 42" in ended.err
    assert "votes: 42 ×2 (2 of 3)" in ended.err


def test_a_budget_that_runs_out_leaves_a_partial_answer(maieutic: Command) -> None:
    arguments = ("--graph", "self_consistency", "--set", "schedule=all", "--budget-calls", "2", "--json")
    ended = maieutic("ask", "What?", "--model", "yes", *arguments)
    said = json.loads(ended.out)
    assert (ended.code, said["answer"], said["partial"], said["usage"]["calls"]) == (0, "42", True, 2)
    assert "partial: The budget of 2 calls is used up." in ended.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--graph", "debat"], "There is no graph named 'debat'. Did you mean 'debate'? Known: "),
        (["--model", "yess"], "There is no model named 'yess'. Did you mean 'yes'? Known: "),
        (["--tool", "pythn"], "There is no tool named 'pythn'. Did you mean 'python'? Known: "),
        (["--budget-calls", "0"], "A budget of 0 calls leaves nothing to run with: give a number above 0."),
        (["--temperature", "-1"], "A temperature of -1 is not possible: give 0 or more."),
        (["--max-tokens", "0"], "A reply of 0 tokens is not possible: give 1 or more."),
        (["--set", "samples"], "The setting 'samples' is not KEY=VALUE."),
        (["--graph", "self_consistency", "--set", "samples=many"], "Graph self_consistency, setting 'samples': "),
        (["--model", "vllm/m@http://127.0.0.1:9/v1"], "Nothing answers at http://127.0.0.1:9/v1"),
        (["--seed", "x"], "Invalid value for '--seed'"),
        (["--modle", "x"], "No such option: --modle"),
    ],
)
def test_a_mistake_gets_one_sentence(maieutic: Command, arguments: list[str], sentence: str) -> None:
    model = [] if "--model" in arguments else ["--model", "yes"]
    ended = maieutic("ask", "What?", *model, "--quiet", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"maieutic: {sentence}")
    assert ended.err.count("\n") == 1


def test_an_empty_question_is_refused(maieutic: Command) -> None:
    assert maieutic("ask", "  ", "--model", "yes").code == 2


@pytest.mark.parametrize("arguments", [["--graph", "nope"], ["--model", "nope"], ["--tool", "nope"]])
def test_a_mistake_leaves_nothing_behind(maieutic: Command, tmp_path: Path, arguments: list[str]) -> None:
    traces = tmp_path / "traces"
    assert maieutic("ask", "What?", "--model", "yes", *arguments, "--traces", str(traces)).code == 2
    assert not traces.exists()
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["models"]


def test_bad_yaml_is_named_by_file_and_line(maieutic: Command, scripts: Path) -> None:
    (scripts / "bad.yaml").write_text("kind: scripted\nreplise: x\n")
    ended = maieutic("ask", "What?", "--model", "bad")
    assert ended.code == 2
    assert "bad.yaml, line 2: there is no field 'replise'. Did you mean 'replies'?" in ended.err


def test_a_model_that_fails_is_no_mistake_of_the_user(maieutic: Command, scripts: Path) -> None:
    (scripts / "lost.yaml").write_text("kind: scripted\nreplies: {never said: x}\n")
    ended = maieutic("ask", "What?", "--model", "lost", "--quiet")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_a_model_that_says_nothing_is_told(maieutic: Command, scripts: Path, quiet: list[str]) -> None:
    (scripts / "mute.yaml").write_text("kind: scripted\nreplies: ''\n")
    ended = maieutic("ask", "What?", "--model", "mute", *quiet)
    assert (ended.code, ended.out) == (1, "")
    assert "The model said nothing." in ended.err


def test_the_unforeseen_is_one_line_that_says_how_to_see_more(
    maieutic: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = tmp_path / "broken.py"
    graph.write_text(
        '"""Broken."""\nfrom maieutic.graphs.graph import GraphSettings as Settings\ndef build(s): 1 / 0\n'
    )
    ended = maieutic("ask", "What?", "--model", "yes", "--graph", str(graph))
    assert ended.code == 1
    assert ended.err == "maieutic: ZeroDivisionError: division by zero (set MAIEUTIC_DEBUG=1 to see where).\n"
    monkeypatch.setenv("MAIEUTIC_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        maieutic("ask", "What?", "--model", "yes", "--graph", str(graph))
