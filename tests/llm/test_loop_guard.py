"""The loop guard in a call and in a run: what is stopped, what is kept and charged, how a vote takes it."""

from pathlib import Path

import pytest

from maieutic.budget import Account, Budget
from maieutic.llm.gateway import call_model
from maieutic.llm.loops import NATIVE
from maieutic.llm.model import OnDelta
from maieutic.llm.profile import Profile
from maieutic.llm.scripted import ScriptedModel
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.trace.reader import TraceReader
from maieutic.types import Completion, Delta, Request
from tests.conftest import Ask
from tests.support.server import Answer, FakeServer

QUESTION = Request(({"role": "user", "content": "What is 4 + 3?"},))
SENTENCE = "Wait, let me check this again. "
LOOP = "4 + 3 is 7. " + SENTENCE * 200
UNGUARDED = Profile(kind="vllm", model="m", loop_guard=False)
VLLM = Profile(kind="vllm", model="m")


def hear_nothing(delta: Delta) -> None: ...


class Plain:
    """A model of a user's own, which knows nothing of listeners that have had enough."""

    name = "plain"

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        for at in range(0, len(LOOP), 8):
            if on_delta is not None:
                on_delta(Delta(LOOP[at : at + 8], tokens=2))
        return Completion(LOOP, finish_reason="length")

    async def close(self) -> None: ...


def looped(completion: Completion | None) -> bool:
    """Whether the call was ended as a loop, long before its end but not at its beginning."""
    assert completion is not None
    early = len(SENTENCE) * 8 < len(completion.text) < len(SENTENCE) * 20
    return completion.finish_reason == "repetition" and early and LOOP.startswith(completion.text)


async def test_a_loop_ends_the_call_and_what_arrived_is_its_completion() -> None:
    call = await call_model(ScriptedModel(LOOP), QUESTION, Account(), hear_nothing)
    assert looped(call.completion)
    assert call.error is None


async def test_the_tokens_that_arrived_are_charged_and_no_others() -> None:
    account = Account()
    call = await call_model(Plain(), QUESTION, account, hear_nothing)
    assert looped(call.completion)
    assert call.completion is not None
    assert account.tokens == call.completion.usage.completion_tokens == len(call.completion.text) // 8 * 2


async def test_a_profile_can_turn_it_off() -> None:
    call = await call_model(Plain(), QUESTION, Account(), hear_nothing, UNGUARDED)
    assert call.completion is not None
    assert (call.completion.text, call.completion.finish_reason) == (LOOP, "length")


async def test_a_call_under_a_budget_is_guarded_without_a_listener() -> None:
    assert looped((await call_model(Plain(), QUESTION, Account(Budget(tokens=100_000)))).completion)


async def test_a_budget_that_ends_first_is_what_ends_the_call() -> None:
    call = await call_model(Plain(), QUESTION, Account(Budget(tokens=20)))
    assert call.completion is None
    assert str(call.error) == "The budget of 20 tokens is used up."


async def test_what_the_server_generates_after_a_loop_is_not_waited_for() -> None:
    with FakeServer(Answer(LOOP, piece=8)) as server:
        model = OpenAICompatibleModel("m", VLLM, server.url)
        call = await call_model(model, QUESTION, Account(), hear_nothing, VLLM)
        await model.close()
    assert looped(call.completion)
    assert call.completion is not None and call.completion.token_ids is not None
    assert bytes(call.completion.token_ids).decode() == call.completion.text
    assert "repetition_detection" not in server.requests[0]


async def test_thoughts_are_guarded_as_well() -> None:
    with FakeServer(Answer("Answer: 7", reasoning=LOOP, piece=8)) as server:
        model = OpenAICompatibleModel("m", VLLM, server.url)
        call = await call_model(model, QUESTION, Account(), hear_nothing, VLLM)
        await model.close()
    assert call.completion is not None
    assert (call.completion.text, call.completion.finish_reason) == ("", "repetition")


@pytest.mark.parametrize(
    ("profile", "asked"),
    [(VLLM, NATIVE), (UNGUARDED, None), (Profile(kind="openai-compatible", model="m"), None)],
    ids=["vllm", "off", "another server"],
)
async def test_vllm_watches_itself_where_nothing_is_streamed(profile: Profile, asked: object) -> None:
    with FakeServer(Answer(SENTENCE * 30, finish_reason="repetition")) as server:
        model = OpenAICompatibleModel("m", profile, server.url)
        call = await call_model(model, QUESTION, Account(), None, profile)
        await model.close()
    assert server.requests[0].get("repetition_detection") == asked
    assert call.completion is not None and call.completion.finish_reason == "repetition"
    assert ("repetition_detection" in call.request.sampling.extra) == (asked is not None), "recorded as it was sent"


async def test_a_sample_that_loops_abstains_and_is_recorded_as_a_loop(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel(["Answer: 7", SENTENCE * 200, "Answer: 7"])
    options = {"samples": 3, "early_stop": False}
    result = await ask(model, graph="self_consistency", graph_settings=options, budget=Budget(tokens=100_000))
    assert (result.answer, result.partial) == ("7", False)
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = [reader.run(found.run_id) for found in reader.runs()]
    assert sorted(str(call.completion and call.completion.finish_reason) for call in run.calls) == [
        "repetition",
        "stop",
        "stop",
    ]
    (vote,) = [event for event in run.events if event.kind == "vote"]
    assert (vote.fields["votes"], vote.fields["abstained"]) == ({"7": 2}, 1)
