"""ReConcile: consensus is frozen, every group is heard, what can't be read has no vote, the surer vote weighs more."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maieutic.calibration.calibrator import Calibrator, Curve
from maieutic.errors import ConfigError, ModelError, UnknownName, UserError
from maieutic.graphs.registry import load_graph
from maieutic.graphs.round_table import bucket
from maieutic.llm.model import Model
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.recipes.debate_pairs import debate_pairs
from maieutic.recipes.recipe import Candidate
from maieutic.recipes.recipe import Tally as RecipeTally
from maieutic.runner import Result
from maieutic.settings import Settings
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Outcome
from tests.conftest import Ask

FIRST, AGAIN = "each solve a problem alone", "solved the same problem and disagree"
TASK = Task(question="What is 4 + 3?", gold="7")
ALONE = {"rounds": 0}


def said(answer: object, sure: object = 80, why: str = "I count.") -> str:
    return f"{why}\nConfidence: {sure}\nAnswer: {answer}"


def panel(**scripts: Reply | Sequence[Reply]) -> dict[str, Model]:
    """Models by seat: one=… is that of panelist-1, and has this name."""
    seats = {"one": "panelist-1", "two": "panelist-2", "three": "panelist-3"}
    return {seats[name]: ScriptedModel(script, name=name) for name, script in scripts.items()}


def requests(models: dict[str, Model], seat: int) -> list[str]:
    model = models[f"panelist-{seat}"]
    assert isinstance(model, ScriptedModel)
    return [str(request.messages[1]["content"]) for request in model.requests]


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


async def test_the_unanimous_make_no_further_calls(ask: Ask) -> None:
    result = await ask(ScriptedModel({FIRST: said(7)}), "round_table", TASK)
    assert (result.answer, result.usage.calls) == ("7", 3)


async def test_a_three_way_split_shows_three_groups_to_everybody(ask: Ask) -> None:
    nine = [said(9, "I don't know", "Nine."), said(7)]
    models = panel(one=[said(7, 90, "Seven."), said(7)], two=[said(8, 60, "Eight."), said(7)], three=nine)
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models)
    assert (result.answer, result.usage.calls) == ("7", 6)
    for seat in (1, 2, 3):
        shown = requests(models, seat)[1]
        assert [f"1 panelist answers: {answer}" in shown for answer in (7, 8, 9)] == [True] * 3
        assert "Panelist 1, 90 % sure:\nSeven." in shown and "Panelist 2, 60 % sure:\nEight." in shown
        assert "Panelist 3, who did not say how sure:\nNine." in shown
        assert shown.endswith(f"You are panelist {seat}.")


async def test_what_siblings_of_a_round_read_differs_in_the_last_line_alone(ask: Ask) -> None:
    models = panel(one=[said(7), said(7)], two=[said(8), said(7)], three=[said(8), said(7)])
    await ask(ScriptedModel([]), "round_table", TASK, models=models)
    assert len({requests(models, seat)[1].rsplit("\n", 1)[0] for seat in (1, 2, 3)}) == 1
    assert "2 panelists answer: 8" in requests(models, 1)[1]


async def test_everybody_hears_the_round_before_and_nothing_of_its_own_round(ask: Ask) -> None:
    models = panel(one=[said(1), said(2)], two=[said(3), said(4)], three=[said(5), said(6)])
    await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings={"rounds": 1})
    for seat in (1, 2, 3):
        shown = requests(models, seat)[1]
        assert [f"answers: {i}" in shown for i in (1, 3, 5, 2, 4, 6)] == [True] * 3 + [False] * 3


async def test_rounds_bound_the_discussion(ask: Ask) -> None:
    models = panel(one=[said(1)] * 3, two=[said(2)] * 3, three=[said(3)] * 3)
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings={"rounds": 2})
    assert (result.usage.calls, result.partial) == (9, False)


async def test_who_can_not_be_read_has_no_vote(ask: Ask) -> None:
    """Not a random one, and none of weight 0.1: the two against it would outweigh the one."""
    models = panel(one=said(7, 10), two=["I am not sure."] * 2, three=["Nor am I."] * 2)
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings=ALONE)
    vote = recorded(result).events_of("vote")[-1].fields
    assert (result.answer, vote["votes"], vote["abstained"]) == ("7", {"7": 1}, 2)


async def test_a_reply_is_asked_for_once_more_and_its_explanation_stays(ask: Ask) -> None:
    models = panel(
        one=["Seven, because three and four.", "Confidence: 90\nAnswer: 7", said(7)],
        two=[said(8), said(7)],
        three=[said(8), said(7)],
    )
    await ask(ScriptedModel([]), "round_table", TASK, models=models)
    assert "Panelist 1, 90 % sure:\nSeven, because three and four." in requests(models, 2)[1]


async def test_an_answer_without_a_confidence_keeps_its_vote_at_the_mean_of_the_others(ask: Ask) -> None:
    models = panel(one=["Answer: 7", "Hm."], two=said(8, 100), three=said(8, 10))
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings=ALONE)
    vote = recorded(result).events_of("vote")[-1].fields
    assert (vote["votes"], vote["weights"]) == ({"8": 2, "7": 1}, pytest.approx([1.1, 0.55]))


async def test_the_surer_minority_wins_by_the_papers_weights(ask: Ask) -> None:
    models = panel(one=said(7, 95), two=said(8, 75), three=said(8, 75))
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings=ALONE)
    vote = recorded(result).events_of("vote")[-1].fields
    assert (result.answer, vote["weights"]) == ("7", pytest.approx([0.8, 0.6]))
    assert (vote["majority"], vote["surest"]) == ("8", "7")
    models = panel(one=said(7, 95), two=said(8, 75), three=said(8, 75))
    plain = {**ALONE, "weighed": False}
    assert (await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings=plain)).answer == "8"


@pytest.mark.parametrize(
    ("confidence", "weight"),
    [(0, 0.1), (0.6, 0.1), (0.61, 0.3), (0.79, 0.3), (0.8, 0.5), (0.89, 0.5), (0.9, 0.8), (0.99, 0.8), (1, 1.0)],
)
def test_weights_are_those_of_the_paper(confidence: float, weight: float) -> None:
    assert bucket(confidence) == weight


async def test_a_models_own_curve_takes_the_place_of_the_papers_weights(ask: Ask, tmp_path: Path) -> None:
    """Model one says 95 of everything, and is right in 20 of 100."""
    fields: dict[str, Any] = {"model": "one", "method": "verbal", "fit": "isotonic", "n": 9, "right": 2}
    curve = Curve.model_validate({**fields, "raw": (0.95,), "share": (0.2,)})
    Calibrator(curves=(curve,)).save(tmp_path / "c.json")
    models = panel(one=said(7, 95), two=said(8, 75), three=said(9, 10))
    settings = {**ALONE, "calibration": str(tmp_path / "c.json")}
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings=settings)
    assert recorded(result).events_of("vote")[-1].fields["weights"] == pytest.approx([0.3, 0.2, 0.1])
    assert result.answer == "8"


async def test_who_fails_keeps_the_old_position_and_who_failed_at_first_may_join_later(ask: Ask) -> None:
    models = panel(one=[said(7), ModelError("cut")], two=[said(8), said(7)], three=[ModelError("cut"), said(7)])
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings={"rounds": 1})
    assert (result.answer, result.partial) == ("7", False)
    assert recorded(result).events_of("vote")[-1].fields["votes"] == {"7": 3}


async def test_two_that_agree_are_no_consensus_while_the_third_failed(ask: Ask) -> None:
    models = panel(one=[said(7), said(7)], two=[said(7), said(7)], three=[ModelError("cut"), said(7)])
    assert (await ask(ScriptedModel([]), "round_table", TASK, models=models)).usage.calls == 6


async def test_where_nobody_answers_there_is_nothing_to_discuss(ask: Ask) -> None:
    result = await ask(ScriptedModel("Hm."), "round_table", TASK)
    assert (result.answer, result.text, result.usage.calls) == (None, "Hm.\n\nHm.", 6)


async def test_a_panel_that_is_not_sure_enough_does_not_know(ask: Ask) -> None:
    models = panel(one=said(7, 95), two=said(8, 75), three=said(9, 75))
    settings = {**ALONE, "abstain_below": 0.6}
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings=settings)
    assert result.outcome is Outcome.ABSTAINED
    agreement = recorded(result).events_of("confidence")[-1].fields
    assert (agreement["method"], agreement["model"]) == ("agreement", "one+two+three")
    assert agreement["raw"] == pytest.approx(0.8 / 1.4)


async def test_every_confidence_is_recorded_with_its_model(ask: Ask) -> None:
    models = panel(one=said(7, 95), two=said(7, 75), three=said(7, 60))
    record = recorded(await ask(ScriptedModel([]), "round_table", TASK, models=models))
    verbal = [e.fields for e in record.events_of("confidence") if e.fields["method"] == "verbal"]
    assert {(e["model"], e["raw"], e["answer"]) for e in verbal} == {
        ("one", 0.95, "7"),
        ("two", 0.75, "7"),
        ("three", 0.6, "7"),
    }


def written(folder: Path, *lines: dict[str, str]) -> str:
    (folder / "convincing.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(folder / "convincing.jsonl")


async def test_a_panelist_sees_what_convinced_the_others_and_never_this_question(ask: Ask, tmp_path: Path) -> None:
    lines = [
        {"model": model, "question": f"{model} {i}?", "explanation": "Because.", "answer": "1"}
        for model in ("one", "two", "three", "four")
        for i in range(3)
    ]
    lines.insert(0, {"model": "two", "question": "What is  4 + 3?", "explanation": "It is 7.", "answer": "7"})
    models = panel(one=said(7), two=said(7), three=said(7))
    settings = {"convincing": written(tmp_path, *lines), "examples": 3}
    await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings=settings)
    (shown,) = requests(models, 1)
    assert [name in shown for name in ("two 0?", "three 0?", "two 1?", "three 1?")] == [True, True, True, False]
    assert "one 0?" not in shown and "four 0?" not in shown and "It is 7." not in shown
    assert "two 0?" not in requests(models, 2)[0] and "one 0?" in requests(models, 2)[0]


async def test_models_named_by_the_settings_take_their_seats(ask: Ask, tmp_path: Path) -> None:
    for name, answer in (("a", 7), ("b", 8)):
        (tmp_path / f"{name}.yaml").write_text(f"kind: scripted\nreplies: |-\n  Confidence: 90\n  Answer: {answer}\n")
    run_model = ScriptedModel([])
    result = await ask(
        run_model,
        "round_table",
        TASK,
        graph_settings={"models": ["a", "b", "a"], "rounds": 0},
        settings=Settings(models_dir=tmp_path),
    )
    record = recorded(result)
    assert (result.answer, len(run_model.requests)) == ("7", 0)
    assert [call.role for call in record.calls] == ["panelist-1", "panelist-2", "panelist-3"]
    assert len(set(record.header.models)) == 3
    assert recorded(result).events_of("vote")[-1].fields["votes"] == {"7": 2, "8": 1}


async def test_a_model_given_for_a_seat_wins_over_the_settings(ask: Ask) -> None:
    models = panel(one=said(7), two=said(7), three=said(7))
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models, graph_settings={"panelists": 3})
    assert result.answer == "7"
    with pytest.raises(UnknownName, match="panelist-9"):
        await ask(ScriptedModel(said(7)), "round_table", TASK, models={"panelist-9": ScriptedModel("")})


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"models": ["a"]}, UserError, "two models or more"),
        ({"convincing": "none.jsonl"}, UserError, "no file none.jsonl"),
        ({"calibration": "none.json"}, ConfigError, "maieutic calibrate"),
    ],
)
def test_what_can_not_be_done_is_told_before_it_starts(
    settings: dict[str, Any], error: type[UserError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        load_graph("round_table", settings)


def test_a_line_that_lacks_something_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, {"model": "a", "question": "?", "answer": "7"})
    with pytest.raises(UserError, match="explanation"):
        load_graph("round_table", {"convincing": path})


def test_a_node_of_a_wired_graph_can_not_bring_models(tmp_path: Path) -> None:
    node = "{use: graph, with: {name: round_table, settings: {models: [in-box, vllm]}}}"
    edges = "[{from: start, to: table}, {from: table, to: end}]"
    (tmp_path / "g.yaml").write_text(f"summary: A table.\nnodes:\n  table: {node}\nedges: {edges}\n")
    with pytest.raises(ConfigError, match="models of its own"):
        load_graph(str(tmp_path / "g.yaml"))


async def test_those_who_were_convinced_are_rows(ask: Ask) -> None:
    models = panel(one=[said(7), said(7)], two=[said(8), said(7)], three=[said(9), said(7)])
    result = await ask(ScriptedModel([]), "round_table", TASK, models=models)
    with TraceReader(result.trace) as reader:
        candidates = [Candidate(summary, reader) for summary in reader.runs()]
        found: list[Any] = list(debate_pairs(candidates, RecipeTally(), role="panelist"))
    assert [(item.good, item.meta["before"]) for item in found] == [(True, "right"), (True, "wrong"), (True, "wrong")]
