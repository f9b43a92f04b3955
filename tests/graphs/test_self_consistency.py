import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.agents.speech import Solution
from maieutic.errors import ModelError
from maieutic.graphs.votes import Tally
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.tasks.answers import canonical
from maieutic.types import Request
from tests.conftest import Ask


def votes(*answers: str | None) -> list[Solution]:
    return [Solution(f"Answer: {a}", a, f"c{i}") for i, a in enumerate(answers)]


def winner(answers: list[str | None]) -> str | None:
    won = Tally.of(votes(*answers), "auto").winner
    return won.answer if won else None


def test_answers_are_grouped_by_value_and_the_missing_abstain() -> None:
    tally = Tally.of(votes("1/2", "0.5", None, "3", "50%"), "number")
    assert tally.counts() == {"1/2": 3, "3": 1}
    assert tally.abstained == 1


def test_who_says_that_it_does_not_know_votes_for_nothing() -> None:
    tally = Tally.of(votes("I don't know", "3", "I do not know", "i don't know."), "text")
    assert (tally.counts(), tally.abstained, tally.unanimous) == ({"3": 1}, 3, False)


def test_of_equal_groups_the_one_that_got_there_first_leads() -> None:
    assert winner(["a", "b", "b", "a"]) == "b"


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=12))
def test_an_early_stop_never_changes_the_winner(answers: list[str | None]) -> None:
    for seen in range(len(answers) + 1):
        tally = Tally.of(votes(*answers[:seen]), "auto")
        if tally.needed(len(answers) - seen) == 0:
            assert winner(answers[:seen]) == winner(answers)
            break


@given(st.lists(st.sampled_from(["a", "b"]), min_size=0, max_size=6), st.integers(1, 6))
def test_needed_is_the_fewest_votes_that_could_settle_it(answers: list[str], remaining: int) -> None:
    tally = Tally.of(votes(*answers), "auto")
    needed = tally.needed(remaining)
    lead = tally.winner.answer if tally.winner else "a"
    for more in range(needed + 1):
        after = Tally.of(votes(*answers, *[lead] * more), "auto")
        assert (after.needed(remaining - more) == 0) == (more == needed)


async def test_unanimous_samples_stop_at_half(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7")
    result = await ask(model, "self_consistency", graph_settings={"samples": 8})
    assert (result.answer, len(model.requests)) == ("7", 4)


async def test_all_at_once_cancels_those_still_out(ask: Ask) -> None:
    calls = iter(range(8))

    async def script(request: Request) -> str:
        await asyncio.sleep(0.01 if next(calls) < 5 else 30)
        return "Answer: 7"

    model = ScriptedModel(script)
    result = await ask(model, "self_consistency", graph_settings={"samples": 8, "schedule": "all"})
    assert result.answer == "7"
    assert (len(model.requests), model.cancelled) == (8, 3)
    assert result.usage.seconds < 5


async def test_without_early_stop_every_sample_is_drawn(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7")
    await ask(model, "self_consistency", graph_settings={"samples": 6, "early_stop": False})
    assert len(model.requests) == 6


@settings(deadline=None)
@given(st.lists(st.sampled_from(["1", "2", "3"]), min_size=8, max_size=8))
def test_waves_return_what_the_same_eight_in_order_would(answers: list[str]) -> None:
    """Waves only start what could be needed, so the votes they see are a prefix of all eight."""
    seen = 0
    while True:
        tally = Tally.of(votes(*answers[:seen]), "auto")
        wave = tally.needed(8 - seen)
        if wave == 0:
            break
        seen += wave
    assert winner(list(answers[:seen])) == winner(list(answers))


async def test_a_failed_sample_leaves_its_siblings_alone(ask: Ask) -> None:
    script: list[Reply] = [ModelError("cut"), *["Answer: 7"] * 7]
    result = await ask(ScriptedModel(script), "self_consistency", graph_settings={"samples": 8})
    assert (result.answer, result.partial) == ("7", False)


async def test_when_every_sample_fails_the_first_failure_is_told(ask: Ask) -> None:
    with pytest.raises(ModelError, match="cut"):
        await ask(ScriptedModel(ModelError("cut")), "self_consistency")


async def test_samples_without_an_answer_do_not_vote(ask: Ask) -> None:
    script: list[Reply] = [*["I can't tell."] * 5, *["Answer: 7"] * 3]
    result = await ask(ScriptedModel(script), "self_consistency", graph_settings={"samples": 8})
    assert result.answer == "7"


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=9), st.randoms())
def test_stopping_in_any_order_of_arrival_never_changes_the_winner(answers: list[str | None], random: Random) -> None:
    order = list(range(len(answers)))
    random.shuffle(order)
    for seen in range(1, len(answers) + 1):
        arrived = [answers[i] for i in sorted(order[:seen])]
        if Tally.of(votes(*arrived), "auto").needed(len(answers) - seen, ordered=False) == 0:
            assert winner(arrived) == winner(answers)
            break


async def test_a_seeded_vote_has_one_outcome_whatever_order_samples_finish_in(ask: Ask) -> None:
    async def outcome(slowest: int) -> str | None:
        calls = iter(range(4))

        async def script(request: Request) -> str:
            number = next(calls)
            await asyncio.sleep(0.05 if number == slowest else 0)
            return f"Answer: {number}"

        settings_ = {"samples": 4, "early_stop": False}
        return (await ask(ScriptedModel(script), "self_consistency", graph_settings=settings_)).answer

    assert {await outcome(slowest) for slowest in range(4)} == {"0"}


def test_an_answer_is_read_once_however_often_votes_are_counted() -> None:
    seen = votes(*(f"{i}/7" for i in range(50)))
    before = canonical.cache_info().misses
    for count in range(len(seen)):
        Tally.of(seen[:count], "number")
    assert canonical.cache_info().misses - before <= len(seen)
