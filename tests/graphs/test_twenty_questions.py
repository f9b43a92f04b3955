"""Twenty questions: who hears what, who decides that a guess is right, and when it ends."""

from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import Result
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from tests.conftest import Ask

GAME = "maieutic.graphs.twenty_questions"
TASK = Task(question="I am thinking of a thing (game 1).", gold="bicycle|bike", verifier="entity_deduction")


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


def worth(result: Result) -> float | None:
    return result.verdict.score if result.verdict else None


async def play(ask: Ask, guesses: Any, words: Any, **options: Any) -> tuple[Result, ScriptedModel, ScriptedModel]:
    guesser, judge = ScriptedModel(guesses), ScriptedModel(words)
    result = await ask(guesser, GAME, TASK, models={"entity-judge": judge}, oracle=True, **options)
    return result, guesser, judge


async def test_a_game_that_is_won(ask: Ask) -> None:
    guesses = ["Is it alive?", "Are you thinking of a vehicle?", "Is it a bike?"]
    result, guesser, judge = await play(ask, guesses, ["No", "yes, it is."])
    assert (result.outcome, worth(result), result.answer) == ("correct", 1.0, "Is it a bike? (3 turns)")
    assert [m["content"] for m in guesser.requests[2].messages[2:]] == [guesses[0], "No.", guesses[1], "Yes."]
    assert len(judge.requests) == 2  # the winning guess is not put to the judge


async def test_the_judge_sees_one_question_and_the_guesser_never_the_entity(ask: Ask) -> None:
    result, guesser, judge = await play(ask, ["Is it alive?", "Are you thinking of a vehicle?", "Is it a bike?"], "Yes")
    shown = str(judge.requests[1].messages)
    assert "bicycle" in shown and "is it a vehicle?" in shown and "alive" not in shown and "bike" not in shown
    assert not any("bicycle" in str(request.messages) for request in guesser.requests)
    calls = recorded(result).calls
    assert all(call.gold_in_context for call in calls if call.role == "entity-judge") and result.oracle


async def test_the_judges_word_does_not_decide_that_a_guess_is_right(ask: Ask) -> None:
    result, _, judge = await play(ask, "Is it a piano?", "Yes", graph_settings={"turns": 4})
    assert (result.outcome, worth(result), len(judge.requests)) == ("wrong", 0.0, 3)
    assert result.answer == "nothing (4 turns)"


async def test_a_late_win_is_worth_less_whatever_the_guesser_writes(ask: Ask) -> None:
    guesses = ["Is it alive?"] * 9 + ["Answer: bicycle"]
    result, guesser, _ = await play(ask, guesses, "No")
    assert (result.outcome, worth(result)) == ("correct", pytest.approx(0.9))
    assert len(guesser.requests) == 10


async def test_before_the_last_turn_the_guesser_is_told(ask: Ask) -> None:
    _, guesser, _ = await play(ask, "Is it alive?", "No", graph_settings={"turns": 3})
    heard = [str(request.messages[-1]["content"]) for request in guesser.requests]
    assert "last turn" in heard[2] and "last turn" not in heard[1] and len(heard) == 3


async def test_a_word_that_can_not_be_read_is_missing_and_not_a_no(ask: Ask) -> None:
    result, guesser, judge = await play(ask, ["Is it alive?", "Is it a bike?"], ["Well…", "Hmm."])
    assert len(judge.requests) == 2 and result.outcome == "correct"  # the second is the repair
    assert "No answer" in str(guesser.requests[1].messages[-1]["content"])
    assert [event.fields["value"] for event in recorded(result).events_of("label")] == [None]


async def test_it_needs_the_oracle(ask: Ask) -> None:
    with pytest.raises(UserError, match="--oracle"):
        await ask(ScriptedModel("Is it alive?"), GAME, TASK)
