"""What is recorded of a call is what was sampled: no field set twice, no log-probabilities lost, no key in an error."""

import asyncio

import pytest

from maieutic.budget import Account
from maieutic.errors import ConfigError, ModelError
from maieutic.llm.gateway import call_model
from maieutic.llm.profile import Profile
from maieutic.llm.providers_failures import Failures
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.refusals import refusal
from maieutic.settings import parse_yaml
from maieutic.types import Delta, Message, Request, Sampling
from tests.support.server import Answer, FakeServer, Json

MESSAGES: tuple[Message, ...] = ({"role": "user", "content": "hi"},)
TOO_MANY = "Requested sample logprobs of 50, which is greater than max allowed: 20"


def client(server: FakeServer, kind: str = "vllm", **fields: str) -> OpenAICompatibleModel:
    profile = Profile(kind=kind, model="m", **fields)  # type: ignore[arg-type]
    return OpenAICompatibleModel("served", profile, server.url)


@pytest.mark.parametrize("prompt_ids", [None, (104, 105)])
async def test_too_many_alternatives_are_refused_and_no_later_call_loses_its_log_probabilities(
    prompt_ids: tuple[int, ...] | None,
) -> None:
    def answer(body: Json) -> Answer:
        many = body.get("top_logprobs") == 50 or body.get("logprobs") == 50
        return Answer(TOO_MANY, status=400) if many else Answer()

    with FakeServer(answer) as server:
        model = client(server)
        with pytest.raises(ModelError, match="greater than max allowed: 20"):
            await model.sample(Request(MESSAGES, Sampling(top_logprobs=50), prompt_ids=prompt_ids))
        after = await model.sample(Request(MESSAGES, prompt_ids=prompt_ids))
        await model.close()
    assert len(server.requests) == 2
    assert after.logprobs is not None and after.token_ids is not None
    assert len(after.logprobs) == len(after.token_ids)


async def test_a_server_without_log_probabilities_is_asked_for_no_alternatives_either() -> None:
    def answer(body: Json) -> Answer:
        return Answer("Unsupported: logprobs", status=400) if {"logprobs", "top_logprobs"} & body.keys() else Answer()

    with FakeServer(answer) as server:
        model = client(server, "openai-compatible")
        request = Request(MESSAGES, Sampling(top_logprobs=5))
        found = [await model.sample(request), await model.sample(request)]
        await model.close()
    assert [completion.logprobs for completion in found] == [None, None] and len(server.requests) == 3


@pytest.mark.parametrize("text", ["top_logprobs is too large", "prompt_logprobs must be positive"])
async def test_another_field_s_refusal_is_not_taken_for_that_of_log_probabilities(text: str) -> None:
    with FakeServer(Answer(text, status=400)) as server:
        model = client(server, "openai-compatible")
        with pytest.raises(ModelError, match=text):
            await model.sample(Request(MESSAGES))
        await model.close()
    assert len(server.requests) == 1


async def test_alternatives_that_nobody_asked_for_are_not_recorded() -> None:
    with FakeServer() as server:
        model = client(server)
        for listen in (None, lambda delta: None):
            completion = await model.sample(Request(MESSAGES, prompt_ids=(1, 2)), listen)
            assert completion.logprobs and completion.top_logprobs is None
        await model.close()


@pytest.mark.parametrize("field", ["model", "n", "stream", "messages", "max_tokens", "max_completion_tokens"])
async def test_a_field_that_the_call_sets_itself_can_not_be_set_again(field: str) -> None:
    with FakeServer() as server:
        model = client(server, weights="w1")
        with pytest.raises(ModelError, match=f"{field!r} can't be set in `extra`"):
            await model.sample(Request(MESSAGES, Sampling(extra={field: 2})))
        await model.close()
    assert server.requests == []
    with pytest.raises(ConfigError, match=rf"{field!r} can't be set"):
        parse_yaml(f"kind: vllm\nsampling: {{extra: {{{field}: 2}}}}\n", Profile, "one.yaml")


async def test_a_template_of_the_request_s_own_is_not_the_profile_s() -> None:
    with FakeServer() as server:
        model = client(server, template="t1")
        own = await model.sample(Request(MESSAGES, Sampling(extra={"chat_template": "{{ x }}"})))
        plain = await model.sample(Request(MESSAGES))
        await model.close()
    assert (own.template, plain.template) == (None, "t1")


@pytest.mark.parametrize(("prompt_ids", "template"), [(None, "t1"), ((1, 2), None)])
async def test_a_call_that_is_cut_off_says_which_weights_it_was(
    prompt_ids: tuple[int, ...] | None, template: str | None
) -> None:
    heard = asyncio.Event()

    def listen(delta: Delta) -> None:
        heard.set()

    with FakeServer(Answer("x" * 400, chunk_delay=0.05)) as server:
        profile = Profile(kind="vllm", model="m", weights="w1", template="t1")
        model = OpenAICompatibleModel("served", profile, server.url)
        request = Request(MESSAGES, prompt_ids=prompt_ids)
        task = asyncio.create_task(call_model(model, request, Account(), listen, profile))
        await heard.wait()
        task.cancel()
        call = await task
        await model.close()
    assert isinstance(call.error, asyncio.CancelledError) and call.arrived is not None
    assert (call.arrived.weights, call.arrived.template) == ("w1", template)


@pytest.mark.parametrize("start", range(300, 500, 25))
def test_no_part_of_a_long_key_is_left_where_an_error_is_shortened(start: int) -> None:
    key = "sk-" + "SECRET" * 30
    body = "x" * start + key
    for error in (refusal("http://a", 400, body, key), Failures("openai/x", None, key).refused(400, body).error):
        assert "SECRET" not in str(error)
