"""Going on with a thought: the three ways to make its prompt, and what the trace says of each."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from maieutic.context import Utterance
from maieutic.errors import ModelError
from maieutic.llm.in_box.model import InBoxModel
from maieutic.llm.profile import Profile, SamplingDefaults
from maieutic.llm.registry import Resolved
from maieutic.llm.scripted import MESSAGE_END, ScriptedModel, decode, encode
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.trace.record import Parent, RunRecord
from maieutic.types import Completion, Message, Request, Sampling
from tests.support.contexts import open_context
from tests.support.server import Answer, FakeServer

MESSAGES: tuple[Message, ...] = (
    {"role": "system", "content": "Solve."},
    {"role": "user", "content": "State the final answer to the following arithmetic problem: 4 + 3 - 2 ="},
)
Open = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    return partial(open_context, tmp_path / "traces")


@pytest.fixture
async def in_box() -> AsyncIterator[InBoxModel]:
    made = InBoxModel(threads=1)
    yield made
    await made.close()


def note_of(run: RunRecord, said: Utterance) -> dict[str, Any]:
    (fields,) = [e.fields for e in run.events_of("note") if e.fields["call_id"] == said.call_id]
    return {name: fields[name] for name in ("resumed", "how", "kept", "addition")}


async def test_thinking_longer_each_time(opened: Open, in_box: InBoxModel) -> None:
    """Iterative deepening: what had ended the turn is taken away, a word is put in, and the model goes on."""
    recorded: list[RunRecord] = []
    async with opened(in_box, recorded, Sampling(temperature=0.0)) as ctx:
        first = await ctx.sample("solver", MESSAGES)
        second = await ctx.resume("solver", first, "\n5 - 2 = ")
        third = await ctx.resume("solver", second, "\nAnswer: ")
    assert first.text == "4 + 3 = 7\n7 - 2 = 5\nAnswer: 5"
    assert second.text == first.text + "\n5 - 2 = " + second.completion.text
    assert second.completion.text.startswith("3")
    assert third.text == second.text + "\nAnswer: " + third.completion.text
    assert third.messages == (*MESSAGES, {"role": "assistant", "content": third.text})
    (run,) = recorded
    one, two, three = run.calls
    assert one.completion and one.completion.prompt_token_ids and one.completion.token_ids
    assert one.completion.token_ids[-1] == in_box.chat.end
    start = one.completion.prompt_token_ids + one.completion.token_ids[:-1]
    assert two.request.prompt_ids == start + await in_box.encode("\n5 - 2 = ")
    assert two.completion and two.completion.prompt_token_ids == two.request.prompt_ids
    assert two.request.messages[-1] == {"role": "assistant", "content": first.text + "\n5 - 2 = "}
    assert two.request.prompt_ids and three.request.prompt_ids
    assert three.request.prompt_ids[: len(two.request.prompt_ids)] == two.request.prompt_ids
    assert two.parents == (Parent(first.call_id, "continuation"),) and not two.gold_in_context
    kept = len(one.completion.token_ids or ()) - 1
    expected = {"resumed": first.call_id, "how": "tokens", "kept": kept, "addition": "\n5 - 2 = "}
    assert note_of(run, second) == expected


async def test_a_cut_thought_goes_on_as_if_it_had_not_gone_further(opened: Open, in_box: InBoxModel) -> None:
    async with opened(in_box, [], Sampling(temperature=0.0)) as ctx:
        first = await ctx.sample("solver", MESSAGES)
        again = await ctx.resume("solver", first, keep_tokens=5)
        none = await ctx.resume("solver", first, keep_tokens=0)
    assert again.before == "4 + 3 = 7" and again.text == none.text == first.text
    assert first.completion.token_ids is not None
    assert again.completion.token_ids == first.completion.token_ids[5:]


async def test_a_summary_of_others_is_put_in_where_a_thought_stands(opened: Open) -> None:
    """Learning from peers: a thought that ran into its length limit reads a summary and thinks on."""
    recorded: list[RunRecord] = []
    script = [Completion("I try 7", finish_reason="length"), "They say 5.", " so 5."]
    model = ScriptedModel(script)
    async with opened(model, recorded) as ctx:
        mine = await ctx.sample("solver", MESSAGES)
        summary = await ctx.sample("summarizer", ({"role": "user", "content": "Sum up."},))
        peers = (Parent(summary.call_id, "peer"),)
        on = await ctx.resume("solver", mine, f" (peers: {summary.text})", parents=peers)
    assert on.text == "I try 7 (peers: They say 5.) so 5."
    sent = model.requests[2].prompt_ids
    assert mine.completion.prompt_token_ids and mine.completion.token_ids
    assert sent == mine.completion.prompt_token_ids + mine.completion.token_ids + encode(" (peers: They say 5.)")
    (run,) = recorded
    assert run.calls[2].parents == (Parent("c1", "continuation"), Parent("c2", "peer"))
    assert note_of(run, on)["kept"] == len("I try 7")


async def test_another_model_goes_on_in_its_own_tokens(opened: Open, in_box: InBoxModel) -> None:
    """Speculative thinking: a larger model takes over in the middle of a smaller one's thought."""
    recorded: list[RunRecord] = []
    small = ScriptedModel(Completion("4 + 3 = 7\nHm, wait", finish_reason="length"))
    large = Resolved(in_box, Profile(kind="in-box"))
    async with opened(small, recorded, Sampling(temperature=0.0), large=large) as ctx:
        draft = await ctx.sample("small", MESSAGES)
        taken = await ctx.resume("large", draft, keep_tokens=len("4 + 3 = 7\n"))
        back = await ctx.resume("small", taken, " Sure?")
    assert taken.text == "4 + 3 = 7\n7 - 2 = 5\nAnswer: 5"
    (run,) = recorded
    whole = await in_box.encode(in_box.chat.prompt(MESSAGES) + "4 + 3 = 7\n")
    assert run.calls[1].request.prompt_ids == whole
    assert note_of(run, taken) == {"resumed": "c1", "how": "encoded", "kept": 10, "addition": ""}
    assert decode(run.calls[2].request.prompt_ids or ()).endswith("assistant\n" + taken.text + " Sure?")
    assert note_of(run, back)["how"] == "encoded"


async def test_a_thought_that_the_template_opens_stays_one_with_a_model_that_opens_it_itself(opened: Open) -> None:
    class Opens(ScriptedModel):
        """Its template begins every reply with a thought."""

        async def render(self, request: Request) -> tuple[int, ...]:
            return await super().render(request) + encode("<think>\n")

    plain, opens = ScriptedModel("on", name="plain"), Opens("on", name="opens")
    said = Completion("<think>\nhm", finish_reason="length")
    plain.script = said
    opens_said = Completion(
        "hm", finish_reason="length", prompt_token_ids=(*encode("?<think>\n"),), token_ids=(104, 109)
    )
    roles = {
        "plain": Resolved(plain, Profile(kind="scripted", replies="")),
        "opens": Resolved(opens, Profile(kind="scripted", replies="")),
    }
    async with opened(plain, [], **roles) as ctx:
        one = await ctx.sample("plain", MESSAGES)
        await ctx.resume("opens", one, "!")
        opens.script = opens_said
        two = await ctx.sample("opens", MESSAGES)
        await ctx.resume("plain", two, "!")
    assert decode(opens.requests[0].prompt_ids or ()).endswith("assistant\n<think>\nhm!")
    assert decode(plain.requests[1].prompt_ids or ()).endswith("assistant\n<think>\nhm!")


async def test_a_stop_string_does_not_stay_and_the_token_it_began_in_is_encoded_anew(opened: Open) -> None:
    recorded: list[RunRecord] = []
    ids = encode("I think 7</think>")
    model = ScriptedModel([Completion("I think 7", finish_reason="stop", token_ids=ids), " or 5"])
    async with opened(model, recorded) as ctx:
        first = await ctx.sample("solver", MESSAGES, sampling=Sampling(stop=("</think>",)))
        second = await ctx.resume("solver", first, " Wait,")
    assert second.text == "I think 7 Wait, or 5"
    assert (model.requests[1].prompt_ids or ())[-15:] == encode("I think 7 Wait,")
    assert note_of(recorded[0], second)["kept"] == 9


async def test_a_server_without_tokens_gets_an_open_message(opened: Open) -> None:
    recorded: list[RunRecord] = []
    with FakeServer([Answer("4 + 3"), Answer(" = 7"), Answer(" = 8")]) as server:
        profile = Profile(kind="openai-compatible", model="m")
        model = OpenAICompatibleModel("served", profile, server.url)
        async with opened(ScriptedModel(""), recorded, solver=Resolved(model, profile)) as ctx:
            first = await ctx.sample("solver", MESSAGES)
            second = await ctx.resume("solver", first, " - 0")
            third = await ctx.resume("solver", second)
            with pytest.raises(ModelError, match="can only be cut where its token ids are known"):
                await ctx.resume("solver", first, keep_tokens=1)
        await model.close()
    assert second.text == "4 + 3 - 0 = 7" and third.text == "4 + 3 - 0 = 7 = 8"
    assert server.requests[1]["continue_final_message"] is True
    assert server.requests[2]["messages"] == [*MESSAGES, {"role": "assistant", "content": "4 + 3 - 0 = 7"}]
    assert note_of(recorded[0], second) == {"resumed": "c1", "how": "chat", "kept": None, "addition": " - 0"}
    assert recorded[0].calls[1].request.prompt_ids is None


async def test_a_vllm_server_is_sent_the_ids(opened: Open) -> None:
    with FakeServer([Answer("4 + 3#"), Answer(" = 7")]) as server:  # its tokens are bytes; # stands for an end of turn
        profile = Profile(kind="vllm", model="m")
        model = OpenAICompatibleModel("served", profile, server.url)
        async with opened(ScriptedModel(""), [], solver=Resolved(model, profile)) as ctx:
            first = await ctx.sample("solver", MESSAGES)
            second = await ctx.resume("solver", first, "!")
        await model.close()
    assert second.text == "4 + 3! = 7"
    assert bytes(server.requests[1]["prompt"]).endswith(b"4 + 3!")


async def test_an_end_of_turn_token_of_a_script_is_dropped_and_a_cut_reply_has_none(opened: Open) -> None:
    model = ScriptedModel(["7", "!", Completion("8", finish_reason="length"), "!"])
    async with opened(model, []) as ctx:
        for _ in range(2):
            await ctx.resume("solver", await ctx.sample("solver", MESSAGES))
    assert [MESSAGE_END in (model.requests[i].prompt_ids or ())[-2:] for i in (1, 3)] == [False, False]


async def test_an_open_message_that_an_agent_sends_is_one_turn(opened: Open) -> None:
    async with opened(ScriptedModel(" = 7"), []) as ctx:
        said = await ctx.sample("solver", (*MESSAGES, {"role": "assistant", "content": "4 + 3"}), continue_final=True)
    assert said.text == "4 + 3 = 7" and said.completion.text == " = 7"
    assert said.messages == (*MESSAGES, {"role": "assistant", "content": "4 + 3 = 7"})


async def test_how_sure_a_model_is_of_its_options(opened: Open, in_box: InBoxModel) -> None:
    recorded: list[RunRecord] = []
    async with opened(in_box, recorded, Sampling(temperature=0.0, max_tokens=200, logprobs=False)) as ctx:
        found = await ctx.ask_options("solver", MESSAGES, ("4", "7", "nothing"))
        assert await ctx.ask_options("solver", MESSAGES, ("Zeus", "Hera")) is None
        assert await ctx.ask_options("solver", ({"role": "user", "content": "Who are you?"},), ("A", "B")) is None
    assert found is not None and sum(found.values()) == pytest.approx(1.0)
    assert found["4"] > 0.9 and found["nothing"] == 0.0
    call = recorded[0].calls[0]
    assert (call.request.sampling.max_tokens, call.request.sampling.temperature) == (1, 1.0)
    assert call.completion and call.completion.top_logprobs and len(call.completion.top_logprobs) == 1
    assert recorded[0].events_of("note")[0].fields["options"] == pytest.approx(found)


async def test_a_stop_string_that_the_reply_shows_does_not_stay_either(opened: Open) -> None:
    ids = encode("I think 7</think>")
    model = ScriptedModel([Completion("I think 7</think>", finish_reason="stop", token_ids=ids), " or 5"])
    shown = Sampling(stop=("</think>",), extra={"include_stop_str_in_output": True})
    async with opened(model, []) as ctx:
        second = await ctx.resume("solver", await ctx.sample("solver", MESSAGES, sampling=shown), " Wait,")
    assert second.text == "I think 7 Wait, or 5"


async def test_another_models_template_is_applied_with_that_models_settings(opened: Open) -> None:
    rendered: list[Request] = []

    class Renders(ScriptedModel):
        async def render(self, request: Request) -> tuple[int, ...]:
            rendered.append(request)
            return await super().render(request)

    plain_, other = ScriptedModel("7", name="plain"), Renders("8", name="other")
    quiet = {"chat_template_kwargs": {"enable_thinking": False}}
    profile = Profile(kind="scripted", replies="", sampling=SamplingDefaults(extra=quiet))
    async with opened(plain_, [], other=Resolved(other, profile)) as ctx:
        await ctx.resume("other", await ctx.sample("solver", MESSAGES))
    assert [request.sampling.extra for request in rendered] == [quiet]


async def test_a_piece_is_bounded_whatever_the_run_asks_for(opened: Open) -> None:
    model = ScriptedModel("Hm.")
    for asked, most, sent in [(None, 5, 5), (100, 5, 5), (3, 5, 3), (100, None, 100)]:
        async with opened(model, [], Sampling(max_tokens=asked)) as ctx:
            said = await ctx.sample("solver", MESSAGES, most=most)
            await ctx.resume("solver", said, most=most)
        assert [r.sampling.max_tokens for r in model.requests[-2:]] == [sent, sent]


async def test_a_stop_string_is_told_from_the_end_of_a_turn(opened: Open) -> None:
    """Both end a reply with the finish reason "stop", and a server leaves the stop string out of the text."""
    stopped = Completion("One", finish_reason="stop", token_ids=encode("One.\n\n"))
    ended = Completion("One.", finish_reason="stop", token_ids=(*encode("One."), MESSAGE_END))
    named = Completion("One.", finish_reason="stop", token_ids=encode("One."), extra={"choice": {"stop_reason": ";"}})
    cut = Completion("One;", finish_reason="length", token_ids=encode("One;"))
    sampling = Sampling(stop=("\n\n", ";"))
    async with opened(ScriptedModel([stopped, ended, named, cut]), []) as ctx:
        said = [await ctx.sample("solver", MESSAGES, sampling=sampling) for _ in range(4)]
        assert [await ctx.stopped_at(one) for one in said] == ["\n\n", None, ";", None]


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("One.\n\nTwo.\n\nThr", "One.\n\nTwo.\n\n"),
        ("Ünë.\n\nZw", "Ünë.\n\n"),  # letters of several tokens
        ("All of it.\n\n", "All of it.\n\n"),
        ("One line", None),
        ("\n\nOne line", None),
    ],
)
async def test_tokens_are_counted_up_to_the_last_blank_line(opened: Open, reply: str, kept: str | None) -> None:
    async with opened(ScriptedModel([Completion(reply, finish_reason="length"), "!"]), []) as ctx:
        said = await ctx.sample("solver", MESSAGES)
        keep = await ctx.tokens_through(said, "\n\n")
        assert keep == (None if kept is None else len(encode(kept)))
        resumed = await ctx.resume("solver", said, keep_tokens=keep)
    assert resumed.text == (kept or reply) + "!"


async def test_where_tokens_are_not_at_hand_they_are_not_counted(opened: Open) -> None:
    profile = Profile(kind="openai-compatible", model="m")
    async with opened(ScriptedModel("One.\n\nTwo"), [], profile=profile) as ctx:
        assert await ctx.tokens_through(await ctx.sample("solver", MESSAGES), "\n\n") is None
