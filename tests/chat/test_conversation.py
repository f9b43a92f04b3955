"""What a conversation keeps from turn to turn."""

import asyncio
from dataclasses import replace

import pytest

from maieutic.budget import Budget
from maieutic.chat.conversation import Conversation
from maieutic.errors import ModelError, UnknownName
from maieutic.settings import load_settings
from maieutic.terminal.options import RunOptions
from maieutic.terminal.plain import PlainView
from maieutic.trace.reader import TraceReader
from maieutic.types import Message
from tests.support import slow_graph


def prompts(conversation: Conversation, turn: int) -> list[Message]:
    """What the model was sent in this turn, after the system message."""
    result = conversation.results[turn]
    with TraceReader(result.trace) as reader:
        return [m for m in reader.run(result.run_id).calls[0].request.messages if m["role"] != "system"]


async def test_earlier_turns_go_ahead_of_the_question(conversation: Conversation) -> None:
    assert (await conversation.ask("One?")).answer == "1"
    assert (await conversation.ask("Two?")).answer == "2"
    sent = prompts(conversation, 1)
    assert [m["role"] for m in sent] == ["user", "assistant", "user"]
    assert [m["content"] for m in sent[:2]] == ["One?", "Answer: 1"]
    assert "Two?" in str(sent[2]["content"])


async def test_the_model_stays_the_same_one(conversation: Conversation) -> None:
    """The scripted model counts its calls: opened anew it would begin at 1 again."""
    answers = [(await conversation.ask(question)).answer for question in ("One?", "Two?", "Three?")]
    assert answers == ["1", "2", "3"]


async def test_forgetting_begins_anew(conversation: Conversation) -> None:
    await conversation.ask("One?")
    conversation.forget()
    await conversation.ask("Two?")
    assert [m["role"] for m in prompts(conversation, 1)] == ["user"]
    assert len(conversation.results) == 2


async def test_other_options_keep_what_was_said(conversation: Conversation) -> None:
    await conversation.ask("One?")
    await conversation.change(replace(conversation.options, model="yes", budget=Budget(calls=5)))
    assert (await conversation.ask("Two?")).answer == "42"
    assert len(prompts(conversation, 1)) == 3


async def test_options_that_can_not_be_used_change_nothing(conversation: Conversation) -> None:
    await conversation.ask("One?")
    with pytest.raises(UnknownName):
        await conversation.change(replace(conversation.options, graph="nope"))
    assert conversation.graph == "direct"
    assert (await conversation.ask("Two?")).answer == "2"


async def test_a_failed_turn_is_not_remembered_and_not_the_end(conversation: Conversation) -> None:
    await conversation.change(replace(conversation.options, model="lost"))
    with pytest.raises(ModelError):
        await conversation.ask("One?")
    await conversation.change(replace(conversation.options, model="yes"))
    assert (await conversation.ask("Two?")).answer == "42"
    assert len(prompts(conversation, 0)) == 1


async def test_wrong_options_are_told_by_the_first_question() -> None:
    conversation = Conversation(RunOptions(graph="nope", model="yes"), load_settings())
    conversation.prewarm()
    for _ in range(2):
        with pytest.raises(UnknownName):
            await conversation.ask("One?")
    await conversation.change(RunOptions(model="yes"))
    assert (await conversation.ask("One?")).answer == "42"
    await conversation.close()


async def test_stopping_keeps_the_best_answer_so_far(conversation: Conversation) -> None:
    await conversation.change(replace(conversation.options, graph=str(slow_graph.PATH)))
    asking = asyncio.create_task(conversation.ask("One?", PlainView(lambda line: None)))
    while not conversation.stop():
        await asyncio.sleep(0.01)
    result = await asking
    assert (result.partial, result.reason) == (True, "interrupted")


async def test_a_cancelled_turn_ends_its_run(conversation: Conversation) -> None:
    await conversation.change(replace(conversation.options, graph=str(slow_graph.PATH)))
    said: list[str] = []
    asking = asyncio.create_task(conversation.ask("One?", PlainView(said.append)))
    while "solver: Answer: 1" not in said:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not conversation.stop()
    with TraceReader(conversation.settings.traces_dir) as reader:
        assert [(run.partial, run.finished is None) for run in reader.runs()] == [(True, False)]
    assert await conversation.memory.recall("") == ()


async def test_there_is_nothing_to_stop_between_answers(conversation: Conversation) -> None:
    assert not conversation.stop()


async def test_a_model_of_single_questions_is_not_told_what_was_said_before(conversation: Conversation) -> None:
    await conversation.change(replace(conversation.options, model="in-box"))
    await conversation.ask("4 + 3")
    await conversation.ask("8 - 5")
    assert [m["content"] for m in prompts(conversation, 1)] == ["8 - 5"]
