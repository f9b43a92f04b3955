"""A cascade goes on where an answer is not sure enough, and only there; what it goes by is in the trace."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from maieutic.agents.registry import register_agent
from maieutic.calibration.calibrator import Calibrator, Curve
from maieutic.errors import ConfigError, ModelError, UserError
from maieutic.graphs.cascade import STAGES, Stage
from maieutic.graphs.registry import load_graph
from maieutic.llm.scripted import Reply, ScriptedModel, call_tool
from maieutic.runner import Result
from maieutic.tasks.task import Task
from maieutic.tools.tool import tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Outcome
from tests.conftest import Ask

TASK = Task(question="What is 4 + 3?", gold="7")
SOLVE, RATE, TRUE, DIRECT = "Solve the problem", "say how likely its answer", "Judge whether", "Answer at once"


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def said(answer: object, *probabilities: float) -> Completion:
    """An answer of so many tokens, each of this probability."""
    return Completion(f"Answer: {answer}", logprobs=tuple(map(math.log, probabilities)))


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


def gates(result: Result) -> list[tuple[str, float | None]]:
    found = [e.fields for e in recorded(result).events_of("gate") if e.fields["gate"] == "cascade"]
    return [(fields["decision"], fields["inputs"]["confidence"]) for fields in found]


@pytest.mark.parametrize(
    ("rater", "probabilities", "answer", "decision"),
    [
        ("min-logprob", (0.99, 0.81), "7", "accept"),
        ("min-logprob", (0.99, 0.79), "8", "defer"),
        ("mean-logprob", (0.99, 0.70), "7", "accept"),  # their geometric mean is 0.83
        ("mean-logprob", (0.89, 0.70), "8", "defer"),  # 0.79
    ],
)
async def test_it_goes_on_where_the_tokens_are_not_probable_enough(
    ask: Ask, rater: str, probabilities: tuple[float, ...], answer: str, decision: str
) -> None:
    model = ScriptedModel([said(7, *probabilities), *["Answer: 8"] * 5])
    result = await ask(model, "cascade", TASK, graph_settings={"rater": rater})
    assert (result.answer, gates(result)[0][0]) == (answer, decision)
    assert len(model.requests) == (1 if answer == "7" else 4)
    assert model.requests[0].sampling.temperature == 0
    stated = recorded(result).events_of("confidence")[0].fields
    assert (stated["method"], stated["stage"]) == (rater.replace("-", "_"), "greedy")


async def test_tokens_that_call_a_tool_count_too(ask: Ask) -> None:
    """The model was not sure of the sum that it had worked out, and sure of copying the result."""
    called = replace(call_tool("add", a=4, b=3), logprobs=(math.log(0.3),))
    settings = {"stages": ["tool"], "abstain_below": 0.5}
    result = await ask(ScriptedModel([called, said(7, 0.99)]), "cascade", TASK, tools=[add], graph_settings=settings)
    assert result.outcome is Outcome.ABSTAINED
    assert recorded(result).events_of("confidence")[0].fields["raw"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("ratings", "decision", "calls"),
    [(["Confidence: 80"], "accept", 2), (["Confidence: 79"], "defer", 3), (["Hm.", "Hm."], "defer", 4)],
)
async def test_it_may_go_by_what_the_model_says(ask: Ask, ratings: list[Reply], decision: str, calls: int) -> None:
    model = ScriptedModel({DIRECT: "Answer: 7", RATE: ratings, SOLVE: "Answer: 8"})
    settings = {"rater": "rater", "stages": ["at_once", "greedy"]}
    result = await ask(model, "cascade", TASK, graph_settings=settings)
    assert (gates(result)[0][0], len(model.requests)) == (decision, calls)
    assert result.answer == ("7" if decision == "accept" else "8")


async def test_it_may_go_by_p_true(ask: Ask) -> None:
    letter = Completion("A", top_logprobs=((("A", math.log(0.9)), ("B", math.log(0.1))),))
    model = ScriptedModel({TRUE: letter, SOLVE: "Answer: 7"})
    result = await ask(model, "cascade", TASK, graph_settings={"rater": "truth-rater"})
    assert gates(result) == [("accept", pytest.approx(0.9))]


async def test_a_rating_that_fails_is_no_confidence(ask: Ask) -> None:
    model = ScriptedModel({RATE: ModelError("gone"), SOLVE: ["Answer: 7", "Answer: 8"]})
    settings = {"rater": "rater", "stages": ["greedy", "sample"]}
    result = await ask(model, "cascade", TASK, graph_settings=settings)
    assert (result.answer, result.partial, gates(result)) == ("8", False, [("defer", None)])


async def test_a_vote_goes_by_its_agreement(ask: Ask) -> None:
    def agreeing(*answers: int) -> ScriptedModel:
        return ScriptedModel([*(f"Answer: {a}" for a in answers), call_tool("add", a=4, b=3), "Answer: 7"])

    settings = {"stages": ["vote", "tool"], "threshold": 0.7}
    result = await ask(agreeing(8, 8, 8), "cascade", TASK, tools=[add], graph_settings=settings)
    assert (result.answer, gates(result)) == ("8", [("accept", 1.0)])
    model = agreeing(8, 7, 8, 6)  # which no fifth vote could change
    result = await ask(model, "cascade", TASK, tools=[add], graph_settings=settings)
    assert (result.answer, gates(result)) == ("7", [("defer", 0.5)])
    assert not any(request.tools for request in model.requests[:4]) and model.requests[4].tools


@pytest.mark.parametrize(("threshold", "answer"), [(0.6, "7"), (0.4, "7"), (0.39, "I don't know")])
async def test_each_stage_has_a_curve_of_its_own(ask: Ask, threshold: float, answer: str, tmp_path: Path) -> None:
    """The same 0.9 is worth 0.5 when it is greedy; what it is worth when it is sampled decides at last."""

    def curve(stage: str, share: float) -> Curve:
        fields = {"model": "scripted", "method": "min_logprob", "fit": "isotonic", "n": 9, "right": 5, "stage": stage}
        return Curve.model_validate({**fields, "raw": (0.9,), "share": (share,)})

    path = tmp_path / "c.json"
    Calibrator(curves=(curve("greedy", 0.5), curve("T 1", threshold), curve("", 0.9))).save(path)
    settings = {"stages": ["greedy", "sample"], "calibration": str(path), "threshold": 0.6, "abstain_below": 0.4}
    result = await ask(ScriptedModel([said(8, 0.9), said(7, 0.9)]), "cascade", TASK, graph_settings=settings)
    assert (result.answer, gates(result)) == (answer, [("defer", 0.5)])
    assert [e.fields["calibrated"] for e in recorded(result).events_of("confidence")] == [0.5, threshold]


async def test_above_one_every_stage_is_asked_and_rated(ask: Ask) -> None:
    model = ScriptedModel([said(6, 1.0), said(7, 0.5), said(8, 0.25)])
    settings = {"stages": ["greedy", "sample", "sample"], "threshold": 2}
    result = await ask(model, "cascade", TASK, graph_settings=settings)
    assert (result.answer, [d for d, _ in gates(result)]) == ("8", ["defer", "defer"])
    assert [e.fields["raw"] for e in recorded(result).events_of("confidence")] == [1.0, 0.5, 0.25]


async def test_the_last_answer_is_not_rated_for_nothing(ask: Ask) -> None:
    model = ScriptedModel({RATE: "Confidence: 10", SOLVE: ["Answer: 7", "Answer: 8"]})
    settings = {"rater": "rater", "stages": ["greedy", "sample"]}
    assert (await ask(model, "cascade", TASK, graph_settings=settings)).answer == "8"
    assert len(model.requests) == 3


@pytest.mark.parametrize("last", ["Hm.", ModelError("gone")])
async def test_a_last_stage_that_brings_nothing_leaves_the_answer_before_it(ask: Ask, last: Reply) -> None:
    model = ScriptedModel([said(7, 0.5), last])
    settings = {"stages": ["greedy", "sample"]}
    result = await ask(model, "cascade", TASK, graph_settings=settings)
    assert (result.answer, result.outcome) == ("7", Outcome.CORRECT)
    assert result.partial == isinstance(last, ModelError)
    settings |= {"abstain_below": 0.6}  # and what it was worth is still known
    model = ScriptedModel([said(7, 0.5), last])
    assert (await ask(model, "cascade", TASK, graph_settings=settings)).outcome is Outcome.ABSTAINED


async def test_a_vote_without_a_readable_answer_takes_no_answers_place(ask: Ask) -> None:
    model = ScriptedModel([said(7, 0.5), *["Hm."] * 5])
    assert (await ask(model, "cascade", TASK)).answer == "7"


async def test_a_first_stage_that_fails_is_recorded_and_the_next_one_asked(ask: Ask) -> None:
    settings = {"stages": ["greedy", "sample"]}
    result = await ask(ScriptedModel([ModelError("gone"), "Answer: 7"]), "cascade", TASK, graph_settings=settings)
    assert (result.answer, result.partial, gates(result)) == ("7", False, [("defer", None)])
    with pytest.raises(ModelError, match="gone"):
        await ask(ScriptedModel(ModelError("gone")), "cascade", TASK, graph_settings=settings)


async def test_who_does_not_know_at_once_may_know_later(ask: Ask) -> None:
    model = ScriptedModel({DIRECT: "Answer: I don't know", SOLVE: "Answer: 7"})
    result = await ask(model, "cascade", TASK, graph_settings={"stages": ["at_once", "greedy"]})
    assert (result.answer, gates(result)) == ("7", [("defer", None)])


async def test_a_stage_may_have_a_model_of_its_own_and_its_confidence_is_that_models(ask: Ask) -> None:
    small, large = ScriptedModel(said(8, 0.5), name="small"), ScriptedModel(said(7, 0.9), name="large")
    settings = {"stages": [{}, {"samples": 1}], "threshold": 0.95, "abstain_below": 0.6}
    result = await ask(small, "cascade", TASK, models={"solver-2": large}, graph_settings=settings)
    assert (result.answer, len(small.requests), len(large.requests)) == ("7", 1, 1)
    stated = [e.fields for e in recorded(result).events_of("confidence")]
    assert [(fields["model"], fields["raw"]) for fields in stated] == [("small", 0.5), ("large", pytest.approx(0.9))]
    assert load_graph("cascade", {"stages": ["greedy", {"model": "x"}]}).cast == {"solver-1": None, "solver-2": "x"}


async def test_a_rater_that_is_asked_is_the_stages_own_model(ask: Ask) -> None:
    small = ScriptedModel({SOLVE: "Answer: 8", RATE: "Confidence: 10"}, name="small")
    large = ScriptedModel({SOLVE: "Answer: 7", RATE: "Confidence: 90"}, name="large")
    settings = {"stages": ["greedy", "greedy"], "rater": "rater", "abstain_below": 0.5}
    result = await ask(small, "cascade", TASK, models={"solver-2": large}, graph_settings=settings)
    assert (result.answer, len(small.requests), len(large.requests)) == ("7", 2, 2)


async def test_what_can_not_be_done_is_said_before_anything_is_asked(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7")
    with pytest.raises(UserError, match="--tool"):
        await ask(model, "cascade", TASK, graph_settings={"stages": ["greedy", "tool"]})
    with pytest.raises(ConfigError, match="no stage 'greed'"):
        await ask(model, "cascade", TASK, graph_settings={"stages": ["greed"]})

    @register_agent("mute")
    def mute(sampling: object) -> object:
        return object()

    with pytest.raises(UserError, match="mute can't be told"):
        load_graph("cascade", {"stages": [{"solver": "mute", "model": "x"}]})
    assert not model.requests


def test_every_named_stage_has_another_name_for_its_curve() -> None:
    names = [stage.name for stage in STAGES.values()]
    assert len(set(names)) == len(names)
    assert Stage(samples=3, temperature=0.5, tools=True).name == "vote of 3, T 0.5, tools"
