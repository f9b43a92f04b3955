"""Recipes that ask: what is asked and answered goes through ordinary runs, and only what was checked becomes a row."""

import json
from pathlib import Path

import pytest

from maieutic.collector.teach import folders, teach
from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.recipes.export import export
from maieutic.recipes.items import Ask, Dialogue
from maieutic.recipes.lemma import FIXES, TAXONOMY, located
from maieutic.trace.reader import TraceReader
from tests.recipes.runs import Runs, Taught, by_words
from tests.trace.builders import call

FLAWED = "Take two.\nAdd two, which is five.\nAnswer: 5"
LOCATE, INJECT, FIX, FRESH = "Find the first", "makes one error", "Say in a sentence", "another\nmethod"


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


@pytest.fixture
def taught(runs: Runs, tmp_path: Path) -> Taught:
    return Taught(runs, tmp_path / "asked")


def failed(runs: Runs) -> None:
    runs.add("5", "wrong", calls=[call("r000", "a", text=FLAWED)])
    runs.add("4", "correct", calls=[call("r001", "a", text="Two and two.\nAnswer: 4")])


def teacher(fix: str = "Two and two is four.\nAnswer: 4", fresh: str = "Count on.\nAnswer: 4") -> ScriptedModel:
    return by_words({LOCATE: "It is the second.\nAnswer: 2; calculation", FIX: fix, FRESH: fresh, INJECT: "Answer: 4"})


async def test_wrong_beginnings_end_at_their_first_error_and_go_on_to_the_right_answer(
    runs: Runs, taught: Taught
) -> None:
    failed(runs)
    report = await taught.ask("lemma", teacher(), inject=0)
    assert (report.rounds, report.replies, report.open, report.stopped) == (2, 3, 0, None)
    items, _ = taught.rows("lemma", inject=0)
    assert [item.meta["row"] for item in items] == ["fix", "fresh"]
    for item in items:
        assert isinstance(item, Dialogue)
        text = str(item.turns[-1].message["content"])
        assert text.startswith("Take two.\nAdd two, which is five.\n") and text.endswith("Answer: 4")
        assert "Answer: 5" not in text and item.turns[-1].learn
    fix = str(items[0].turns[-1].message["content"])  # type: ignore[union-attr]
    assert fix.splitlines()[2] in FIXES
    [split, _], _ = taught.rows("lemma", inject=0, learn_error=False)
    begun, rest = split.turns[-2:]  # type: ignore[union-attr]
    assert (begun.learn, rest.learn, rest.continues) == (False, True, True)
    assert f"{begun.message['content']}{rest.message['content']}" == fix


async def test_corrections_with_a_wrong_answer_and_injections_without_one_are_dropped(
    runs: Runs, taught: Taught
) -> None:
    failed(runs)
    await taught.ask("lemma", teacher(fix="Five it is.\nAnswer: 5"), inject=2, samples=2)
    items, tally = taught.rows("lemma", inject=2, samples=2)
    assert [item.meta["row"] for item in items] == ["fresh"]
    assert tally.counts["corrections_without_a_right_answer"] == 1
    assert tally.counts["injected_errors_without_a_wrong_answer"] == 4  # two kinds, two samples: all said 4


async def test_an_injected_error_is_located_and_corrected_like_a_students_own(runs: Runs, taught: Taught) -> None:
    failed(runs)
    model = by_words(
        {LOCATE: "Answer: 1; other", INJECT: "Seven.\nAnswer: 7", FIX: "Four.\nAnswer: 4", FRESH: "So.\nAnswer: 4"}
    )
    await taught.ask("lemma", model)
    injected = [item for item in taught.rows("lemma")[0] if item.meta["injected"]]
    assert len(injected) == 2 and injected[0].meta["error"] in TAXONOMY
    assert str(injected[0].turns[-1].message["content"]).startswith("Seven.\n")  # type: ignore[union-attr]


async def test_questions_that_were_never_failed_are_not_asked_about(runs: Runs, taught: Taught) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="asks nothing"):
        await taught.ask("lemma", teacher())


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("2; calculation", (2, "calculation")),
        ("step 3: Unit Conversion of hours", (3, "unit conversion")),
        ("1, something new", (1, "other")),
        ("9; counting", None),
        ("none", None),
        (None, None),
    ],
)
def test_a_located_error_is_a_step_of_the_solution(answer: str | None, found: object) -> None:
    assert located(answer, 4) == found


async def test_replies_are_ordinary_runs_without_gold_and_checked_against_the_tasks(
    runs: Runs, taught: Taught, tmp_path: Path
) -> None:
    runs.add("5", "wrong", calls=[call("r000", "a", text=FLAWED)])  # nobody was right: only the tasks tell
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"id": "t1", "question": "2+2?", "gold": "4", "answer_type": "number"}) + "\n")
    model = teacher()
    await teach([runs.root], "lemma", out=taught.out, model=model, tasks=str(tasks), recipe_settings={"inject": 0})
    assert len(taught.rows("lemma", inject=0)[0]) == 2
    assert not any("gold" in str(request.messages) for request in model.requests)
    with TraceReader(folders(taught.out)[-1]) as reader:
        assert {summary.outcome for summary in reader.runs()} == {"correct"}


async def test_without_a_check_nothing_is_taken_for_right(runs: Runs, taught: Taught) -> None:
    runs.add("5", "wrong", calls=[call("r000", "a", text=FLAWED)])
    await taught.ask("lemma", teacher(), inject=0)
    items, tally = taught.rows("lemma", inject=0)
    assert items == [] and tally.counts["corrections_without_a_right_answer"] == 2


async def test_a_second_start_asks_only_what_is_open(runs: Runs, taught: Taught) -> None:
    failed(runs)
    report = await teach([runs.root], "lemma", out=taught.out, model=teacher(), rounds=1, recipe_settings={"inject": 0})
    assert report.open == 2 and report.stopped == "1 rounds were not enough"
    again = teacher()
    report = await taught.ask("lemma", again, inject=0)
    assert (report.open, len(again.requests)) == (0, 2)


async def test_asks_are_tasks_too_and_an_export_names_the_command(runs: Runs, tmp_path: Path) -> None:
    failed(runs)
    report = export(runs.root, "lemma", "tasks", tmp_path / "asks.jsonl", {"inject": 0})
    [line] = [json.loads(line) for line in report.out.read_text().splitlines()]
    assert line["id"].startswith("ask/lemma/locate/") and "Add two, which is five." in line["question"]
    assert "gold" not in line
    with pytest.raises(UserError, match="maieutic teach --recipe lemma"):
        export(runs.root, "lemma", "trl-sft", tmp_path / "rows.jsonl", {"inject": 0})
    items, _ = runs.through("lemma", inject=0)
    assert all(isinstance(item, Ask) for item in items)
