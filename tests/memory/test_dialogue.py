"""Dialogue memory: what stays and what goes."""

import pytest

from maieutic.memory.dialogue import Dialogue
from maieutic.memory.memory import Memory
from maieutic.types import Message


def turn(question: str, answer: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": question}, {"role": "assistant", "content": answer})


async def test_recalls_turns_in_order() -> None:
    dialogue: Memory = Dialogue()
    await dialogue.remember(turn("one?", "1"))
    await dialogue.remember(turn("two?", "2"))
    assert await dialogue.recall("three?") == turn("one?", "1") + turn("two?", "2")


async def test_forgets_whole_turns_oldest_first() -> None:
    dialogue = Dialogue(limit=100)
    for i in range(5):
        await dialogue.remember(turn(f"{i}" * 20, "a" * 20))
    assert await dialogue.recall("") == turn("3" * 20, "a" * 20) + turn("4" * 20, "a" * 20)


async def test_the_newest_turn_is_cut_in_the_middle_rather_than_lost() -> None:
    dialogue = Dialogue(limit=200)
    await dialogue.remember(turn("short", "old"))
    await dialogue.remember(turn("question", "begin " + "x" * 1000 + " end"))
    *_, question, answer = await dialogue.recall("")
    text = answer["content"]
    assert question["content"] == "question"
    assert isinstance(text, str) and text.startswith("begin ") and text.endswith(" end") and "[…]" in text
    assert len(text) <= 200 - len("question")


async def test_clear_forgets_everything() -> None:
    dialogue = Dialogue()
    await dialogue.remember(turn("a", "b"))
    await dialogue.remember(())
    assert len(dialogue) == 1
    dialogue.clear()
    assert await dialogue.recall("a") == ()


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 100"):
        Dialogue(limit=10)
