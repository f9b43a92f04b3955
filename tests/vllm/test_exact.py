"""Token ids, thoughts gone on with, schemas and probabilities at a real vLLM server."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from maieutic.llm.confidence import option_probabilities
from maieutic.llm.in_box.model import InBoxModel
from maieutic.llm.model import Enough
from maieutic.llm.registry import Resolved
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.fields import CHAT_ONLY, COMMON
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Delta, Message, Request, Sampling, ToolSpec
from tests.support.contexts import open_context
from tests.vllm.conftest import Server

MESSAGES: tuple[Message, ...] = (
    {"role": "system", "content": "Solve."},
    {"role": "user", "content": "State the final answer to the following arithmetic problem: 4 + 3 - 2 ="},
)
PYTHON = ToolSpec("python", "Run Python.", {"type": "object", "properties": {"code": {"type": "string"}}})
GREEDY = Sampling(temperature=0.0, max_tokens=200, top_logprobs=3)
QUESTION = Request(MESSAGES, GREEDY)
SCHEMA = {
    "type": "object",
    "properties": {"sure": {"type": "boolean"}},
    "required": ["sure"],
    "additionalProperties": False,
}
EXACT = ("text", "finish_reason", "prompt_token_ids", "token_ids", "weights", "template")


@pytest.fixture
async def served(vllm_server: Server) -> AsyncIterator[OpenAICompatibleModel]:
    model = OpenAICompatibleModel(vllm_server.profile, vllm_server.load_profile(), vllm_server.url)
    yield model
    await model.close()


@pytest.fixture
async def in_process() -> AsyncIterator[InBoxModel]:
    model = InBoxModel(threads=1, check_scope=False)
    yield model
    await model.close()


def assert_alike(one: Completion, other: Completion) -> None:
    """The same tokens, and log-probabilities as near as float32 in another order comes."""
    assert [getattr(one, name) for name in EXACT] == [getattr(other, name) for name in EXACT]
    assert one.logprobs == pytest.approx(other.logprobs, abs=2e-3)
    assert one.top_logprobs is not None and other.top_logprobs is not None
    for left, right in zip(one.top_logprobs, other.top_logprobs, strict=True):
        assert dict(left) == pytest.approx(dict(right), abs=2e-3)


def test_the_names_that_are_let_through_are_those_of_the_server(vllm_server: Server) -> None:
    schemas = httpx.get(f"{vllm_server.root}/openapi.json", timeout=60).json()["components"]["schemas"]
    chat, raw = (set(schemas[name]["properties"]) for name in ("ChatCompletionRequest", "CompletionRequest"))
    assert chat == COMMON | CHAT_ONLY
    assert raw - {"prompt", "prompt_embeds", "suffix"} == COMMON


async def test_tokens_are_those_of_the_model_in_this_process(
    served: OpenAICompatibleModel, in_process: InBoxModel
) -> None:
    for request in (QUESTION, Request(MESSAGES, GREEDY, (PYTHON,))):
        assert await served.render(request) == await in_process.render(request)
    ids = await served.encode("Wait, 4 + 3 = 7<|im_end|>")
    assert ids == await in_process.encode("Wait, 4 + 3 = 7<|im_end|>")
    assert await served.decode(ids) == await in_process.decode(ids)


async def test_going_on_from_ids_is_the_same_as_not_having_stopped(
    served: OpenAICompatibleModel, in_process: InBoxModel
) -> None:
    whole = await served.sample(QUESTION)
    assert whole.token_ids is not None and whole.weights is not None
    raw = Request(MESSAGES, GREEDY, prompt_ids=(await served.render(QUESTION)) + whole.token_ids[:5])
    rest = await served.sample(raw)
    assert rest.token_ids == whole.token_ids[5:] and rest.text == whole.text.removeprefix("4 + 3 = 7")
    pieces: list[Delta] = []
    assert_alike(rest, await served.sample(raw, pieces.append))
    assert "".join(piece.text for piece in pieces) == rest.text
    assert [p.prompt_tokens for p in pieces if p.prompt_tokens is not None] == [len(raw.prompt_ids or ())]
    assert (await in_process.sample(raw)).token_ids == rest.token_ids


async def test_a_thought_is_gone_on_with_cut_and_handed_over(
    served: OpenAICompatibleModel, in_process: InBoxModel, vllm_server: Server, tmp_path: Path
) -> None:
    recorded: list[RunRecord] = []
    profile = vllm_server.load_profile()
    other = Resolved(in_process, profile.model_copy(update={"kind": "in-box"}))
    async with open_context(tmp_path, served, recorded, Sampling(temperature=0.0), profile, other=other) as ctx:
        first = await ctx.sample("solver", MESSAGES)
        longer = await ctx.resume("solver", first, "\n5 - 2 = ")
        again = await ctx.resume("solver", first, keep_tokens=5)
        handed = await ctx.resume("other", first, keep_tokens=5)
        stopped = await ctx.sample("solver", MESSAGES, sampling=Sampling(stop=("\nAnswer",)))
        ended = await ctx.resume("solver", stopped, "\nAnswer: ")
    assert longer.text.startswith(f"{first.text}\n5 - 2 = 3")
    assert again.text == handed.text == first.text
    assert stopped.text == "4 + 3 = 7\n7 - 2 = 5" and ended.text.startswith(f"{stopped.text}\nAnswer: ")
    (run,) = recorded
    assert [e.fields["how"] for e in run.events_of("note")] == ["tokens", "tokens", "encoded", "tokens"]
    assert all(c.completion and c.completion.prompt_token_ids == c.request.prompt_ids for c in run.calls[1:4])


@pytest.mark.parametrize("raw", [False, True])
async def test_a_reply_has_the_form_of_its_schema(served: OpenAICompatibleModel, raw: bool) -> None:
    ids = await served.render(QUESTION) if raw else None
    said = await served.sample(Request(MESSAGES, GREEDY, schema=SCHEMA, prompt_ids=ids))
    assert said.finish_reason == "stop" and set(json.loads(said.text)) == {"sure"}


async def test_probabilities_of_options_do_not_depend_on_temperature(
    served: OpenAICompatibleModel, in_process: InBoxModel
) -> None:
    found = []
    for model in (served, in_process):
        for temperature in (0.0, 1.0, 2.0):
            one = Sampling(temperature=temperature, max_tokens=1, top_logprobs=20, seed=1)
            found.append(option_probabilities(await model.sample(Request(MESSAGES, one)), ("4", "I", "Zeus")))
    assert found[0] is not None and found[0]["4"] > 0.9 and found[0]["Zeus"] == 0.0
    assert all(one == pytest.approx(found[0], abs=1e-4) for one in found)


async def test_a_tool_that_must_not_be_called_stays_in_the_prompt(served: OpenAICompatibleModel) -> None:
    free = await served.sample(Request(MESSAGES, GREEDY, (PYTHON,)))
    bound = await served.sample(Request(MESSAGES, GREEDY, (PYTHON,), tool_choice="none"))
    assert free.tool_calls and not bound.tool_calls
    assert bound.prompt_token_ids == free.prompt_token_ids


async def test_a_raw_call_that_was_enough_is_whole_and_exact(served: OpenAICompatibleModel) -> None:
    pieces: list[Delta] = []

    def listen(delta: Delta) -> None:
        pieces.append(delta)
        if len(pieces) == 6:
            raise Enough("repetition")

    sampling = Sampling(temperature=0.0, max_tokens=600, extra={"ignore_eos": True})
    ids = await served.render(QUESTION)
    said = await served.sample(Request(MESSAGES, sampling, prompt_ids=ids), listen)
    assert said.finish_reason == "repetition" and said.text == "".join(p.text for p in pieces)
    assert said.token_ids is not None and said.logprobs is not None
    assert len(said.token_ids) == len(said.logprobs) == said.usage.completion_tokens < 600
    assert said.usage.prompt_tokens == len(ids) and said.prompt_token_ids == ids
