"""A judge with what is done against its biases: sanitised candidates, both orders, a second look."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.bias_detector import BiasDetector, read_suspicion
from maieutic.agents.judge import Judge
from maieutic.agents.speech import Solution
from maieutic.errors import ModelError
from maieutic.graphs.judging import Debiased, Judgement
from maieutic.llm.scripted import ScriptedModel
from maieutic.trace.record import RunRecord
from maieutic.types import Request
from tests.conftest import Ask
from tests.support.contexts import open_context

JUDGE, DETECT, SOLVE, DEBATE = "Several candidate", "Find out whether", "Solve the problem", "Several solvers"
SEVEN, EIGHT = Solution("It is seven.\nAnswer: 7", "7", "a"), Solution("It is eight.\nAnswer: 8", "8", "b")


def shown(request: Request) -> str:
    return str(request.messages[1]["content"])


def by_content(request: Request) -> str:
    """Chooses the seven, wherever it stands."""
    text = shown(request)
    return f"Choice: {1 if text.index('seven') < text.index('eight') else 2}"


def first(request: Request) -> str:
    return "Choice: 1"


async def judged(
    tmp_path: Path, script: Any, candidates: tuple[Solution, ...] = (SEVEN, EIGHT), **options: Any
) -> tuple[Judgement, ScriptedModel, RunRecord]:
    model, recorded = ScriptedModel(script), list[RunRecord]()
    detector = BiasDetector() if options.pop("look", False) else None
    async with open_context(tmp_path, model, recorded) as ctx:
        judgement = await Debiased(Judge(), detector, **options).decide(ctx, candidates)
    return judgement, model, recorded[0]


async def test_a_choice_by_content_is_the_same_in_both_orders(tmp_path: Path) -> None:
    for candidates in ((SEVEN, EIGHT), (EIGHT, SEVEN)):
        judgement, model, _ = await judged(tmp_path / candidates[0].call_id, by_content, candidates)
        assert judgement.chosen == SEVEN and judgement.state == "chosen"
        assert len(model.requests) == 2
        assert {shown(r).index("seven") < shown(r).index("eight") for r in model.requests} == {True, False}


async def test_a_choice_by_position_is_a_tie(tmp_path: Path) -> None:
    judgement, _, record = await judged(tmp_path, first)
    assert (judgement.chosen, judgement.state, judgement.choices) == (None, "tie", (1, 2))
    gate = record.events_of("gate")[0].fields
    assert (gate["gate"], gate["decision"], gate["inputs"]["choices"]) == ("judgement", "tie", [1, 2])


async def test_with_one_order_position_decides_and_nobody_notices(tmp_path: Path) -> None:
    judgement, _, _ = await judged(tmp_path, first, orders=1)
    assert (judgement.chosen, judgement.choices) == (SEVEN, (1,))


@pytest.mark.parametrize("unread", ["Both are fine.", "Choice: 3", ModelError("cut")])
async def test_an_order_that_can_not_be_read_is_missing_and_no_vote(tmp_path: Path, unread: Any) -> None:
    def half(request: Request) -> Any:
        backwards = shown(request).index("eight") < shown(request).index("seven")
        return unread if backwards else "Choice: 1"

    judgement, _, _ = await judged(tmp_path, half)
    assert (judgement.chosen, judgement.state, judgement.choices) == (None, "missing", (1, None))


async def test_both_orders_go_out_together(tmp_path: Path) -> None:
    model, recorded = ScriptedModel(by_content, latency=0.01), list[RunRecord]()
    async with open_context(tmp_path, model, recorded) as ctx:
        await Debiased(Judge()).decide(ctx, [SEVEN, EIGHT])
    assert model.peak == 2


async def test_candidates_are_sanitised_and_the_choice_is_the_candidate_as_it_was(tmp_path: Path) -> None:
    swaying = Solution("<think>8?</think>Wait, let me think.\n" + EIGHT.text, "8", "b")
    _, clean, _ = await judged(tmp_path / "clean", {JUDGE: "Choice: 2"}, orders=1)
    judgement, model, record = await judged(tmp_path / "sway", {JUDGE: "Choice: 2"}, (SEVEN, swaying), orders=1)
    assert shown(model.requests[0]) == shown(clean.requests[0])
    assert judgement.chosen is swaying
    assert record.events_of("gate")[0].fields["inputs"]["removed"] == {"thoughts": 1, "reflection": 1}
    _, raw, _ = await judged(tmp_path / "raw", {JUDGE: "Choice: 2"}, (SEVEN, swaying), orders=1, sanitise=False)
    assert "let me think" in shown(raw.requests[0])


def persuadable(request: Request) -> str:
    """Takes the first one, until somebody remarks on it."""
    return by_content(request) if "suspects a bias" in shown(request) else "Choice: 1"


async def test_a_suspected_choice_is_made_again_with_the_remarks(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return (
            "The place decided.\nBiased: yes" if DETECT in str(request.messages[0]["content"]) else persuadable(request)
        )

    judgement, model, _ = await judged(tmp_path, script, look=True)
    assert (judgement.chosen, judgement.looks) == (SEVEN, 1)
    assert len(model.requests) == 5
    detecting = shown(model.requests[2])
    assert "order below: candidate 1" in detecting and "opposite order: candidate 2" in detecting
    assert all("The place decided." in shown(r) for r in model.requests[3:])
    assert shown(model.requests[3]).startswith(shown(model.requests[0]))  # a common prefix


@pytest.mark.parametrize(("word", "calls"), [("Biased: no", 3), ("Hard to tell.", 4)])
async def test_without_a_suspicion_the_tie_stays(tmp_path: Path, word: str, calls: int) -> None:
    judgement, model, record = await judged(tmp_path, {JUDGE: "Choice: 1", DETECT: word}, look=True)
    assert (judgement.state, judgement.looks, len(model.requests)) == ("tie", 1, calls)
    assert record.events_of("gate")[0].fields["decision"] == ("unbiased" if calls == 3 else "missing")


async def test_second_looks_are_bounded(tmp_path: Path) -> None:
    judgement, model, _ = await judged(tmp_path, {JUDGE: "Choice: 1", DETECT: "Biased: yes"}, look=True, looks=3)
    assert (judgement.state, judgement.looks, len(model.requests)) == ("tie", 3, 2 + 3 * 3)


async def test_what_both_orders_agree_on_is_not_looked_at_again(tmp_path: Path) -> None:
    _, model, _ = await judged(tmp_path, by_content, look=True)
    assert len(model.requests) == 2


async def test_with_one_order_every_choice_is_looked_at(tmp_path: Path) -> None:
    judgement, model, _ = await judged(tmp_path, {JUDGE: "Choice: 1", DETECT: "Biased: no"}, look=True, orders=1)
    assert (judgement.chosen, len(model.requests)) == (SEVEN, 2)


async def test_a_failed_detector_leaves_what_was_judged(tmp_path: Path) -> None:
    judgement, _, _ = await judged(tmp_path, {JUDGE: "Choice: 1", DETECT: ModelError("cut")}, look=True)
    assert (judgement.state, judgement.looks) == ("tie", 0)


@pytest.mark.parametrize(
    ("text", "biased"),
    [("Biased: yes", True), ("**Biased:** no.", False), ("Biased: yes\nBiased: no", False), ("It is biased.", None)],
)
def test_a_suspicion_is_read_or_missing(text: str, biased: bool | None) -> None:
    assert read_suspicion(text) is biased


def debating(judge: Callable[[Request], str]) -> Callable[[Request], str]:
    """Two debaters that stay with seven and eight, by the turn they were asked in."""
    asked = iter(range(100))

    def script(request: Request) -> str:
        if JUDGE in str(request.messages[0]["content"]):
            return judge(request)
        return "It is seven.\nAnswer: 7" if next(asked) % 2 == 0 else "It is eight.\nAnswer: 8"

    return script


@pytest.mark.parametrize(("place", "orders", "answer"), [(2, 1, "8"), (2, 2, "7")])
async def test_a_debate_ends_with_who_was_first_where_the_orders_contradict(
    ask: Ask, place: int, orders: int, answer: str
) -> None:
    model = ScriptedModel(debating(lambda request: f"Choice: {place}"))
    result = await ask(model, "debate", graph_settings={"debaters": 2, "rounds": 1, "orders": orders})
    assert (result.answer, result.usage.calls) == (answer, 4 + orders)


async def test_a_debate_takes_what_both_orders_choose(ask: Ask) -> None:
    def eight(request: Request) -> str:
        return "Choice: 2" if by_content(request) == "Choice: 1" else "Choice: 1"

    result = await ask(
        ScriptedModel(debating(eight)), "debate", graph_settings={"debaters": 2, "rounds": 1, "orders": 2}
    )
    assert result.answer == "8"
