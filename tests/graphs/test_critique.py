import pytest

from maieutic.agents.critic import read_verdict
from maieutic.llm.scripted import ScriptedModel
from tests.conftest import Ask

SOLVE, CHECK, REPAIR = "Solve the problem", "You check", "You repair"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Step 1 holds.\nFirst wrong step: 2", (False, 2)),
        ("First wrong step: none", (True, None)),
        ("**First wrong step:** None.", (True, None)),
        ("First wrong step: 1\nOn reflection it holds.\nFirst wrong step: none", (True, None)),
        ("Looks fine to me.", (None, None)),
        ("First wrong step: unclear", (None, None)),
        ("", (None, None)),
    ],
)
def test_a_verdict_is_read_or_missing(text: str, verdict: tuple[bool | None, int | None]) -> None:
    assert read_verdict(text) == verdict


async def test_what_the_critic_accepts_is_kept(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7", CHECK: "First wrong step: none"})
    result = await ask(model, "critique")
    assert (result.answer, result.usage.calls) == ("7", 2)


async def test_what_the_critic_rejects_is_repaired_and_checked_again(ask: Ask) -> None:
    model = ScriptedModel(
        {SOLVE: "Answer: 8", CHECK: ["First wrong step: 1", "First wrong step: none"], REPAIR: "Answer: 7"}
    )
    result = await ask(model, "critique")
    assert (result.answer, result.usage.calls) == ("7", 4)
    repair = model.requests[2].messages[1]["content"]
    assert isinstance(repair, str)
    assert "Answer: 8" in repair and "First wrong step: 1" in repair


async def test_rounds_bound_the_loop(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 8", CHECK: "First wrong step: 1", REPAIR: "Answer: 9"})
    result = await ask(model, "critique", graph_settings={"rounds": 3})
    assert (result.answer, result.usage.calls) == ("9", 7)


async def test_a_critique_without_a_verdict_changes_nothing(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7", CHECK: "Hmm."})
    result = await ask(model, "critique")
    assert (result.answer, result.usage.calls) == ("7", 2)


async def test_a_repair_without_an_answer_keeps_the_original(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7", CHECK: "First wrong step: 1", REPAIR: "I give up."})
    assert (await ask(model, "critique")).answer == "7"
