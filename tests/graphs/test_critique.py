import asyncio
import re
from typing import Any

import pytest

from maieutic.agents.critic import Critique, read_verdict
from maieutic.errors import ModelError, UserError
from maieutic.graphs.critique import chosen_of
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.runner import Result
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.types import Request
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


def label(request: Request) -> str:
    """Which draft a request is about."""
    found = re.search(r"draft (\w)", str(request.messages[1]["content"]))
    return found[1] if found else ""


def events(result: Result, kind: str) -> list[dict[str, Any]]:
    with TraceReader(result.trace) as reader:
        return [dict(event.fields) for event in reader.run(result.run_id).events_of(kind)]  # pyright: ignore[reportArgumentType]


async def test_chains_go_side_by_side_and_their_last_answers_vote(ask: Ask) -> None:
    drafts = iter("abc")

    async def script(request: Request) -> str:
        await asyncio.sleep(0.01)
        asked = str(request.messages[0]["content"])
        if SOLVE in asked:
            draft = next(drafts)
            return f"draft {draft}\nAnswer: {7 if draft == 'a' else 8}"
        if CHECK in asked:  # two of three drafts are wrong, and found to be
            return f"First wrong step: {'none' if label(request) == 'a' or 'anew' in str(request.messages) else 1}"
        return f"draft {label(request)} anew\nAnswer: 7"

    model = ScriptedModel(script)
    result = await ask(model, "critique", graph_settings={"chains": 3})
    assert (result.answer, result.usage.calls) == ("7", 3 + 3 + 2 + 2)
    assert model.peak == 3
    assert [event["votes"] for event in events(result, "vote")] == [{"7": 1, "8": 2}, {"7": 3}]
    assert [event["decision"] for event in events(result, "gate") if event["gate"] == "repair"] == ["taken"] * 2


async def test_a_chain_that_fails_keeps_its_draft_and_its_vote(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7", CHECK: ModelError("cut"), REPAIR: "Answer: 8"})
    result = await ask(model, "critique", graph_settings={"chains": 3})
    assert (result.answer, result.partial, result.usage.calls) == ("7", False, 3 + 3)


@pytest.mark.parametrize(
    ("verdicts", "word", "repaired"),
    [
        (["1", "none", "2"], "wrong", True),
        (["1", "none", "none"], "right", False),
        (["1", "none", "hard to say"], "tie", False),
        (["1", "hard", "hard"], "wrong", True),
        (["hard", "hard", "hard"], "missing", False),
    ],
)
async def test_several_critics_vote_and_the_unreadable_abstain(
    ask: Ask, verdicts: list[str], word: str, repaired: bool
) -> None:
    said: list[Reply] = [f"First wrong step: {verdict}" for verdict in verdicts]
    model = ScriptedModel({SOLVE: "Answer: 8", CHECK: said, REPAIR: "Answer: 7"})
    result = await ask(model, "critique", graph_settings={"critics": 3, "rounds": 1})
    assert (result.answer, result.usage.calls) == ("7" if repaired else "8", 4 + repaired)
    gate = events(result, "gate")[0]
    assert (gate["gate"], gate["decision"]) == ("critique", word)
    assert len(gate["inputs"]["votes"]) == len(gate["inputs"]["first_wrong"]) == 3


def test_the_critique_that_is_followed_names_the_step_that_most_name() -> None:
    named = (2, 1, None, 1)
    critiques = [Critique(f"c{i}", f"c{i}", step is None, step) for i, step in enumerate(named)]
    chosen = chosen_of(critiques)
    assert chosen is critiques[1]
    assert chosen_of([critiques[2]]) is None


@pytest.mark.parametrize("verdict", ["First wrong step: none", "Hm."])
async def test_refine_all_repairs_whatever_the_critic_says(ask: Ask, verdict: str) -> None:
    model = ScriptedModel({SOLVE: "Answer: 8", CHECK: verdict, REPAIR: "Answer: 7"})
    result = await ask(model, "critique", graph_settings={"refine": "all"})
    assert (result.answer, result.usage.calls) == ("7", 5)


async def test_the_oracle_spares_the_right_and_repairs_the_wrong(ask: Ask) -> None:
    task = Task(question="What is 4 + 3?", gold="7")
    script = {SOLVE: ["Answer: 7", "Answer: 8"], CHECK: "First wrong step: none", REPAIR: "Answer: 7"}
    model = ScriptedModel(script)
    spared = await ask(model, "critique", task, graph_settings={"refine": "oracle"}, oracle=True)
    repaired = await ask(model, "critique", task, graph_settings={"refine": "oracle"}, oracle=True)
    assert (spared.usage.calls, repaired.answer, repaired.usage.calls) == (1, "7", 3)


async def test_without_an_oracle_there_is_no_oracle_mode(ask: Ask) -> None:
    with pytest.raises(UserError, match="oracle"):
        await ask(ScriptedModel("Answer: 7"), "critique", graph_settings={"refine": "oracle"})


async def test_a_critic_never_sees_thoughts(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "<think>Perhaps 9.</think>Answer: 7", CHECK: "First wrong step: none"})
    await ask(model, "critique")
    assert "Perhaps" not in str(model.requests[1].messages)
