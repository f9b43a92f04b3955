"""A question in a conversation becomes one that stands alone; where that fails, it stays as it was asked."""

from typing import Any

import pytest

from maieutic.agents.rewriter import Rewriter, Rewriting, read_rewrite
from maieutic.context import Context, Proposal
from maieutic.llm.scripted import ScriptedModel
from maieutic.types import Message
from tests.conftest import Ask
from tests.support.graphs import one_node

HISTORY: tuple[Message, ...] = (
    {"role": "system", "content": "You are a helper."},
    {"role": "user", "content": "Which pump is in the cellar?"},
    {"role": "assistant", "content": "A model 7." + " It is grey." * 500},
    {"role": "tool", "content": "a table"},
)


async def rewrite(ask: Ask, model: ScriptedModel, history: tuple[Message, ...]) -> Rewriting:
    made: list[Rewriting] = []

    async def action(state: Any, ctx: Context) -> dict[str, Any]:
        made.append(await Rewriter()(ctx, history))
        ctx.propose(Proposal("done", "done"))
        return {}

    await ask(model, one_node("rewriting", action), task="How heavy is it?")
    return made[0]


async def test_the_question_stands_alone(ask: Ask) -> None:
    model = ScriptedModel("<think>it = the pump</think><rewrite>How heavy is\nthe model 7 pump?</rewrite>")
    made = await rewrite(ask, model, HISTORY)
    assert (made.query, made.rewritten) == ("How heavy is the model 7 pump?", "How heavy is the model 7 pump?")
    asked = str(model.requests[0].messages[-1]["content"])
    assert "Question: Which pump is in the cellar?\n\nAnswer: A model 7." in asked and "How heavy is it?" in asked
    assert len(asked) < 2500 and "a table" not in asked and "helper" not in asked


@pytest.mark.parametrize("said", ["How heavy is the pump?", "<rewrite> </rewrite>", ""])
async def test_what_can_not_be_read_leaves_the_question(ask: Ask, said: str) -> None:
    made = await rewrite(ask, ScriptedModel(said or " "), HISTORY)
    assert (made.query, made.rewritten) == ("How heavy is it?", None) and made.call_id is not None


async def test_without_a_conversation_no_model_is_asked(ask: Ask) -> None:
    model = ScriptedModel("<rewrite>x</rewrite>")
    assert await rewrite(ask, model, ()) == Rewriting("How heavy is it?", None, None)
    assert not model.requests


def test_the_last_rewriting_counts() -> None:
    assert read_rewrite("<rewrite>a</rewrite> no, <REWRITE>b c</REWRITE>") == "b c"
