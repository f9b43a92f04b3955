"""The in-box model as a model: seeds, batches, streams, cancellation, tool calls, the record of a call."""

import asyncio
import math
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from maieutic.errors import ModelError
from maieutic.llm.in_box.chat import Chat, read_calls
from maieutic.llm.in_box.engine import CONTEXT, Engine, choose
from maieutic.llm.in_box.model import MAX_ROWS, WEIGHTS, InBoxModel
from maieutic.llm.model import Model
from maieutic.types import Delta, Message, Request, Sampling, ToolSpec

PYTHON = ToolSpec("python", "Run Python.", {"type": "object", "properties": {"code": {"type": "string"}}})
QUESTION = "State the final answer to the following arithmetic problem: {} + 3 - {} ="


@pytest.fixture
async def model() -> AsyncIterator[InBoxModel]:
    made = InBoxModel(threads=1)
    yield made
    await made.close()


def ask(first: int = 4, last: int = 2, tools: tuple[ToolSpec, ...] = (), **sampling: object) -> Request:
    messages: tuple[Message, ...] = (
        {"role": "system", "content": "Solve."},
        {"role": "user", "content": QUESTION.format(first, last)},
    )
    return Request(messages, Sampling(**sampling), tools)  # type: ignore[arg-type]


def test_it_is_a_model(model: InBoxModel) -> None:
    assert isinstance(model, Model)
    assert model.name == "in-box"


async def test_it_solves_an_easy_sum(model: InBoxModel) -> None:
    said = await model.sample(ask(temperature=0.0))
    assert said.text == "4 + 3 = 7\n7 - 2 = 5\nAnswer: 5"
    assert said.finish_reason == "stop"


async def test_the_record_of_a_call_is_exact(model: InBoxModel) -> None:
    request = ask(seed=1)
    said = await model.sample(request)
    chat = model.chat
    assert said.prompt_token_ids is not None and said.token_ids is not None and said.logprobs is not None
    assert list(said.prompt_token_ids) == chat.encode(chat.prompt(request.messages))
    assert chat.decode(said.token_ids) == said.text
    assert said.token_ids[-1] == chat.end
    assert len(said.logprobs) == len(said.token_ids) and all(p <= 0 for p in said.logprobs)
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (
        len(said.prompt_token_ids),
        len(said.token_ids),
    )
    assert said.weights and said.template and said.weights != said.template


async def test_log_probabilities_are_left_out_on_request(model: InBoxModel) -> None:
    assert (await model.sample(ask(logprobs=False))).logprobs is None


async def test_the_same_seed_says_the_same_alone_and_in_company(model: InBoxModel) -> None:
    requests = [ask(i % 10, i // 10, temperature=1.3, seed=i) for i in range(32)]
    alone = [(await model.sample(r)).text for r in requests]
    together = [c.text for c in await asyncio.gather(*map(model.sample, requests))]
    assert together == alone
    assert len(set(alone)) > 16


async def test_other_seeds_say_other_things(model: InBoxModel) -> None:
    said = await asyncio.gather(*(model.sample(ask(temperature=2.0, seed=s)) for s in range(8)))
    assert len({c.text for c in said}) > 1


async def test_more_calls_than_rows_are_all_answered(model: InBoxModel) -> None:
    said = await asyncio.gather(*(model.sample(ask(i % 10, temperature=0.0)) for i in range(MAX_ROWS + 40)))
    assert all(c.finish_reason == "stop" for c in said)
    assert all(said[i].text == said[i % 10].text for i in range(len(said)))


async def test_a_stream_adds_up_to_the_text(model: InBoxModel) -> None:
    pieces: list[Delta] = []
    said = await model.sample(ask(temperature=0.0), pieces.append)
    assert "".join(p.text for p in pieces) == said.text
    assert said.token_ids is not None and sum(p.tokens for p in pieces) == len(said.token_ids)


async def test_a_tool_call_is_read_and_not_streamed(model: InBoxModel) -> None:
    pieces: list[Delta] = []
    said = await model.sample(ask(tools=(PYTHON,), temperature=0.0), pieces.append)
    assert said.text == "" and not any(p.text for p in pieces)
    assert [(c.name, c.arguments) for c in said.tool_calls] == [("python", '{"code": "print(4 + 3 - 2)"}')]
    assert said.finish_reason == "tool_calls"


async def test_a_conversation_with_a_tool_goes_on_token_by_token(model: InBoxModel) -> None:
    request = ask(tools=(PYTHON,), temperature=0.0)
    first = await model.sample(request)
    result: Message = {"role": "tool", "content": "5\n", "tool_call_id": first.tool_calls[0].id}
    second = await model.sample(Request((*request.messages, first.message(), result), request.sampling, request.tools))
    assert first.prompt_token_ids and first.token_ids and second.prompt_token_ids
    history = first.prompt_token_ids + first.token_ids
    assert second.prompt_token_ids[: len(history)] == history
    assert second.text == "Answer: 5"


async def test_a_cancelled_call_leaves_the_others_alone(model: InBoxModel) -> None:
    calls = [asyncio.create_task(model.sample(ask(temperature=1.5, seed=7))) for _ in range(4)]
    await asyncio.sleep(0)
    calls[0].cancel()
    said = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(said[0], asyncio.CancelledError)
    assert len({c.text for c in said[1:] if not isinstance(c, BaseException)}) == 1
    assert (await model.sample(ask(temperature=0.0))).finish_reason == "stop"


async def test_an_error_in_the_listener_stops_the_call(model: InBoxModel) -> None:
    heard: list[Delta] = []

    def stop(delta: Delta) -> None:
        heard.append(delta)
        if len(heard) == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await model.sample(ask(temperature=0.0), stop)
    assert len(heard) == 3


async def test_limits_and_stops(model: InBoxModel) -> None:
    short = await model.sample(ask(temperature=0.0, max_tokens=3))
    assert (short.text, short.finish_reason, short.usage.completion_tokens) == ("4 + 3", "length", 3)
    cut = await model.sample(ask(temperature=0.0, stop=("\nAnswer",)))
    assert (cut.text, cut.finish_reason) == ("4 + 3 = 7\n7 - 2 = 5", "stop")


async def test_a_message_left_open_is_gone_on_with(model: InBoxModel) -> None:
    opened: Message = {"role": "assistant", "content": "4 + 3 = 7"}
    request = ask(temperature=0.0)
    said = await model.sample(Request((*request.messages, opened), request.sampling, continue_final=True))
    assert said.prompt_token_ids and model.chat.tokenizer.decode(list(said.prompt_token_ids)).endswith("4 + 3 = 7")
    assert said.text == "\n7 - 2 = 5\nAnswer: 5"


async def test_a_prompt_that_is_too_long_is_refused_with_its_length(model: InBoxModel) -> None:
    long: Message = {"role": "user", "content": "1 + " * CONTEXT}
    with pytest.raises(ModelError, match=r"\d{4} tokens"):
        await model.sample(Request((long,)))


async def test_closing_fails_what_is_under_way() -> None:
    model = InBoxModel(threads=1)
    speaking = asyncio.Event()
    asked = [ask(max_tokens=900, temperature=1000.0, seed=seed) for seed in range(32)]
    calls = asyncio.gather(*(model.sample(one, lambda _: speaking.set()) for one in asked), return_exceptions=True)
    await speaking.wait()
    await model.close()
    failed = [said for said in await calls if isinstance(said, BaseException)]
    assert failed and all(isinstance(error, ModelError) and "closed" in str(error) for error in failed)
    assert not [t for t in threading.enumerate() if t.name == "maieutic-in-box"]


async def test_a_broken_model_folder_fails_the_call(tmp_path: object) -> None:
    from pathlib import Path
    from shutil import copytree

    folder = Path(str(tmp_path)) / "model"
    copytree(WEIGHTS, folder)
    (folder / "model.onnx").write_bytes(b"nothing")
    model = InBoxModel(folder)
    with pytest.raises(ModelError, match="in-box model failed"):
        await model.sample(ask())
    await model.close()


def test_rows_leave_without_disturbing_their_neighbours() -> None:
    engine = Engine(WEIGHTS / "model.onnx")
    prompts = [[1, 50 + i, 60, 70 + i] * (i + 1) for i in range(5)]
    engine.admit(prompts)
    engine.drop(1)
    engine.admit([[1, 99]])
    after = engine.advance([5, 5, 5, 5, 5])
    alone = Engine(WEIGHTS / "model.onnx")
    rows = [prompts[0], prompts[4], prompts[2], prompts[3], [1, 99]]
    expected = np.concatenate([_alone(alone, row) for row in rows])
    np.testing.assert_allclose(after, expected, atol=2e-4)


def _alone(engine: Engine, row: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    logits = engine.admit([[*row, 5]])
    engine.drop(0)
    return logits


def _choose(logits: list[float], uniform: float, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0) -> int:
    tokens, _ = choose(
        np.array([logits], np.float32),
        np.array([temperature]),
        np.array([top_p]),
        np.array([top_k]),
        np.array([uniform]),
    )
    return tokens[0]


def test_sampling_follows_the_probabilities() -> None:
    logits = [math.log(0.5), math.log(0.3), math.log(0.2)]
    drawn = [_choose(logits, u) for u in np.linspace(0, 0.999, 1000)]
    assert [drawn.count(i) for i in range(3)] == pytest.approx([500, 300, 200], abs=2)
    assert {_choose(logits, u, temperature=0.0) for u in (0.0, 0.9)} == {0}
    assert {_choose(logits, u, top_k=2) for u in np.linspace(0, 0.999, 100)} == {0, 1}
    assert {_choose(logits, u, top_p=0.6) for u in np.linspace(0, 0.999, 100)} == {0, 1}
    assert {_choose(logits, u, top_p=0.5) for u in np.linspace(0, 0.999, 100)} == {0}


def test_calls_that_cannot_be_read_stay_text() -> None:
    assert read_calls("<tool_call>\n{broken\n</tool_call>", "c") == ("<tool_call>\n{broken\n</tool_call>", ())
    assert read_calls('<tool_call>\n{"name": 3}\n</tool_call>', "c")[1] == ()
    said, calls = read_calls('Now:\n<tool_call>\n{"name": "a", "arguments": {"x": "é"}}\n</tool_call>', "c")
    assert said == "Now:"
    assert [(c.id, c.name, c.arguments) for c in calls] == [("c-0", "a", '{"x": "é"}')]


def test_onnx_and_transformers_agree() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    reference = transformers.AutoModelForCausalLM.from_pretrained(WEIGHTS)
    chat, engine = Chat(WEIGHTS), Engine(WEIGHTS / "model.onnx")
    for i in range(6):
        prompt = chat.encode(chat.prompt(ask(i, 9 - i).messages))
        theirs = reference.generate(torch.tensor([prompt]), max_new_tokens=32, do_sample=False)[
            0, len(prompt) :
        ].tolist()
        assert _greedy(engine, prompt, chat.end, 32) == theirs


def _greedy(engine: Engine, prompt: list[int], end: int, limit: int) -> list[int]:
    tokens = [int(engine.admit([prompt])[0].argmax())]
    while tokens[-1] != end and len(tokens) < limit:
        tokens.append(int(engine.advance([tokens[-1]])[0].argmax()))
    engine.drop(0)
    return tokens
