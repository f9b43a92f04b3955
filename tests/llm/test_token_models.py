"""Models whose tokens are at hand, in this process: going on from ids, alternatives, and ends by the listener."""

import math
from collections.abc import AsyncIterator, Callable

import pytest

from maieutic.errors import ModelError
from maieutic.llm.in_box.model import InBoxModel
from maieutic.llm.model import Enough, TokenModel
from maieutic.llm.scripted import ScriptedModel
from maieutic.types import Completion, Delta, Message, Request, Sampling, ToolSpec

PYTHON = ToolSpec("python", "Run Python.", {"type": "object", "properties": {"code": {"type": "string"}}})
MESSAGES: tuple[Message, ...] = (
    {"role": "system", "content": "Solve."},
    {"role": "user", "content": "State the final answer to the following arithmetic problem: 4 + 3 - 2 ="},
)
GREEDY = Sampling(temperature=0.0)
QUESTION = Request(MESSAGES, GREEDY)


@pytest.fixture
async def model() -> AsyncIterator[InBoxModel]:
    made = InBoxModel(threads=1)
    yield made
    await made.close()


def after(pieces: int, heard: list[Delta]) -> Callable[[Delta], None]:
    """A listener that has heard enough at the piece of this number."""

    def listen(delta: Delta) -> None:
        heard.append(delta)
        if len(heard) == pieces:
            raise Enough("repetition")

    return listen


def test_both_are_token_models(model: InBoxModel) -> None:
    assert isinstance(model, TokenModel) and isinstance(ScriptedModel("4"), TokenModel)


async def test_rendering_encoding_and_decoding_agree_with_what_is_sampled(model: InBoxModel) -> None:
    for request in (QUESTION, Request(MESSAGES, GREEDY, (PYTHON,))):
        said = await model.sample(request)
        assert await model.render(request) == said.prompt_token_ids
        assert said.token_ids is not None
        text = await model.decode(said.token_ids)
        assert text.endswith("<|im_end|>") and await model.encode(text) == said.token_ids


async def test_going_on_from_ids_is_the_same_as_not_having_stopped(model: InBoxModel) -> None:
    whole = await model.sample(QUESTION)
    assert whole.token_ids is not None and whole.logprobs is not None
    start = (await model.render(QUESTION)) + whole.token_ids[:5]
    rest = await model.sample(Request(MESSAGES, GREEDY, prompt_ids=start))
    assert rest.prompt_token_ids == start and rest.token_ids == whole.token_ids[5:]
    assert rest.logprobs == pytest.approx(whole.logprobs[5:], abs=1e-4)
    assert rest.text == whole.text.removeprefix("4 + 3 = 7")
    assert rest.template is None and rest.weights == whole.weights


async def test_ids_are_taken_without_asking_what_they_are_about(model: InBoxModel) -> None:
    said = await model.sample(Request(({"role": "user", "content": "Who are you?"},), GREEDY, prompt_ids=(5, 6)))
    assert said.token_ids and "out_of_scope" not in said.extra


async def test_what_can_not_be_raw_is_refused(model: InBoxModel) -> None:
    for one in (model, ScriptedModel("4")):
        with pytest.raises(ModelError, match="takes no tools, tool_choice or continue_final"):
            await one.sample(Request(MESSAGES, tools=(PYTHON,), prompt_ids=(1,)))
    for ids in ((), (10**6,)):
        with pytest.raises(ModelError, match="goes on from at least one token id, each from 0 to"):
            await model.sample(Request(MESSAGES, prompt_ids=ids))
    with pytest.raises(ModelError, match="can't be held to a JSON schema"):
        await model.sample(Request(MESSAGES, schema={"type": "object"}))


async def test_alternatives_are_the_likeliest_tokens_and_hold_the_sampled_one(model: InBoxModel) -> None:
    said = await model.sample(Request(MESSAGES, Sampling(temperature=3.0, seed=3, top_logprobs=4, max_tokens=20)))
    assert said.top_logprobs is not None and said.logprobs is not None and said.token_ids is not None
    assert len(said.top_logprobs) == len(said.token_ids)
    for token, logprob, top in zip(said.token_ids, said.logprobs, said.top_logprobs, strict=True):
        assert (await model.decode((token,)), logprob) in top
        values = [value for _, value in top]
        assert values == sorted(values, reverse=True) and 4 <= len(top) <= 5
        assert sum(map(math.exp, values)) <= 1.0 + 1e-9
    assert any(len(top) == 5 for top in said.top_logprobs)  # an unlikely token was sampled at this temperature
    assert (await model.sample(QUESTION)).top_logprobs is None


async def test_a_tool_that_must_not_be_called_is_not_and_the_prompt_stays(model: InBoxModel) -> None:
    free = await model.sample(Request(MESSAGES, GREEDY, (PYTHON,)))
    bound = await model.sample(Request(MESSAGES, GREEDY, (PYTHON,), tool_choice="none"))
    assert free.tool_calls and not bound.tool_calls
    assert bound.prompt_token_ids == free.prompt_token_ids
    assert bound.text and "tool_call" not in bound.text


async def test_enough_ends_a_call_with_what_had_been_heard(model: InBoxModel) -> None:
    heard: list[Delta] = []
    whole = await model.sample(QUESTION)
    said = await model.sample(Request(MESSAGES, Sampling(temperature=0.0, top_logprobs=2)), after(6, heard))
    assert said.finish_reason == "repetition"
    assert whole.token_ids is not None and said.token_ids == whole.token_ids[:6]
    assert said.text == "".join(d.text for d in heard) == "4 + 3 = 7\n"
    assert said.logprobs is not None and said.top_logprobs is not None
    assert len(said.logprobs) == len(said.top_logprobs) == said.usage.completion_tokens == 6
    assert said.usage.prompt_tokens == heard[0].prompt_tokens == len(said.prompt_token_ids or ())
    assert all(d.prompt_tokens is None for d in heard[1:])


async def test_enough_ends_a_refusal_too(model: InBoxModel) -> None:
    said = await model.sample(Request(({"role": "user", "content": "Who are you?"},)), after(1, []))
    assert said.finish_reason == "repetition" and said.extra["out_of_scope"] is True


async def test_enough_of_a_script() -> None:
    scripted = ScriptedModel(Completion("a long answer", reasoning="hm"), piece=5)
    heard: list[Delta] = []
    said = await scripted.sample(QUESTION, after(3, heard))
    assert (said.text, said.reasoning, said.finish_reason) == ("a long ans", "hm", "repetition")
    assert said.token_ids is not None and await scripted.decode(said.token_ids) == "<think>hm</think>a long ans"
    assert said.logprobs is not None and len(said.logprobs) == said.usage.completion_tokens == len(said.token_ids)
    assert heard[0].prompt_tokens == said.usage.prompt_tokens


async def test_a_script_goes_on_from_ids() -> None:
    scripted = ScriptedModel(["4 + 3", " = 7"])
    first = await scripted.sample(QUESTION)
    ids = await scripted.render(QUESTION) + await scripted.encode("4 + 3")
    second = await scripted.sample(Request(MESSAGES, prompt_ids=ids))
    assert first.prompt_token_ids is not None and first.token_ids is not None
    assert second.prompt_token_ids == ids == first.prompt_token_ids + first.token_ids[:-1]
    assert (
        await scripted.decode(ids + (second.token_ids or ()))
        == "system\nSolve.user\n" + str(MESSAGES[1]["content"]) + "assistant\n4 + 3 = 7"
    )
