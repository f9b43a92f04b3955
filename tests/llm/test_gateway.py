"""One call under a budget: what is sent, what is charged, and what is kept when it ends badly."""

from pathlib import Path

import pytest

from maieutic.budget import Account, Budget
from maieutic.errors import BudgetExceeded
from maieutic.llm.gateway import call_model
from maieutic.llm.in_box.model import InBoxModel
from maieutic.llm.model import Enough, OnDelta
from maieutic.llm.scripted import ScriptedModel, prompt_ids
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord
from maieutic.types import Completion, Delta, Request, Sampling
from tests.conftest import Ask

QUESTION = Request(({"role": "user", "content": "What is 4 + 3?"},))


def calls_in(traces: Path) -> list[CallRecord]:
    with TraceReader(traces) as reader:
        return [call for run in reader.runs() for call in reader.run(run.run_id).calls]


class Uncounted:
    """A model at a server that doesn't say how many tokens there were."""

    name = "uncounted"

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        assert on_delta is not None
        for _ in range(10):
            on_delta(Delta("x"))
        return Completion("x" * 10, finish_reason="stop", extra={"usage_missing": True})

    async def close(self) -> None: ...


async def test_tokens_that_the_server_does_not_count_are_charged_as_streamed() -> None:
    account = Account(Budget(tokens=100))
    call = await call_model(Uncounted(), QUESTION, account)
    assert account.tokens == 10
    assert call.completion is not None and call.completion.usage.completion_tokens == 10


@pytest.mark.parametrize("error", [RuntimeError("odd"), TimeoutError("its own")])
async def test_an_odd_exception_of_a_model_is_recorded_and_told_as_it_is(
    ask: Ask, tmp_path: Path, error: Exception
) -> None:
    with pytest.raises(type(error), match=str(error)):
        await ask(ScriptedModel(error), budget=Budget(tokens=1000))
    assert [call.error for call in calls_in(tmp_path / "traces")] == [str(error)]


async def test_thoughts_and_their_number_are_kept_when_a_call_is_cut_off(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel(Completion("Answer: 7", reasoning="hm " * 40))
    await ask(model, budget=Budget(tokens=50))
    (call,) = calls_in(tmp_path / "traces")
    assert call.error == "The budget of 50 tokens is used up."
    assert call.completion is not None
    assert (call.completion.text, (call.completion.reasoning or "")[:6]) == ("", "hm hm ")
    assert call.completion.usage.completion_tokens > 50


async def test_a_time_budget_keeps_the_text_that_had_arrived(ask: Ask) -> None:
    result = await ask(ScriptedModel("word " * 200, latency=10), budget=Budget(seconds=0.3))
    assert (result.partial, result.text[:9]) == (True, "word word")


@pytest.mark.parametrize(
    ("tokens", "wanted", "asked"),
    [(100, None, 100), (500_000, None, None), (100, 300, 100), (100, 30, 30), (500_000, 3000, 3000)],
)
async def test_no_more_is_asked_for_than_is_left_or_than_a_context_holds(
    tokens: int, wanted: int | None, asked: int | None
) -> None:
    model = ScriptedModel("7")
    request = Request(QUESTION.messages, Sampling(max_tokens=wanted))
    await call_model(model, request, Account(Budget(tokens=tokens)))
    assert model.requests[0].sampling.max_tokens == asked


async def test_nothing_is_sent_when_nothing_is_left() -> None:
    account, model = Account(Budget(calls=1)), ScriptedModel("7")
    await call_model(model, QUESTION, account)
    with pytest.raises(BudgetExceeded):
        await call_model(model, QUESTION, account)
    assert len(model.requests) == 1


async def test_a_cut_call_charges_its_prompt_where_it_is_known() -> None:
    account = Account(Budget(tokens=20))
    call = await call_model(ScriptedModel("word " * 20), QUESTION, account)
    assert isinstance(call.error, BudgetExceeded) and call.arrived is not None
    prompt = len(prompt_ids(QUESTION.messages))
    assert call.arrived.usage.prompt_tokens == prompt
    assert account.tokens == prompt + call.arrived.usage.completion_tokens
    raw = Request(QUESTION.messages, prompt_ids=(1, 2, 3))
    account = Account(Budget(tokens=5))
    call = await call_model(Uncounted(), raw, account)
    assert (account.usage.prompt_tokens, account.usage.completion_tokens) == (3, 6)
    assert call.arrived is not None and call.arrived.prompt_token_ids == (1, 2, 3)


async def test_what_a_listener_found_enough_is_charged_whole() -> None:
    def enough(delta: Delta) -> None:
        raise Enough("repetition")

    account = Account(Budget(tokens=1000))
    call = await call_model(Uncounted(), QUESTION, account, enough)
    assert call.completion is not None and call.completion.finish_reason == "repetition"
    assert (call.completion.text, account.tokens) == ("x", 1)


async def test_a_cut_call_keeps_the_ids_that_had_arrived() -> None:
    account = Account(Budget(tokens=40))
    question = Request(({"role": "user", "content": "What is 4 + 3?"},), Sampling(temperature=0.0))
    model = InBoxModel(threads=1)
    whole = await model.sample(question)

    def stop(delta: Delta) -> None:
        if "=" in delta.text:
            raise RuntimeError("stop")

    call = await call_model(model, question, account, stop)
    await model.close()
    assert str(call.error) == "stop" and call.arrived is not None and whole.token_ids is not None
    count = call.arrived.usage.completion_tokens
    assert call.arrived.token_ids == whole.token_ids[:count] and count < len(whole.token_ids)
    assert call.arrived.prompt_token_ids == whole.prompt_token_ids
    assert call.arrived.logprobs is not None and len(call.arrived.logprobs) == count
