"""Confidence: read or missing, never a default; recorded with its calibration; P(True) from one token."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from maieutic.agents.confidence import Confidence, TruthRater, VerbalRater, agreement, read_confidence, verifier
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.calibration.calibrator import Calibrator, Curve
from maieutic.llm.profile import Profile
from maieutic.llm.registry import Resolved
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.trace.record import RunRecord
from maieutic.types import Completion
from tests.support.contexts import open_context

SOLUTION = Solution("<think>Wait, let me think.</think>4 + 3 = 7, less 2.\n\nAnswer: 5", "5", "c9")
OTHERS = (SOLUTION, Solution("Answer: 6", "6", "c8"), Solution("Hm.", None, "c7"))


def curve(**fields: object) -> Curve:
    given = {"model": "scripted", "method": "verbal", "fit": "isotonic", "n": 10, "right": 5}
    return Curve.model_validate({**given, "raw": (0.5, 0.9), "share": (0.2, 0.6), **fields})


def letter(true: float, false: float) -> Completion:
    return Completion("A", top_logprobs=((("A", math.log(true)), ("\u2581b", math.log(false)), ("Hm", -1.0)),))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Confidence: 85", 0.85),
        ("Confidence: 85%", 0.85),
        ("**Confidence:** 85 %", 0.85),
        ("Confidence: 85/100", 0.85),
        ("Confidence: 8/10", 0.8),
        ("Confidence: 0.85", 0.85),
        ("Confidence: 1.0", 1.0),
        ("Confidence: 1", 0.01),
        ("Confidence: 0.5 %", 0.005),
        ("Confidence: 0", 0.0),
        ("Confidence: 20\nNo:\nConfidence: 100", 1.0),
        ("<think>Confidence: 20</think>My confidence is 30.", 0.3),
    ],
)
def test_a_confidence_is_read_as_a_share(text: str, value: float) -> None:
    said = read_confidence(text)
    assert said is not None and said.value == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["Confidence: high", "Confidence: 150", "Confidence: -5", "85", "", "Confidence: ninety"]
)
def test_what_is_no_number_of_the_scale_is_missing(text: str) -> None:
    assert read_confidence(text) is None


@pytest.mark.parametrize("text", ["Confidence: I don't know", "I don't know."])
def test_not_knowing_is_a_reply_that_was_read_and_holds_no_number(text: str) -> None:
    said = read_confidence(text)
    assert said is not None and said.value is None


async def verbally(
    replies: list[Reply], traces: Path, calibrator: Calibrator | None = None
) -> tuple[Confidence, int, RunRecord]:
    model, recorded = ScriptedModel(replies), list[RunRecord]()
    async with open_context(traces, model, recorded) as ctx:
        said = await VerbalRater()(ctx, SOLUTION, calibrator)
    return said, len(model.requests), recorded[0]


async def test_it_is_asked_once_more_and_then_missing(tmp_path: Path) -> None:
    said, calls, record = await verbally(["Quite sure.", "Really."], tmp_path)
    assert (said.raw, said.value, calls) == (None, None, 2)
    assert record.events_of("confidence")[0].fields["raw"] is None
    assert record.events_of("confidence")[0].fields["read"] is False


async def test_who_does_not_know_is_not_asked_again(tmp_path: Path) -> None:
    said, calls, record = await verbally(["Confidence: I don't know"], tmp_path)
    assert (said.value, calls) == (None, 1)
    assert record.events_of("confidence")[0].fields["read"] is True


async def test_what_is_shown_holds_no_thoughts(tmp_path: Path) -> None:
    model = ScriptedModel("Confidence: 80")
    async with open_context(tmp_path, model, []) as ctx:
        await VerbalRater()(ctx, SOLUTION)
    shown = str(model.requests[0].messages)
    assert "Answer: 5" in shown and "Wait" not in shown


async def test_it_is_recorded_raw_and_calibrated(tmp_path: Path) -> None:
    said, _, record = await verbally(["Confidence: 70"], tmp_path, Calibrator(curves=(curve(),)))
    assert (said.raw, said.calibrated, said.value) == (0.7, pytest.approx(0.4), pytest.approx(0.4))
    fields = record.events_of("confidence")[0].fields
    assert {name: fields[name] for name in ("of", "method", "model", "answer")} == {
        "of": "c9",
        "method": "verbal",
        "model": "scripted",
        "answer": "5",
    }
    assert (fields["raw"], fields["calibrated"]) == (0.7, pytest.approx(0.4))


@pytest.mark.parametrize(
    ("known", "calibrated", "value"),
    [
        (curve(model="another"), None, 0.7),
        (curve(method="p_true"), None, 0.7),
        (curve(fit="constant", raw=(), share=()), None, None),
    ],
)
async def test_a_curve_counts_for_its_model_and_method_and_a_constant_one_says_nothing(
    known: Curve, calibrated: float | None, value: float | None, tmp_path: Path
) -> None:
    said, _, _ = await verbally(["Confidence: 70"], tmp_path, Calibrator(curves=(known,)))
    assert (said.calibrated, said.value) == (calibrated, value)


async def test_p_true_is_shared_out_between_its_two_letters(tmp_path: Path) -> None:
    model = ScriptedModel([letter(0.6, 0.2)])
    async with open_context(tmp_path, model, []) as ctx:
        said = await TruthRater()(ctx, SOLUTION, ideas=OTHERS)
    assert said.raw == pytest.approx(0.75)
    request = model.requests[0]
    shown = str(request.messages[1]["content"])
    assert "Answers that came to mind:\n5\n6\n" in shown and "Wait" not in shown
    assert (request.sampling.max_tokens, request.sampling.temperature, request.sampling.top_logprobs) == (1, 1.0, 20)


async def test_without_log_probabilities_p_true_is_missing(tmp_path: Path) -> None:
    async with open_context(tmp_path, ScriptedModel(["A"]), []) as ctx:
        assert (await TruthRater()(ctx, SOLUTION)).raw is None


async def test_a_verifier_is_as_sure_as_of_the_letter_that_its_own_work_ends_in(tmp_path: Path) -> None:
    sure, at_random = math.log(0.9), math.log(0.5)
    tops = (
        (("A", at_random), ("B", at_random - 0.1)),  # an A in its work says nothing
        (("so", -0.1), ("B", -3.0)),
        (("\nB", sure), ("A", math.log(0.1))),
        (("<end>", -0.01), ("A", -5.0)),
    )
    said = Completion("A so\nB", top_logprobs=tops, logprobs=tuple(one[0][1] for one in tops))
    model, recorded = ScriptedModel([said]), list[RunRecord]()
    async with open_context(tmp_path, model, recorded) as ctx:
        found = await verifier()(ctx, SOLUTION, ideas=OTHERS)
    assert found.raw == pytest.approx(0.1)
    request = model.requests[0]
    assert "Wait" not in str(request.messages) and request.sampling.max_tokens != 1
    assert recorded[0].events_of("confidence")[0].fields["method"] == "cot_p_true"


async def test_a_verifier_that_gives_no_letter_says_nothing(tmp_path: Path) -> None:
    said = Completion("Hm", top_logprobs=((("Hm", -0.1), ("A", -2.0)),), logprobs=(-0.1,))
    async with open_context(tmp_path, ScriptedModel([said]), []) as ctx:
        assert (await verifier()(ctx, SOLUTION)).raw is None


@pytest.mark.parametrize(
    ("logprobs", "least", "mean"),
    [
        ((math.log(0.5), math.log(0.8)), 0.5, math.sqrt(0.4)),
        ((0.0, 1e-7), 1.0, 1.0),  # a certain token, as a server may round it
        ((), None, None),
        (None, None, None),
    ],
)
async def test_likelihood_is_that_of_the_answers_own_tokens(
    logprobs: tuple[float, ...] | None, least: float | None, mean: float | None, tmp_path: Path
) -> None:
    model, recorded = ScriptedModel(""), list[RunRecord]()
    async with open_context(tmp_path, model, recorded) as ctx:
        solution = replace(SOLUTION, logprobs=logprobs)
        said = [await make_agent(name)(ctx, solution) for name in ("min-logprob", "mean-logprob")]
    assert [one.raw for one in said] == [x if x is None else pytest.approx(x) for x in (least, mean)]
    assert [e.fields["method"] for e in recorded[0].events_of("confidence")] == ["min_logprob", "mean_logprob"]
    assert not model.requests


async def test_agreement_is_calibrated_for_the_model_that_voted(tmp_path: Path) -> None:
    recorded: list[RunRecord] = []
    known = Calibrator(curves=(curve(model="voter", method="agreement", raw=(1.0,), share=(0.8,)),))
    voter = Resolved(ScriptedModel("", name="voter"), Profile(kind="scripted", replies=""))
    async with open_context(tmp_path, ScriptedModel(""), recorded, solver=voter) as ctx:
        said = agreement(ctx, "solver", SOLUTION, 0.75, known)
        other = agreement(ctx, "debater", SOLUTION, 0.75, known)
    assert (said.value, other.value) == (0.8, 0.75)
    assert [event.fields["model"] for event in recorded[0].events_of("confidence")] == ["voter", "scripted"]
