"""Votes that weigh what the model is sure of, and abstention: calibrated, logged, and never by what is missing."""

import math
from pathlib import Path

import pytest

from maieutic.agents.speech import Solution
from maieutic.calibration.calibrator import Calibrator, Curve
from maieutic.errors import ConfigError, ModelError
from maieutic.graphs.votes import Tally
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.runner import Result
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Outcome
from tests.conftest import Ask

SOLVE, RATE, TRUE = "Solve the problem", "say how likely its answer", "Judge whether"
TASK = Task(question="What is 4 + 3?", gold="7")
CAPITAL = Task(question="Name the capital of Norway.", gold="Oslo")


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


def votes(*answers: str | None) -> Tally:
    return Tally.of([Solution(f"Answer: {a}", a, f"c{i}") for i, a in enumerate(answers)], "number")


def saved(folder: Path, method: str, raw: tuple[float, ...], share: tuple[float, ...]) -> str:
    fields = {"model": "scripted", "method": method, "fit": "isotonic", "raw": raw, "share": share, "n": 9, "right": 5}
    Calibrator(curves=(Curve.model_validate(fields),)).save(folder / "c.json")
    return str(folder / "c.json")


def answers(*given: int) -> list[Reply]:
    return [f"Answer: {answer}" for answer in given]


def sure(*given: object) -> list[Reply]:
    return [f"Confidence: {value}" for value in given]


def letter(true: float) -> Completion:
    return Completion("A", top_logprobs=((("A", math.log(true)), ("B", math.log(1 - true))),))


def test_the_surer_minority_wins() -> None:
    weighed = votes("7", "8", "8").weighed({"c0": 0.9, "c1": 0.3, "c2": 0.3})
    assert (weighed.counts(), weighed.weights) == ({"7": 1, "8": 2}, (0.9, 0.6))
    assert weighed.winner is not None and weighed.winner.answer == "7"
    assert weighed.share == pytest.approx(0.6)


def test_a_missing_weight_is_the_mean_of_the_others_and_not_zero() -> None:
    weighed = votes("7", "8", "8").weighed({"c0": 0.8, "c1": 0.4, "c2": None})
    assert weighed.weights == pytest.approx((1.0, 0.8))


@pytest.mark.parametrize("weights", [{}, {"c0": None}, {"c0": 0.0, "c1": 0.0, "c2": 0.0}])
def test_where_nothing_is_known_votes_are_counted(weights: dict[str, float | None]) -> None:
    assert votes("7", "8", "8").weighed(weights) == votes("7", "8", "8")


def test_equal_weights_leave_the_order_of_the_plain_vote() -> None:
    plain = votes("7", "8", "8", "7")
    assert plain.weighed({f"c{i}": 0.1 for i in range(4)}).groups == plain.groups


def test_who_abstains_takes_from_the_share() -> None:
    assert votes("7", "7", "8", None).share == 0.5
    assert votes(None).share is None


async def test_votes_weigh_what_the_model_is_sure_of(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: answers(8, 7, 8), RATE: sure(20, 90, 30)})
    result = await ask(model, "self_consistency", TASK, graph_settings={"samples": 3, "weights": "confidence"})
    assert (result.answer, result.outcome, result.usage.calls) == ("7", Outcome.CORRECT, 6)
    vote = recorded(result).events_of("vote")[-1].fields
    assert (vote["votes"], vote["weights"]) == ({"7": 1, "8": 2}, [0.9, 0.5])


async def test_p_true_weighs_votes_too_and_sees_the_other_answers(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: answers(8, 7, 8), TRUE: [letter(0.2), letter(0.9), letter(0.2)]})
    settings = {"samples": 3, "weights": "confidence", "rater": "truth-rater"}
    assert (await ask(model, "self_consistency", TASK, graph_settings=settings)).answer == "7"
    assert "came to mind:\n8\n7\n8\n" in str(model.requests[-1].messages[1]["content"])


async def test_unanimous_votes_are_not_weighed(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7"})
    result = await ask(model, "self_consistency", TASK, graph_settings={"samples": 3, "weights": "confidence"})
    assert (result.answer, result.usage.calls) == ("7", 3)


async def test_ratings_that_all_fail_leave_the_plain_vote(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: answers(8, 7, 8), RATE: ModelError("gone")})
    result = await ask(model, "self_consistency", TASK, graph_settings={"samples": 3, "weights": "confidence"})
    assert (result.answer, result.partial) == ("8", False)
    assert "weights" not in recorded(result).events_of("vote")[-1].fields


async def test_a_calibration_changes_who_wins(ask: Ask, tmp_path: Path) -> None:
    """Whoever says 90 is right in 30 of 100, whoever says 60 in 20: two of them outweigh the one."""
    settings = {"samples": 3, "weights": "confidence", "calibration": saved(tmp_path, "verbal", (0.6, 0.9), (0.2, 0.3))}
    model = ScriptedModel({SOLVE: answers(8, 7, 8), RATE: sure(40, 100, 40)})
    assert (await ask(model, "self_consistency", TASK, graph_settings=settings)).answer == "8"
    model = ScriptedModel({SOLVE: answers(8, 7, 8), RATE: sure(40, 100, 40)})
    assert (await ask(model, "self_consistency", TASK, graph_settings={**settings, "calibration": None})).answer == "7"


@pytest.mark.parametrize(
    ("threshold", "answer", "outcome"),
    [(0.7, "I don't know", Outcome.ABSTAINED), (0.6, "7", Outcome.CORRECT), (None, "7", Outcome.CORRECT)],
)
async def test_below_the_threshold_it_does_not_know(
    ask: Ask, threshold: float | None, answer: str, outcome: Outcome
) -> None:
    settings = {"samples": 3, "early_stop": False, "abstain_below": threshold}
    result = await ask(ScriptedModel({SOLVE: answers(7, 7, 8)}), "self_consistency", TASK, graph_settings=settings)
    assert (result.answer, result.outcome) == (answer, outcome)
    gates = [event.fields for event in recorded(result).events_of("gate")]
    if threshold is not None:
        assert gates[0]["decision"] == ("abstain" if outcome is Outcome.ABSTAINED else "answer")
        assert gates[0]["inputs"] == {"confidence": pytest.approx(2 / 3), "threshold": threshold}


async def test_it_is_the_calibrated_share_that_is_compared(ask: Ask, tmp_path: Path) -> None:
    path = saved(tmp_path, "agreement", (0.5, 1.0), (0.1, 0.4))
    settings = {"samples": 3, "abstain_below": 0.5, "calibration": path}
    result = await ask(ScriptedModel("Answer: 7"), "self_consistency", TASK, graph_settings=settings)
    assert result.outcome is Outcome.ABSTAINED
    said = recorded(result).events_of("confidence")[0].fields
    assert (said["raw"], said["calibrated"]) == (1.0, pytest.approx(0.4))


async def test_a_calibration_that_is_not_there_ends_it_before_it_starts(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel("Answer: 7")
    with pytest.raises(ConfigError, match="maieutic calibrate"):
        await ask(model, "self_consistency", graph_settings={"calibration": str(tmp_path / "none.json")})
    assert not model.requests


async def test_what_follows_one_strategy_may_abstain(ask: Ask) -> None:
    settings = {"strategy": "think", "abstain_below": 0.5}
    model = ScriptedModel({SOLVE: "Answer: Oslo", RATE: sure(30)})
    assert (await ask(model, "strategist", CAPITAL, graph_settings=settings)).outcome is Outcome.ABSTAINED
    model = ScriptedModel({SOLVE: "Answer: Oslo", RATE: sure(60)})
    assert (await ask(model, "strategist", CAPITAL, graph_settings=settings)).answer == "Oslo"
