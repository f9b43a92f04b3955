"""The probe tells a model that knows the questions by heart from one that doesn't."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from maieutic.cli import main
from maieutic.errors import ModelError, UserError
from maieutic.evals.contamination import Probed, completes, cut, probe_contamination, rouge_l
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.types import Request

WORDS = "apples pears plums figs dates limes kiwis melons grapes cherries".split()
TASKS = [
    Task(
        id=f"t{i}",
        question=f"Ann has {i} {word}, eats two of them and buys five. How many {word} has she now?",
        gold=i + 3,
    )
    for i, word in enumerate(WORDS, 3)
]


def shown(request: Request) -> str:
    return str(request.messages[-1]["content"])


def by_heart(request: Request) -> str:
    task = next(task for task in TASKS if task.question.startswith(shown(request)))
    return f"{task.question.removeprefix(shown(request))}\n\nAnswer: {task.gold}"


def fresh(request: Request) -> str:
    return " and pays for all of it.\n\nAnswer: 0"


async def probed(model: ScriptedModel, out: Path, **options: Any) -> tuple[Probed, ...]:
    return (await probe_contamination(TASKS, out=out, model=model, **options)).rows


async def test_a_model_that_knows_the_questions_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    known, new = ScriptedModel(by_heart), ScriptedModel(fresh)
    rows = await probed(known, tmp_path / "known")
    assert [row.share for row in rows] == [0.8, 0.6, 0.4]
    for row in rows:
        assert row.completed and row.answered and (row.n, row.completed.estimate, row.answered.estimate) == (10, 1, 1)
        assert row.overlap == 1.0
    for row in await probed(new, tmp_path / "new"):
        assert row.completed and row.answered and (row.completed.estimate, row.answered.estimate) == (0, 0)
        assert row.overlap is not None and row.overlap < 0.3


async def test_the_model_sees_an_open_turn_with_the_beginning_and_nothing_else(tmp_path: Path) -> None:
    model = ScriptedModel(fresh)
    await probed(model, tmp_path, shares=[0.6])
    assert len(model.requests) == len(TASKS)
    for request in model.requests:
        (message,) = request.messages
        assert message["role"] == "user" and request.continue_final and request.sampling.temperature == 0
        task = next(task for task in TASKS if task.question.startswith(shown(request)))
        assert 0.55 < len(shown(request)) / len(task.question) < 0.8


async def test_a_second_start_goes_on_and_failed_runs_are_in_no_share(tmp_path: Path) -> None:
    def fails_at_figs(request: Request) -> str | ModelError:
        return ModelError("No.") if "figs" in shown(request) else by_heart(request)

    (row,) = await probed(ScriptedModel(fails_at_figs), tmp_path, shares=[0.6])
    assert row.n == 9 and row.completed and row.completed.estimate == 1
    again = ScriptedModel(by_heart)
    (row,) = await probed(again, tmp_path, shares=[0.6])
    assert row.n == 10 and len(again.requests) == 1


async def test_what_can_not_be_probed_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="long enough"):
        await probe_contamination([Task(question="Why?")], out=tmp_path, model=ScriptedModel("x"))
    with pytest.raises(UserError, match="between 0 and 1"):
        await probe_contamination(TASKS, out=tmp_path, model=ScriptedModel("x"), shares=[60])
    short = [*TASKS, Task(question="Why?"), Task(id="u", question="What is there to be said of it all, then?")]
    found = await probe_contamination(short, out=tmp_path, model=ScriptedModel(" then?"), shares=[0.8])
    assert (found.short, found.tasks, found.rows[0].n, found.rows[0].checked) == (1, 11, 11, 10)


def test_questions_are_cut_between_words() -> None:
    assert cut("one two three four", 0.5) == ("one two three", "four")
    assert cut("one two", 0.9) is None and cut("one", 0.5) is None


@pytest.mark.parametrize(
    ("rest", "written", "whole", "overlap"),
    [("b c", "b c. d", False, 0.5), ("b c", "b  c d", True, 1), ("b c", "", False, 0), ("b c", "c b", False, 0.5),
     ("a b c d", "a x c y", False, 0.5), ("b c", "b", False, 2 / 3)],
)  # fmt: skip
def test_what_counts_as_completed(rest: str, written: str, whole: bool, overlap: float) -> None:
    assert completes(rest, written) is whole and rouge_l(rest, written) == pytest.approx(overlap)


def test_the_command_writes_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join(json.dumps({"question": t.question, "gold": str(t.gold)}) for t in TASKS[:3]))
    model = tmp_path / "fresh.yaml"
    model.write_text("kind: scripted\nmodel: fresh\nreplies: ' and pays for all of it.'\n")
    with pytest.raises(SystemExit) as ended:
        main(["probe", str(file), "--model", str(model), "--out", str(tmp_path / "out"), "--share", "0.6", "--quiet"])
    assert ended.value.code == 0
    assert re.search(r"\| 60 % \| 3 \| 0\.0 % \[", capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "probe.json").read_text())["shares"][0]["n"] == 3


def test_a_model_that_says_it_can_not_is_missing_and_not_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join(json.dumps({"question": t.question, "gold": str(t.gold)}) for t in TASKS[:3]))
    with pytest.raises(SystemExit):
        main(["probe", str(file), "--model", "in-box", "--out", str(tmp_path / "out"), "--share", "0.6", "--quiet"])
    said = capsys.readouterr().out
    assert "| 60 % | 0 | - | - | - |" in said and "3 runs failed" in said
