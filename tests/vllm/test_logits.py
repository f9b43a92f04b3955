"""Reflection words by logits, and loops, at a real vLLM server.

The server's own log-probabilities are those before any processor. So what was added to a logit is found out exactly:
a script leads the model to a position where the gap between its first choice and another token is known, and the other
token must win when slightly more than the gap is added, and lose when slightly less is.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from maieutic.budget import Account
from maieutic.errors import ModelError
from maieutic.llm.gateway import call_model
from maieutic.llm.logits import ReflectionTokens, cyclic_reflex, reflection_tokens, tip, triangle
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.serving.command import PLUGIN
from maieutic.serving.executable import find_vllm
from maieutic.types import Delta, Request, Sampling
from tests.vllm.conftest import Server

QUESTION = "State the final answer to the following arithmetic problem: 4 + 3 - 5 + 8 - 2 + 9 ="
WORDS = ("step", "answer", "there")  # words that the in-box model has tokens for
PERIOD = 16.0
HUGE = 1e5
FREE: dict[str, Any] = {"ignore_eos": True}
LOOP = "I have to look at all the steps again. "


@pytest.fixture
async def model(vllm_server: Server) -> AsyncIterator[OpenAICompatibleModel]:
    profile = vllm_server.load_profile().model_copy(update={"retries": 0})
    made = OpenAICompatibleModel(vllm_server.profile, profile, vllm_server.url)
    yield made
    await made.close()


@pytest.fixture
async def words(model: OpenAICompatibleModel) -> ReflectionTokens:
    return await reflection_tokens(model, WORDS)


def both(*extras: dict[str, Any]) -> dict[str, Any]:
    """Several settings in one request's extra fields."""
    xargs = {name: value for extra in extras for name, value in extra.get("vllm_xargs", {}).items()}
    rest = {name: value for extra in extras for name, value in extra.items() if name != "vllm_xargs"}
    return rest | ({"vllm_xargs": xargs} if xargs else {})


def script(ids: Sequence[int]) -> dict[str, Any]:
    return {"vllm_xargs": {"script_tokens": list(ids)}}


def asking(*extras: dict[str, Any], tokens: int = 40, **sampling: Any) -> Request:
    chosen: dict[str, Any] = {"temperature": 0.0, "max_tokens": tokens, "extra": both(*extras), **sampling}
    return Request(({"role": "user", "content": QUESTION},), Sampling(**chosen))


async def said(model: OpenAICompatibleModel, *extras: dict[str, Any], tokens: int = 40, **more: Any) -> tuple[int, ...]:
    ids = (await model.sample(asking(*extras, tokens=tokens, **more))).token_ids
    assert ids is not None
    return ids


async def gaps(model: OpenAICompatibleModel, path: Sequence[int], at: int) -> list[tuple[int, float]]:
    """The second choice at a position of this path and what comes after it, with how far each is behind the first."""
    plain = await model.sample(asking(script(path[:at]), FREE, tokens=at + 1, top_logprobs=4))
    assert plain.top_logprobs is not None and plain.token_ids is not None
    (best, top), *others = plain.top_logprobs[at]
    found = [(await model.encode(text), top - logprob) for text, logprob in others]
    assert len(found[0][0]) == 1, "the second choice is known by its text"
    return [(ids[0], gap) for ids, gap in found if len(ids) == 1]


async def test_the_words_of_the_model_are_found_at_the_server(words: ReflectionTokens) -> None:
    assert {" step", "Step", " answer", "Answer", " there"} <= set(words.resolved)
    assert len(words.left_out["step"]) > 1


async def test_the_words_come_and_go_with_the_triangle(model: OpenAICompatibleModel, words: ReflectionTokens) -> None:
    ids = await said(model, FREE, cyclic_reflex(words.ids, amplitude=HUGE, period=PERIOD, end_think=()), tokens=70)
    for position, token in enumerate(ids):
        added = triangle(position, HUGE, PERIOD)
        if added != 0:
            assert (token in words.ids) == (added > 0), position


@pytest.mark.parametrize("position", [1, 3, 4, 6, 9, 12, 14, 15, 17, 22])
async def test_what_is_added_at_a_position_is_exactly_the_triangle(model: OpenAICompatibleModel, position: int) -> None:
    path = await said(model, FREE)
    share = triangle(position, 1.0, PERIOD)
    others = await gaps(model, path, position)
    assert others
    for token, gap in others:
        for slightly in (1.02, 0.98):
            # Where the triangle is positive the other token must win; where it is negative, the first choice must lose.
            target = token if share > 0 else path[position]
            extra = cyclic_reflex([target], amplitude=gap * slightly / abs(share), period=PERIOD, end_think=())
            ids = await said(model, FREE, script(path[:position]), extra, tokens=position + 1)
            assert ids[:position] == path[:position]
            if share > 0:
                assert (ids[position] == token) == (slightly > 1)
            elif (token, gap) == others[0]:
                assert (ids[position] != path[position]) == (slightly > 1)


async def test_nothing_is_added_after_the_end_of_the_thinking(
    model: OpenAICompatibleModel, words: ReflectionTokens
) -> None:
    end = await model.encode("right\n")
    lead = (*await model.encode("4 + 3 = 7\n"), *end)
    penalised = cyclic_reflex(words.ids, amplitude=HUGE, period=4, end_think=end)
    free = await said(model, FREE, script(lead))
    assert await said(model, FREE, script(lead), penalised) == free
    never = cyclic_reflex(words.ids, amplitude=HUGE, period=4, end_think=())
    assert await said(model, FREE, script(lead), never) != free


async def test_the_constant_penalty_holds_for_its_window_of_each_thought(model: OpenAICompatibleModel) -> None:
    path = await said(model, FREE)
    at = next(i for i in range(6, len(path)) if path[i] not in path[:i])
    target, switch = path[at], path[2]
    thought = max(i for i in range(at) if path[i] == switch)
    for window, held in ((None, True), (at - thought, False), (at - thought + 1, True)):
        extra = tip([target, switch], penalty=HUGE, window=window, end_think=())
        ids = await said(model, FREE, script(path[:at]), extra, tokens=at + 1)
        assert (ids[at] != target) == held, window


async def test_a_request_that_goes_on_keeps_its_position(model: OpenAICompatibleModel, words: ReflectionTokens) -> None:
    settings: dict[str, Any] = {"amplitude": HUGE, "period": PERIOD, "end_think": ()}
    whole = await said(model, FREE, cyclic_reflex(words.ids, **settings), tokens=30)
    first = await model.sample(asking(FREE, cyclic_reflex(words.ids, **settings), tokens=11))
    assert first.prompt_token_ids is not None and first.token_ids is not None
    extra = both(FREE, cyclic_reflex(words.ids, start=11, **settings))
    rest = await model.sample(
        Request(
            (),
            Sampling(temperature=0.0, max_tokens=19, extra=extra),
            prompt_ids=first.prompt_token_ids + first.token_ids,
        )
    )
    assert first.token_ids + (rest.token_ids or ()) == whole


async def test_requests_side_by_side_do_not_mix(model: OpenAICompatibleModel, words: ReflectionTokens) -> None:
    kinds: list[tuple[dict[str, Any], ...]] = [
        (),
        (cyclic_reflex(words.ids, amplitude=HUGE, period=PERIOD, end_think=()),),
        (cyclic_reflex(words.ids[:2], amplitude=3, period=7, shift=2, end_think=()),),
        (tip(words.ids, penalty=HUGE, window=None, end_think=()),),
        (tip(words.ids[1:], penalty=2, window=5, end_think=words.ids[:1]),),
        (FREE, cyclic_reflex(words.ids, amplitude=HUGE, period=5, until=9, end_think=())),
    ]
    # Lengths differ, so that requests leave the batch at different times and others take their rows.
    wanted = [(kind, 15 + 9 * (i % 5), 100 + i) for i, kind in enumerate(kinds * 5)]

    def ask(kind: tuple[dict[str, Any], ...], tokens: int, seed: int) -> Any:
        return said(model, *kind, tokens=tokens, temperature=float(seed % 2), seed=seed)

    alone = [await ask(*one) for one in wanted]
    for _ in range(3):
        assert await asyncio.gather(*(ask(*one) for one in wanted)) == alone


@pytest.mark.parametrize(
    ("xargs", "sentence"),
    [
        ({"reflection_mode": "up"}, "reflection_mode must be cyclic or tip"),
        ({"reflection_mode": "tip", "reflection_tokens": [5]}, "reflection_penalty must be a number"),
        ({"reflection_mode": "tip", "reflection_tokens": [-5], "reflection_penalty": 3}, "must be a list of token ids"),
        ({"reflection_tokens": [5]}, "reflection_mode must be cyclic or tip"),
        ({"script_tokens": "abc"}, "script_tokens must be a list of token ids"),
    ],
)
async def test_wrong_arguments_are_refused_in_a_sentence_and_the_server_goes_on(
    model: OpenAICompatibleModel, xargs: dict[str, Any], sentence: str
) -> None:
    before = await said(model)
    with pytest.raises(ModelError, match=sentence) as refused:
        await said(model, {"vllm_xargs": xargs})
    assert refused.value.status == 400
    assert await said(model) == before


async def test_ids_that_the_vocabulary_does_not_have_are_left_out(model: OpenAICompatibleModel) -> None:
    assert await said(model, tip([10**6, 2**40], penalty=HUGE)) == await said(model)


async def running(server: Server) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{server.root}/metrics")).text
    return sum(float(row.split()[-1]) for row in text.splitlines() if row.startswith("vllm:num_requests_running{"))


async def test_a_streamed_loop_is_ended_and_the_server_stops(model: OpenAICompatibleModel, vllm_server: Server) -> None:
    unit = await model.encode(LOOP)
    loop = list(unit) * (900 // len(unit))
    heard: list[Delta] = []
    profile = vllm_server.load_profile()
    call = await call_model(model, asking(FREE, script(loop), tokens=900), Account(), heard.append, profile)
    assert call.completion is not None and call.error is None
    assert call.completion.finish_reason == "repetition"
    assert call.completion.text == (LOOP * 100)[: len(call.completion.text)]
    assert call.completion.token_ids == tuple(loop[: len(call.completion.token_ids or ())])
    assert call.completion.usage.completion_tokens == len(call.completion.token_ids or ()) < len(loop)
    for _ in range(300):
        if await running(vllm_server) == 0:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the server went on generating")


async def test_a_loop_that_is_not_streamed_is_ended_by_the_server(
    model: OpenAICompatibleModel, vllm_server: Server
) -> None:
    unit = await model.encode("0, ")
    loop = list(unit) * (900 // len(unit))
    profile = vllm_server.load_profile()
    request = asking(FREE, script(loop), tokens=900)
    call = await call_model(model, request, Account(), None, profile)
    assert call.completion is not None and call.completion.finish_reason == "repetition"
    assert call.completion.token_ids is not None and 480 <= len(call.completion.token_ids) < 520
    off = await call_model(model, request, Account(), None, profile.model_copy(update={"loop_guard": False}))
    assert off.completion is not None and off.completion.finish_reason == "length"


async def test_ordinary_answers_are_the_same_with_and_without_the_guard(
    model: OpenAICompatibleModel, vllm_server: Server
) -> None:
    profile = vllm_server.load_profile()
    off = profile.model_copy(update={"loop_guard": False})
    for seed in range(5):
        sampling = Sampling(temperature=1.0, max_tokens=600, seed=seed)
        request = replace(asking(), sampling=sampling)
        found = [await call_model(model, request, Account(), None, p) for p in (profile, off)]
        assert len({call.completion.token_ids for call in found if call.completion}) == 1
        assert {call.completion.finish_reason for call in found if call.completion} <= {"stop", "length"}


def test_the_second_model_runner_is_served_alike(tmp_path: Path) -> None:
    python = find_vllm(True, tmp_path, os.environ).path.parent / "python"
    env = {**os.environ, "PYTHONPATH": str(PLUGIN)}
    program, seeds = Path(__file__).with_name("slots.py"), ("1", "2", "3")
    done = subprocess.run([python, program, *seeds], capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rows changed as they should") == len(seeds)
