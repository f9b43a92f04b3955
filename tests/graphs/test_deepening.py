"""A thought is told to look for mistakes at budgets that grow, within its own turn."""

from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import ModelError
from maieutic.llm.scripted import MESSAGE_END, ScriptedModel, decode
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Request, Sampling
from tests.conftest import Ask

TRIGGER = "\nWait, is that so? Answer: 99\n"  # what looks like an answer in it is none


def the_run(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        (summary,) = reader.runs()
        return reader.run(summary.run_id)


def gates(tmp_path: Path, name: str = "deepening") -> list[dict[str, Any]]:
    events = the_run(tmp_path).events_of("gate")
    return [{**e.fields["inputs"], "decision": e.fields["decision"]} for e in events if e.fields["gate"] == name]


class Tokenless:
    """A model whose tokens are not at hand."""

    name = "tokenless"

    def __init__(self, model: ScriptedModel) -> None:
        self.sample, self.close = model.sample, model.close


def endless(request: Request) -> Completion:
    """Thinks until it is cut."""
    return Completion("x" * (request.sampling.max_tokens or 0), finish_reason="length")


async def play(ask: Ask, script: Any, sampling: Sampling = Sampling(), **settings: Any) -> tuple[Any, ScriptedModel]:
    model = ScriptedModel(script)
    settings = {"trigger": TRIGGER, **settings}
    return await ask(model, "deepening", graph_settings=settings, sampling=sampling), model


@pytest.mark.parametrize(
    ("growth", "at"), [(2, [16, 32, 64, 128]), (4, [16, 64, 128]), (1.5, [16, 24, 36, 54, 81, 122, 128])]
)
async def test_triggers_come_at_budgets_that_grow(ask: Ask, tmp_path: Path, growth: float, at: list[int]) -> None:
    """About as many as the logarithm of the limit, not one for every `first` tokens."""
    _, model = await play(ask, endless, first=16, growth=growth, limit=128)
    assert [gate["tokens"] for gate in gates(tmp_path)] == at
    assert [gate["decision"] for gate in gates(tmp_path)] == ["trigger"] * (len(at) - 1) + ["limit"]
    last = decode(model.requests[-1].prompt_ids or ())
    assert last.count("Wait, is that so?") == len(at) - 1
    assert f"{'x' * 16}{TRIGGER}xx" in last


async def test_a_thought_that_has_ended_goes_on_without_its_end_of_turn(ask: Ask) -> None:
    result, model = await play(ask, ["4 + 3 = 8\nAnswer: 8", "No.\nAnswer: 7"])
    assert (result.answer, len(model.requests)) == ("7", 2)
    ids = model.requests[1].prompt_ids or ()
    assert ids[: len(ids) - len(TRIGGER.encode())].count(MESSAGE_END) == 2  # those of the system's and user's messages
    assert decode(ids).endswith(f"Answer: 8{TRIGGER}")


async def test_what_is_put_in_is_no_answer(ask: Ask, tmp_path: Path) -> None:
    result, _ = await play(ask, ["Hm.\nAnswer: 7", "It is."])
    assert result.answer == "7" and "99" not in result.text
    assert [gate["answer"] for gate in gates(tmp_path)] == ["7", "7"]


async def test_without_an_answer_it_is_triggered_up_to_the_limit_and_no_further(ask: Ask, tmp_path: Path) -> None:
    result, model = await play(ask, "Hm.", first=16, limit=64)
    assert (result.answer, len(model.requests)) == (None, 3)
    assert [gate["budget"] for gate in gates(tmp_path)] == [16, 32, 64]


@pytest.mark.parametrize("least", [0, 1, 3])
async def test_an_answered_thought_has_its_least_triggers(ask: Ask, least: int) -> None:
    _, model = await play(ask, "Answer: 7", least=least)
    assert len(model.requests) == 1 + least


async def test_a_runs_own_max_tokens_bounds_the_thought_and_not_each_piece(ask: Ask) -> None:
    _, model = await play(ask, endless, Sampling(max_tokens=40), first=16, limit=128)
    assert [request.sampling.max_tokens for request in model.requests] == [16, 16, 8]


async def test_an_answer_within_an_open_thought_is_none(ask: Ask, tmp_path: Path) -> None:
    """A reasoning parser takes the thought out of the first piece; what goes on from it is raw text."""
    cut = Completion("", reasoning="Perhaps\nAnswer: 1", finish_reason="length", token_ids=tuple(b"Perhaps\nAnswer: 1"))
    more = Completion(" or\nAnswer: 2", finish_reason="length")
    await play(ask, [cut, more, "yes</think>\nAnswer: 7"], first=17, limit=68)
    assert [gate["answer"] for gate in gates(tmp_path)] == [None, None, "7"]


async def test_several_thoughts_vote(ask: Ask, tmp_path: Path) -> None:
    answers = {"sample-1": "7", "sample-2": "8", "sample-3": "7"}
    said: dict[int | None, str] = {}

    def script(request: Request) -> str:
        drawn = said.setdefault(request.sampling.seed, list(answers.values())[len(said) % 3])
        return f"Answer: {drawn}"

    result, model = await play(ask, script, samples=3, least=0)
    assert (result.answer, len(model.requests)) == ("7", 3)
    (vote,) = the_run(tmp_path).events_of("vote")
    assert vote.fields["votes"] == {"7": 2, "8": 1}


async def test_a_piece_that_fails_leaves_the_answer_before_it(ask: Ask, tmp_path: Path) -> None:
    result, _ = await play(ask, ["Answer: 7", ModelError("The server has a bad day.")])
    assert (result.answer, result.partial) == ("7", False)
    assert "bad day" in the_run(tmp_path).events_of("error")[0].fields["error"]


async def test_a_failed_thought_leaves_the_others(ask: Ask) -> None:
    replies = iter([ModelError("The server has a bad day."), "Answer: 7"])
    result, _ = await play(ask, lambda request: next(replies), samples=2, least=0)
    assert result.answer == "7"


@pytest.mark.parametrize("form", ["chat", "auto"])
async def test_where_a_model_can_not_go_on_the_user_says_it(ask: Ask, tmp_path: Path, form: str) -> None:
    """A server whose tokens are not at hand gets a conversation, and the trace says so."""
    model = ScriptedModel(["Answer: 8", "Answer: 7"])
    asked = Tokenless(model) if form == "auto" else model
    result = await ask(asked, "deepening", graph_settings={"trigger": TRIGGER, "form": form})
    assert result.answer == "7"
    request = model.requests[1]
    assert request.prompt_ids is None and not request.continue_final
    assert [m["content"] for m in request.messages[-2:]] == ["Answer: 8", TRIGGER.strip()]
    (gate,) = gates(tmp_path, "form")
    assert gate == {"decision": "chat", "wanted": form, "exact": form == "chat"}


async def test_an_early_answer_is_what_a_budget_leaves(ask: Ask) -> None:
    from maieutic.budget import Budget

    model = ScriptedModel("Answer: 7")
    result = await ask(model, "deepening", budget=Budget(calls=1))
    assert (result.answer, result.partial) == ("7", True)
