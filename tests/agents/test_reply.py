import re
from pathlib import Path

import pytest

from maieutic.agents.reply import Reply, ask
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.llm.profile import Profile
from maieutic.llm.scripted import ScriptedModel
from maieutic.types import Message
from tests.support.contexts import open_context

MESSAGES: tuple[Message, ...] = ({"role": "system", "content": "Rate."}, {"role": "user", "content": "How sure?"})


def rating(text: str) -> int | None:
    found = re.search(r"Rating: (\d+)", text)
    return int(found[1]) if found else None


async def rate(ctx: Context) -> Reply[int]:
    return await ask(ctx, "rater", MESSAGES, rating, "Rating: <number>")


@pytest.mark.parametrize(
    ("replies", "value", "calls"),
    [
        (["Rating: 7"], 7, 1),
        (["Seven, I'd say.", "Rating: 7"], 7, 2),
        (["Seven, I'd say.", "Really, seven."], None, 2),
        (["Rating: 0"], 0, 1),
        (["Seven.", ModelError("gone")], None, 2),
    ],
)
async def test_an_unreadable_reply_is_asked_for_once_more_and_then_missing(
    replies: list[str | Exception], value: int | None, calls: int, tmp_path: Path
) -> None:
    model = ScriptedModel(replies)
    async with open_context(tmp_path, model, []) as ctx:
        reply = await rate(ctx)
    assert (reply.value, len(model.requests)) == (value, calls)


async def test_the_repair_goes_on_with_the_conversation_and_shows_the_form(tmp_path: Path) -> None:
    model = ScriptedModel(["Seven.", "Rating: 7"])
    async with open_context(tmp_path, model, []) as ctx:
        await rate(ctx)
    before, repair = model.requests[1].messages[2:]
    assert before["content"] == "Seven."
    assert "Rating: <number>" in str(repair["content"])


async def test_a_model_without_conversation_is_not_asked_again(tmp_path: Path) -> None:
    model = ScriptedModel(["Seven.", "Rating: 7"])
    profile = Profile(kind="scripted", replies="", conversation=False)
    async with open_context(tmp_path, model, [], profile=profile) as ctx:
        reply = await rate(ctx)
    assert (reply.value, len(model.requests)) == (None, 1)
