"""The same weights at a vLLM server and in this process say the same, token for token."""

import asyncio
import http.client
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from maieutic.errors import MaieuticError
from maieutic.llm.in_box.model import InBoxModel
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.tasks.source import load_tasks
from maieutic.types import Completion, Delta, Message, Request, Sampling, ToolSpec
from tests.vllm.conftest import Server

PYTHON = ToolSpec(
    "python",
    "Run Python.",
    {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"], "additionalProperties": False},
)
GREEDY = Sampling(temperature=0.0, max_tokens=300)
QUESTIONS = "env:rg/chain_sum?n=20&seed=7&max_terms=4&max_digits=2"
CLOSE = 2e-3  # both compute in float32, in another order
UVICORN_KEEPS = 5.0  # seconds that an idle connection lives where nobody says otherwise


@pytest.fixture
async def served(vllm_server: Server) -> AsyncIterator[OpenAICompatibleModel]:
    profile = vllm_server.load_profile().model_copy(update={"retries": 0})
    model = OpenAICompatibleModel(vllm_server.profile, profile, vllm_server.url)
    yield model
    await model.close()


@pytest.fixture
async def in_process() -> AsyncIterator[InBoxModel]:
    model = InBoxModel(threads=1, check_scope=False)
    yield model
    await model.close()


def asked(question: str, *more: Message) -> tuple[Message, ...]:
    return ({"role": "system", "content": "Solve."}, {"role": "user", "content": question}, *more)


def close(left: tuple[float, ...] | None, right: tuple[float, ...] | None) -> bool:
    assert left is not None and right is not None and len(left) == len(right)
    return max(abs(a - b) for a, b in zip(left, right, strict=True)) < CLOSE


async def streamed(model: OpenAICompatibleModel, request: Request) -> tuple[Completion, list[Delta]]:
    deltas: list[Delta] = []
    return await model.sample(request, deltas.append), deltas


async def test_greedy_answers_are_those_of_the_model_in_this_process(
    served: OpenAICompatibleModel, in_process: InBoxModel
) -> None:
    requests = [Request(asked(task.question), GREEDY) for task in load_tasks(QUESTIONS).tasks]
    assert len(requests) == 20
    theirs = await asyncio.gather(*map(served.sample, requests))
    ours = await asyncio.gather(*map(in_process.sample, requests))
    assert [c.prompt_token_ids for c in theirs] == [c.prompt_token_ids for c in ours]
    assert [c.token_ids for c in theirs] == [c.token_ids for c in ours]
    assert [(c.text, c.finish_reason) for c in theirs] == [(c.text, c.finish_reason) for c in ours]
    assert all(close(a.logprobs, b.logprobs) for a, b in zip(theirs, ours, strict=True))
    assert {c.template for c in theirs} == {c.template for c in ours}, "one chat template, one hash"


async def test_a_stream_is_recorded_like_a_plain_answer(served: OpenAICompatibleModel) -> None:
    question = load_tasks(QUESTIONS).tasks[0].question
    for sampling in (GREEDY, Sampling(temperature=1.0, seed=11, max_tokens=300)):
        plain = await served.sample(Request(asked(question), sampling))
        stream, deltas = await streamed(served, Request(asked(question), sampling))
        assert "".join(delta.text for delta in deltas) == stream.text == plain.text
        assert (stream.token_ids, stream.prompt_token_ids) == (plain.token_ids, plain.prompt_token_ids)
        assert stream.token_ids and close(stream.logprobs, plain.logprobs)
        assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (
            plain.usage.prompt_tokens,
            plain.usage.completion_tokens,
        )
        assert (stream.weights, stream.template) == (plain.weights, plain.template)
        assert stream.weights and stream.template


async def test_tool_calls_are_read_from_the_stream(served: OpenAICompatibleModel, in_process: InBoxModel) -> None:
    request = Request(asked("State the final answer to the following arithmetic problem: 4 + 3 - 5 ="), GREEDY)
    request = Request(request.messages, GREEDY, (PYTHON,))
    ours = await in_process.sample(request)
    plain = await served.sample(request)
    stream, deltas = await streamed(served, request)
    assert [call.name for call in ours.tool_calls] == ["python"]
    for said in (plain, stream):
        assert [(call.name, call.arguments) for call in said.tool_calls] == [
            (call.name, call.arguments) for call in ours.tool_calls
        ]
        assert said.finish_reason == "tool_calls"
        assert (said.text or "").strip() == ours.text.strip()
    assert len(deltas) > 1
    assert all("tool_call" not in delta.text for delta in deltas)


async def test_an_open_answer_is_gone_on_with(served: OpenAICompatibleModel, in_process: InBoxModel) -> None:
    question = "State the final answer to the following arithmetic problem: 4 + 3 - 5 ="
    begun: Message = {"role": "assistant", "content": "4 + 3 = 7\n"}
    request = Request(asked(question, begun), GREEDY, continue_final=True)
    theirs, ours = await served.sample(request), await in_process.sample(request)
    assert theirs.prompt_token_ids == ours.prompt_token_ids
    assert theirs.text == ours.text == "7 - 5 = 2\nAnswer: 2"


async def test_a_field_that_vllm_would_ignore_is_refused_here(served: OpenAICompatibleModel) -> None:
    for name in ("guided_json", "temprature"):
        with pytest.raises(MaieuticError, match=name):
            await served.sample(Request(asked("1 + 1 ="), Sampling(extra={name: 1})))


async def test_a_call_after_a_long_pause_needs_no_second_try(served: OpenAICompatibleModel) -> None:
    request = Request(asked("1 + 1 ="), Sampling(temperature=0.0, max_tokens=4))
    await served.sample(request)
    await asyncio.sleep(UVICORN_KEEPS + 1)
    assert (await served.sample(request)).token_ids


def test_an_idle_connection_is_kept_open(vllm_server: Server) -> None:
    address = urlsplit(vllm_server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request("GET", "/health")
    connection.getresponse().read()
    kept = connection.sock
    time.sleep(UVICORN_KEEPS + 1)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    assert connection.sock is kept
    connection.close()
