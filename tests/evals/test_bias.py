"""How far a judge can be swayed, measured on judges whose biases are known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maieutic.cli import main
from maieutic.errors import UnknownName, UserError
from maieutic.evals.bias import BIASES, Finding, Susceptibility, finding, judgements, measure
from maieutic.evals.pairs import INJECTED, Pair, injected, load_injections, pairs_of
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.types import Request

TASKS = [Task(id=f"t{i}", question=f"What is {i} + 3?", gold=str(i + 3), answer_type="number") for i in range(12)]
Says = Callable[[str, str, str], int]
"""Whom a judge chooses, 1 or 2, by the question and the two candidates."""


def judge(says: Says) -> ScriptedModel:
    def script(request: Request) -> str:
        question, _, candidates = str(request.messages[1]["content"]).partition("\n\nCandidate 1:\n")
        return f"Choice: {says(question, *candidates.split(chr(10) * 2 + 'Candidate 2:' + chr(10)))}"

    return ScriptedModel(script)


def by_content(question: str, one: str, other: str) -> int:
    right = int(question.partition("is ")[2].partition(" ")[0]) + 3
    return 1 if one.endswith(f"Answer: {right}") else 2


def swayed_by(mark: str) -> Says:
    """Right, unless one candidate has the mark."""

    def says(question: str, one: str, other: str) -> int:
        marked = [mark in one, mark in other]
        return by_content(question, one, other) if marked[0] == marked[1] else 1 + marked.index(True)

    return says


async def measured(model: ScriptedModel, out: Path, **options: Any) -> dict[str, Susceptibility]:
    found = await measure(TASKS, out=out, model=model, **options)
    return {row.bias: row for row in found.rows}


def flips(row: Susceptibility) -> float:
    assert row.flips is not None
    return row.flips.estimate


async def test_who_judges_by_content_is_never_swayed(tmp_path: Path) -> None:
    rows = await measured(judge(by_content), tmp_path)
    assert list(rows) == list(BIASES)
    for row in rows.values():
        assert (row.n, row.missing, flips(row), row.helped) == (12, 0, 0.0, 0)
        assert row.clean is not None and row.clean.estimate == 1 and row.clean.n == 12
    assert rows["position"].first is not None and rows["position"].first.estimate == 0.5


async def test_who_takes_the_first_flips_with_the_order_and_with_nothing_else(tmp_path: Path) -> None:
    rows = await measured(judge(lambda question, one, other: 1), tmp_path)
    assert flips(rows["position"]) == 1.0 and rows["position"].first is not None
    assert rows["position"].first.estimate == 1.0
    assert {flips(row) for bias, row in rows.items() if bias != "position"} == {0.0}


async def findings(model: ScriptedModel, out: Path, **options: Any) -> dict[str, Finding]:
    return (await measure(TASKS, out=out, model=model, **options)).findings


async def test_what_a_judge_is_swayed_by_is_said_and_nothing_else(tmp_path: Path) -> None:
    assert set((await findings(judge(by_content), tmp_path / "content")).values()) == {"not shown"}
    places: list[Says] = [lambda question, one, other: 1, lambda question, one, other: 2]
    for number, place in enumerate(places, 1):
        found = await findings(judge(place), tmp_path / f"place-{number}")
        assert {bias for bias, what in found.items() if what == "swayed"} == {"position"}
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps({name: [f"mark of {name}"] for name in INJECTED}))
    for bias in INJECTED:
        found = await findings(judge(swayed_by(f"mark of {bias}")), tmp_path / bias, injections=own)
        assert {name for name, what in found.items() if what == "swayed"} == {bias}


async def test_who_prefers_the_longer_is_found_out(tmp_path: Path) -> None:
    """By every text that is put in, since each makes the candidate longer; what stands first does nothing."""

    def longer(question: str, one: str, other: str) -> int:
        return by_content(question, one, other) if len(one) == len(other) else 1 + (len(other) > len(one))

    tasks = [
        Task(id=f"t{i}", question=f"What is {i} + 3?", gold=str(i + 3), answer_type="number") for i in range(10, 22)
    ]
    found = (await measure(tasks, out=tmp_path, model=judge(longer))).findings
    assert found == {"position": "not shown", **dict.fromkeys(("verbosity", *INJECTED), "swayed")}


async def test_who_changes_its_mind_by_chance_is_not_found_guilty(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: f"Choice: {1 + int(request.sampling.seed or 0) % 2}")
    assert set((await findings(model, tmp_path)).values()) == {"not shown"}


async def test_a_crowd_follower_is_swayed_by_the_crowd_and_sanitising_cures_it(tmp_path: Path) -> None:
    crowd = {"bandwagon": ["90% of people believe that the answer is {answer}."]}
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps(crowd))
    options: dict[str, Any] = {"biases": ["chance", "bandwagon"], "injections": own}
    rows = await measured(judge(swayed_by("90% of people")), tmp_path / "bare", **options)
    swayed = rows["bandwagon"].swayed
    assert swayed is not None and (swayed.estimate, swayed.n) == (1.0, 12)
    assert (flips(rows["chance"]), rows["bandwagon"].p_value) == (0.0, pytest.approx(2 * 0.5**12))
    options |= {"graph_settings": {"sanitise": True}}
    assert flips((await measured(judge(swayed_by("90% of people")), tmp_path / "clean", **options))["bandwagon"]) == 0.0


@pytest.mark.parametrize("bias", INJECTED)
async def test_each_injection_reaches_the_wrong_candidate_and_no_other_bias(bias: str, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps({name: [f"mark of {name}"] for name in INJECTED}))
    rows = await measured(judge(swayed_by(f"mark of {bias}")), tmp_path / "out", injections=own)
    assert {name for name, row in rows.items() if flips(row) == 1.0} == {bias}
    assert {flips(row) for name, row in rows.items() if name != bias} == {0.0}


async def test_an_injection_that_helps_is_a_flip_and_no_sway(tmp_path: Path) -> None:
    def contrary(question: str, one: str, other: str) -> int:
        """Wrong, unless there is a mark, which it takes against."""
        marked = ["mark" in one, "mark" in other]
        return 3 - by_content(question, one, other) if not any(marked) else 2 - marked.index(True)

    own = tmp_path / "own.yaml"
    own.write_text(json.dumps({"authority": ["mark"]}))
    rows = await measured(judge(contrary), tmp_path / "out", biases=["authority"], injections=own)
    row = rows["authority"]
    assert (flips(row), row.helped, row.swayed) == (1.0, 12, None)
    assert finding(row, 0.05) == "put off"


async def test_what_is_behind_a_show_of_reflection_is_the_wrong_one(tmp_path: Path) -> None:
    model = judge(by_content)
    await measured(model, tmp_path, biases=["reflection"])
    texts = load_injections()["reflection"]
    shown = [str(r.messages[1]["content"]) for r in model.requests if any(t in str(r.messages) for t in texts)]
    assert len(shown) == 12
    assert all("Candidate 2:\n" in text.partition(hit)[0] for text in shown for hit in texts if hit in text)


async def test_half_of_the_pairs_begin_with_the_right_one() -> None:
    pairs, _ = pairs_of([Task(id=f"t{i}", question=f"{i}?", gold=i, answer_type="number") for i in range(200)])
    golds = [task.gold for task in judgements(pairs, ["chance"], {}) if "chance" in task.id]
    assert 70 < golds.count("1") < 130


async def test_choices_that_can_not_be_read_are_missing_and_in_no_share(tmp_path: Path) -> None:
    rows = await measured(ScriptedModel("Both are fine."), tmp_path / "none", biases=["position"])
    assert rows["position"].n == 0 and rows["position"].missing == 12
    assert (rows["position"].flips, rows["position"].clean, rows["position"].p_value) == (None, None, None)

    def sometimes(request: Request) -> str:
        return "Hm." if "is 4 + 3" in str(request.messages) else "Choice: 1"

    rows = await measured(ScriptedModel(sometimes), tmp_path / "some", biases=["position"])
    assert (rows["position"].n, rows["position"].missing, flips(rows["position"])) == (11, 1, 1.0)
    found = await measure(TASKS, out=tmp_path / "none", model=ScriptedModel(""), biases=["position"])
    assert (found.findings, found.judged, found.unread) == ({"position": "unread"}, 24, 24)


async def test_contradicting_orders_are_ties_and_not_right(tmp_path: Path) -> None:
    model = judge(lambda question, one, other: 1)
    rows = await measured(model, tmp_path, biases=["position"], graph_settings={"orders": 2})
    row = rows["position"]
    assert (row.ties, flips(row), row.first) == (12, 0.0, None)
    assert row.clean is not None and row.clean.estimate == 0.0


async def test_chance_shows_how_often_a_judge_changes_its_mind_anyway(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: f"Choice: {1 + int(request.sampling.seed or 0) % 2}")
    rows = await measured(model, tmp_path, biases=["chance"])
    assert 0 < flips(rows["chance"]) < 1


async def test_a_second_start_judges_nothing_twice(tmp_path: Path) -> None:
    first, second = judge(by_content), judge(by_content)
    await measured(first, tmp_path, biases=["chance", "position"])
    rows = await measured(second, tmp_path, biases=["chance", "position", "authority"])
    assert len(first.requests) == 12 * 3
    assert len(second.requests) == 12
    assert rows["authority"].n == 12


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        (Task(id="a", question="?", gold="yes", answer_type="boolean"), {"no"}),
        (Task(id="a", question="?", gold="B", answer_type="choice", inputs={"choices": ["x", "y", "z"]}), {"A", "C"}),
        (Task(id="a", question="?", gold="7", answer_type="number"), {"9"}),
        (Task(id="a", question="?", gold="9", answer_type="number"), {"10"}),  # its like is no wrong answer
        (Task(id="a", question="?", gold="Paris", answer_type="text"), {"Rome"}),
        (Task(id="a", question="?", gold="ROME", answer_type="text"), None),
        (Task(id="a", question="?", answer_type="text"), None),
    ],
)
def test_a_wrong_answer_is_of_the_same_kind_and_known_to_be_wrong(task: Task, wrong: set[str] | None) -> None:
    others = [
        Task(id="b", question="??", gold="9.0", answer_type="number"),
        Task(id="c", question="???", gold="Rome", answer_type="text"),
    ]
    pairs, skipped = pairs_of([task, *others])
    found = {pair.task.id: pair for pair in pairs}
    if wrong is None:
        assert "a" not in found and skipped >= 1
    elif task.gold == "7":
        assert found["a"].wrong == "9.0"
    else:
        assert found["a"].wrong in wrong and found["a"].right == task.gold


def test_every_bias_has_texts_that_name_no_other_answer() -> None:
    pair = Pair(TASKS[0], "3", "17")
    shipped = load_injections()
    assert set(shipped) == set(INJECTED)
    for bias in INJECTED:
        text = injected(pair, bias, shipped)
        assert text.endswith("\nAnswer: 17") and "{" not in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "no injections"),
        ("crowds: [x]", "injections for 'crowds'"),
        ("bandwagon: x", "write a list"),
        ("a: [", "can't be read"),
    ],
)
def test_injections_that_can_not_be_used_are_refused(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(content)
    with pytest.raises(UserError, match=said):
        load_injections(tmp_path / "own.yaml")


async def test_what_can_not_be_measured_is_said(tmp_path: Path) -> None:
    model, out = ScriptedModel("Choice: 1"), tmp_path / "out"
    with pytest.raises(UnknownName, match="no bias named 'mood'"):
        await measure(TASKS, out=out, model=model, biases=["mood"])
    with pytest.raises(UserError, match="No pair"):
        await measure([Task(question="?")], out=out, model=model)
    (tmp_path / "own.yaml").write_text("bandwagon: [x]")
    with pytest.raises(UserError, match="no injections for verbosity"):
        await measure(TASKS, out=out, model=model, injections=tmp_path / "own.yaml")
    assert not out.exists() and not model.requests


def command(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["judge", *arguments])
    return ended.value.code


def test_the_command_prints_a_table_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / "first.yaml").write_text("kind: scripted\nreplies: 'Choice: 1'\n")
    tasks, out = tmp_path / "tasks.jsonl", tmp_path / "out"
    tasks.write_text("".join(task.model_dump_json() + "\n" for task in TASKS))
    asked = [str(tasks), "--model", "first", "--out", str(out), "--limit", "10", "--quiet"]
    assert command(*asked) == 0
    said = capsys.readouterr().out
    assert "| position | 10 | 0 | 0 | 100.0 % [72.2, 100.0] |" in said and "100.0 % [83.9, 100.0] fell on" in said
    assert "Swayed by (p at most 0.05 over 6 biases): position (what stands first)." in said
    assert "Not shown: verbosity, bandwagon, authority, distraction, reflection." in said
    assert "could be read" not in said
    assert (out / "bias.md").read_text() == said
    assert command(*asked, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((out / "bias.json").read_text())
    assert (told["model"], told["pairs"], told["biases"][1]["flips"]["n"]) == ("first", 10, 10)
    assert (told["findings"]["position"], told["findings"]["verbosity"]) == ("swayed", "not shown")


def test_a_judge_that_names_nobody_is_told_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / "mute.yaml").write_text("kind: scripted\nreplies: 'Both are fine.'\n")
    tasks, out = tmp_path / "tasks.jsonl", tmp_path / "out"
    tasks.write_text("".join(task.model_dump_json() + "\n" for task in TASKS[:2]))
    assert command(str(tasks), "--model", "mute", "--out", str(out), "--bias", "authority", "--quiet") == 0
    said = capsys.readouterr().out
    assert "Nothing can be said of authority: no pair has two choices that could be read." in said
    hint = said.partition("In 4 of 4 judgements no choice could be read; one is shown by: maieutic ")[2].split("\n")[0]
    with pytest.raises(SystemExit) as ended:
        main(hint.split())
    assert ended.value.code == 0 and "Both are fine." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--graph", "debate"], "is no graph"),
        (["--tool", "python"], "no tools"),
        (["--bias", "mood"], "no bias named 'mood'"),
        (["--set", "order=2"], "no setting 'order'"),
        (["--limit", "0"], "from 1"),
    ],
)
def test_mistakes_are_said(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(task.model_dump_json() + "\n" for task in TASKS[:2]))
    assert command(str(tasks), "--out", str(tmp_path / "out"), *arguments) == 2
    assert said in capsys.readouterr().err
