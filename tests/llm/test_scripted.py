import asyncio

import pytest

from maieutic.errors import ModelError
from maieutic.llm.model import Model
from maieutic.llm.scripted import Script, ScriptedModel, call_tool, decode
from maieutic.types import Completion, Delta, Message, Request, Sampling


def ask(text: str, system: str = "") -> Request:
    messages: tuple[Message, ...] = ({"role": "user", "content": text},)
    return Request(({"role": "system", "content": system}, *messages) if system else messages)


async def texts(script: Script, *requests: Request) -> list[str]:
    model = ScriptedModel(script)
    return [(await model.sample(request)).text for request in requests]


async def test_one_reply_is_given_always_and_a_list_in_order() -> None:
    assert await texts("4", ask("a"), ask("b")) == ["4", "4"]
    assert await texts(["4", Completion("5")], ask("a"), ask("b")) == ["4", "5"]


async def test_a_list_that_ran_out_is_an_error_and_not_a_repetition() -> None:
    with pytest.raises(ModelError, match="has 1 replies, and all of them have been given"):
        await texts(["4"], ask("a"), ask("b"))


async def test_rules_look_at_the_system_message_first() -> None:
    script = {"critic": ["wrong", "right"], "solver": "4"}
    asked = (ask("the critic says so", "You are the solver."), ask("x", "You are a critic."), ask("as a critic, look"))
    assert await texts(script, *asked) == ["4", "wrong", "right"]
    with pytest.raises(ModelError, match="No rule of the script .'critic', 'solver'. matches"):
        await texts(script, ask("x", "You are a judge."))


async def test_a_function_sees_the_request_and_may_be_async() -> None:
    async def later(request: Request) -> str:
        await asyncio.sleep(0)
        return str(request.messages[-1]["content"]).upper()

    assert await texts(later, ask("a")) == ["A"]
    assert await texts(lambda request: Completion("B"), ask("a")) == ["B"]


async def test_errors_are_raised_and_requests_kept() -> None:
    model = ScriptedModel([ModelError("down", kind="unreachable"), "4"])
    assert isinstance(model, Model)
    with pytest.raises(ModelError, match="down"):
        await model.sample(ask("a"))
    await model.sample(ask("b"))
    assert model.requests == [ask("a"), ask("b")]


async def test_a_conversation_has_exact_prefixes() -> None:
    model = ScriptedModel([call_tool("add", a=1), "so 2"])
    first = await model.sample(ask("one and one?"))
    messages = (
        *ask("one and one?").messages,
        first.message(),
        Message(role="tool", content="2", tool_call_id="call-0-0"),
    )
    second = await model.sample(Request(messages))
    assert first.prompt_token_ids is not None and first.token_ids is not None and second.prompt_token_ids is not None
    sequence = first.prompt_token_ids + first.token_ids
    assert second.prompt_token_ids[: len(sequence)] == sequence
    assert decode(second.token_ids or ()) == "so 2"
    assert len(second.logprobs or ()) == len(second.token_ids or ()) == second.usage.completion_tokens
    assert (first.finish_reason, first.tool_calls[0].id, second.finish_reason) == ("tool_calls", "call-0-0", "stop")


async def test_going_on_from_an_open_message_has_an_exact_prefix_too() -> None:
    model = ScriptedModel([Completion("1 + 1", finish_reason="length"), " = 2"])
    first = await model.sample(ask("x"))
    second = await model.sample(Request((*ask("x").messages, first.message()), continue_final=True))
    assert second.prompt_token_ids == (first.prompt_token_ids or ()) + (first.token_ids or ())


async def test_what_the_script_says_of_itself_is_kept() -> None:
    said = Completion("4", finish_reason="length", token_ids=(7,), logprobs=(-0.5,), weights="w1")
    got = await ScriptedModel(said).sample(ask("a"))
    assert (got.finish_reason, got.token_ids, got.logprobs, got.weights) == ("length", (7,), (-0.5,), "w1")
    without = await ScriptedModel("4").sample(Request(ask("a").messages, Sampling(logprobs=False)))
    assert without.logprobs is None


async def test_it_streams_in_pieces() -> None:
    deltas: list[Delta] = []
    model = ScriptedModel(Completion("a long answer", reasoning="hm"), piece=5)
    completion = await model.sample(ask("a"), deltas.append)
    assert [d.text for d in deltas if d.text] == ["a lon", "g ans", "wer"]
    assert [d.reasoning for d in deltas if d.reasoning] == ["hm"]
    assert completion.text == "a long answer"


async def test_cancelling_and_listeners_that_raise() -> None:
    model = ScriptedModel("a long answer", latency=30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await asyncio.gather(model.sample(ask("a")), model.sample(ask("b"), lambda delta: None))
    assert (model.cancelled, model.peak) == (2, 2)

    def stop(delta: Delta) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        await ScriptedModel("a").sample(ask("a"), stop)


async def test_latency_is_the_time_a_call_takes() -> None:
    for listener in (None, lambda delta: None):
        completion = await ScriptedModel("a long answer", latency=0.05).sample(ask("a"), listener)
        assert 0.04 <= completion.usage.seconds < 1.0
