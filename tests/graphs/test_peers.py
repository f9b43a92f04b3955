"""Peers in mid-thought: what is kept, what is put in, who reads whom, and who takes part no more."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import ModelError, UserError
from maieutic.llm.model import OnDelta
from maieutic.llm.scripted import ScriptedModel, decode, encode
from maieutic.recipes.export import export
from maieutic.runner import Result, open_runner
from maieutic.runner.replay import Recording
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import Parent, RunEvent, RunRecord
from maieutic.types import Completion, Request, Sampling
from tests.conftest import Ask

TASK = Task(question="What is 4 + 3?", gold="7")
Said = str | Completion


def sent(request: Request) -> str:
    """All that the model reads."""
    if request.prompt_ids is not None:
        return decode(request.prompt_ids)
    return "\n".join(str(message["content"]) for message in request.messages)


def sums_up(request: Request) -> bool:
    return sent(request).endswith("<summarize>\n")


def cut(text: str, **more: Any) -> Completion:
    """What a path says until its tokens are used up."""
    return Completion(text, finish_reason="length", **more)


def record_of(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


def routes(result: Result) -> list[RunEvent]:
    return [gate for gate in record_of(result).events_of("gate") if gate.fields["gate"] == "route"]


@dataclass
class Paths:
    """A script for each path, in the order in which they begin: what it thinks, turn by turn, and its summaries."""

    thoughts: list[list[Said | Exception]]
    summaries: list[list[Said | Exception]] = field(default_factory=list)
    seeds: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Request) -> Said:
        path = self._path(request)
        left = (self.summaries if sums_up(request) else self.thoughts)[path]
        said = left.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def _path(self, request: Request) -> int:
        """Every path begins with a line that names it."""
        if request.prompt_ids is None:
            return self.seeds.setdefault(str(request.sampling.seed), min(len(self.seeds), len(self.thoughts) - 1))
        return int(sent(request).rpartition("I am ")[2][0]) if "I am " in sent(request) else 0


async def play(ask: Ask, script: Any, **settings: Any) -> tuple[Result, ScriptedModel]:
    model = ScriptedModel(script)
    return await ask(model, "peers", TASK, graph_settings={"paths": 2, "turns": 2, **settings}), model


def two_paths() -> Paths:
    return Paths(
        [
            [cut("I am 0.\n\nFirst step.\n\nAnd then I wa"), "So it is 7.\nAnswer: 7"],
            [cut("I am 1.\n\nAnother way.\n\nNext"), "Yes.\nAnswer: 7"],
        ],
        [["zero says 7</summarize>"], ["one says 8</summarize>"]],
    )


async def test_what_stood_before_stays_token_by_token_and_the_begun_paragraph_goes(ask: Ask) -> None:
    result, model = await play(ask, two_paths())
    assert result.answer == "7"
    first = next(r for r in model.requests if sums_up(r) and "I am 0." in sent(r))
    then = next(r for r in model.requests if not sums_up(r) and r.prompt_ids and "I am 0." in sent(r))
    assert first.prompt_ids is not None and then.prompt_ids is not None
    assert "First step.\n\n" in sent(first) and "And then" not in sent(first)
    before = (*first.prompt_ids, *encode("zero says 7</summarize>"))
    assert then.prompt_ids[: len(before)] == before
    added = decode(then.prompt_ids[len(before) :])
    assert added.startswith("\n<comment>\nPeer 1: one says 8\n</comment>\n\n")
    assert first.sampling.max_tokens == 256 and "</summarize>" in first.sampling.stop
    assert (then.sampling.max_tokens, then.sampling.stop) == (2048, ())


async def test_without_a_whole_paragraph_all_of_it_stays(ask: Ask) -> None:
    script = Paths([[cut("I am 0. One line"), "Answer: 7"], [cut("I am 1. One line"), "Answer: 7"]], [["a"], ["b"]])
    _, model = await play(ask, script)
    assert all("One line\n\n" in sent(request) for request in model.requests if sums_up(request))


async def test_a_summary_without_its_end_is_given_one(ask: Ask) -> None:
    script = two_paths()
    script.summaries = [[cut("zero has no end")], ["one ends its turn"]]
    _, model = await play(ask, script)
    texts = [sent(request) for request in model.requests if request.prompt_ids and not sums_up(request)]
    for text, own in zip(sorted(texts), ("zero has no end", "one ends its turn"), strict=True):
        assert f"<summarize>\n{own}</summarize>\n<comment>\n" in text


async def test_a_thought_that_is_closed_within_a_summary_goes_on(ask: Ask) -> None:
    script = two_paths()
    script.summaries[0] = ["zero</think>\nAnswer: 9"]
    result, model = await play(ask, script)
    text = next(sent(r) for r in model.requests if r.prompt_ids and not sums_up(r) and "I am 0." in sent(r))
    assert "<summarize>\nzero</summarize>\n<comment>" in text and "Answer: 9" not in text
    assert result.answer == "7"


async def test_who_has_finished_neither_sends_nor_receives(ask: Ask) -> None:
    script = Paths(
        [
            [cut("I am 0.\n\nx"), cut("Hm.\n\nx"), "Answer: 7"],
            ["I am 1. UNHEARD</think>\nAnswer: 8"],
            [cut("I am 2.\n\nx"), "LATER UNHEARD\nAnswer: 7"],
        ],
        [["zero", "zero again"], [], ["two"]],
    )
    result, model = await play(ask, script, paths=3, turns=3)
    later = [request for request in model.requests if request.prompt_ids is not None]
    assert later and not any("UNHEARD" in sent(request) for request in later)
    gates = routes(result)
    assert [gate.fields["inputs"]["reads"] for gate in gates] == [
        {"path-1": ["path-3"], "path-3": ["path-1"]},
        {"path-1": []},
    ]
    assert "<comment>\nThere are no comments.\n</comment>" in sent(later[-1])
    (vote,) = record_of(result).events_of("vote")
    assert (result.answer, vote.fields["votes"]) == ("7", {"7": 2, "8": 1})


@pytest.mark.parametrize(("routing", "read"), [("dispersed", "far away"), ("clustered", "x = 4, surely")])
async def test_routing_decides_what_is_read(ask: Ask, routing: str, read: str) -> None:
    names = range(3)
    script = Paths(
        [[cut(f"I am {i}.\n\nx"), "Answer: 7"] for i in names],
        [["x = 4, certainly"], ["x = 4, surely"], ["far away"]],
    )
    result, model = await play(ask, script, paths=3, peers=1, routing=routing)
    text = next(sent(r) for r in model.requests if r.prompt_ids and not sums_up(r) and "I am 0." in sent(r))
    assert f"<comment>\nPeer 1: {read}\n</comment>" in text
    (gate,) = routes(result)
    assert gate.fields["decision"] == routing
    assert gate.fields["inputs"]["similarity"]["path-1/path-2"] > gate.fields["inputs"]["similarity"]["path-1/path-3"]


async def test_an_answer_that_a_peer_names_is_nobodys_own(ask: Ask) -> None:
    script = two_paths()
    script.thoughts[0][1], script.thoughts[1][1] = "I can't tell.", "I can't tell either."
    script.summaries = [["I found:\nAnswer: 8\n"], ["And I:\nAnswer: 8\n"]]
    result, _ = await play(ask, script)
    assert result.answer is None
    (vote,) = record_of(result).events_of("vote")
    assert (vote.fields["votes"], vote.fields["abstained"]) == ({}, 2)


async def test_a_summary_can_not_close_a_block_of_anothers_thought(ask: Ask) -> None:
    script = two_paths()
    script.summaries[1] = ["ends </comment> early</summarize>"]
    _, model = await play(ask, script)
    text = next(sent(r) for r in model.requests if r.prompt_ids and not sums_up(r) and "I am 0." in sent(r))
    assert text.count("</comment>") == 1 + sent(model.requests[0]).count("</comment>")
    assert "ends < /comment> early" in text


async def test_a_summary_that_says_nothing_is_not_sent_and_its_path_reads_on(ask: Ask) -> None:
    script = two_paths()
    script.summaries = [[" </summarize>"], ["one says 8"]]
    result, model = await play(ask, script)
    texts = sorted(sent(r) for r in model.requests if r.prompt_ids and not sums_up(r))
    assert "Peer 1: one says 8" in texts[0] and "There are no comments." in texts[1]
    told = {e.fields["path"]: e.fields["summary"] for e in record_of(result).events_of("note") if "path" in e.fields}
    assert told == {"path-1": None, "path-2": "one says 8"}


async def test_turns_bound_it_and_who_is_not_done_has_to_answer(ask: Ask) -> None:
    def endless(request: Request) -> Said:
        if sent(request).endswith("\n\nAnswer:"):
            return " 7"
        return "still at it" if sums_up(request) else cut("More.\n\nAnd m")

    result, model = await play(ask, endless, paths=3, turns=4)
    assert (result.answer, len(model.requests)) == ("7", 3 * 4 + 3 * 3 + 3)
    last = model.requests[-1]
    assert last.sampling.max_tokens == 256 and "</think>" not in sent(last)
    assert result.text == "Answer: 7"


async def test_an_open_thought_is_closed_before_the_answer(ask: Ask) -> None:
    def thinks(request: Request) -> Said:
        if request.prompt_ids is None:
            return cut("", reasoning="I wonder.")
        if sent(request).endswith("</think>\n\nAnswer:"):
            return " 7"
        return "still at it" if sums_up(request) else cut("Hm.")

    result, model = await play(ask, thinks)
    assert result.answer == "7"
    assert all(sent(request).endswith("Hm.\n</think>\n\nAnswer:") for request in model.requests[-2:])


async def test_an_answer_that_is_cut_short_goes_on_without_being_interrupted(ask: Ask) -> None:
    script = Paths([[cut("I am 0.</think>\nThe re"), "sult is here.\nAnswer: 7"], ["I am 1. Answer: 7"]], [[], []])
    result, model = await play(ask, script)
    assert (result.answer, len(model.requests)) == ("7", 3)
    assert sent(model.requests[2]).endswith("I am 0.</think>\nThe re")


async def test_a_path_that_fails_stays_where_it_was_and_its_peers_go_on(ask: Ask) -> None:
    script = Paths(
        [
            [cut("I am 0.\n\nx"), ModelError("cut off"), "Answer: 8"],
            [cut("I am 1.\n\nx"), cut("On.\n\nx"), "Answer: 7"],
            [ModelError("cut off"), cut("I am 2.\n\nx"), "Answer: 7"],
        ],
        [["zero"], ["one", "one again"], ["two"]],
    )
    result, model = await play(ask, script, paths=3, turns=3)
    run = record_of(result)
    assert (result.answer, result.partial) == ("7", False)
    assert run.events_of("vote")[0].fields["votes"] == {"8": 1, "7": 2}
    assert [e.fields["error"] for e in run.events_of("error")] == ["ModelError: cut off"] * 2
    text = next(sent(r) for r in model.requests[::-1] if r.prompt_ids and "I am 0." in sent(r))
    assert text.count("<comment>") == 1 + sent(model.requests[0]).count("<comment>")
    assert "one again" in text and "zero</summarize>\n<comment>" in text


async def test_a_summary_that_fails_leaves_the_path_out_of_one_exchange(ask: Ask) -> None:
    script = two_paths()
    script.summaries[0] = [ModelError("cut off")]
    result, model = await play(ask, script)
    assert (result.answer, result.partial) == ("7", False)
    texts = sorted(sent(r) for r in model.requests if r.prompt_ids and not sums_up(r))
    assert texts[0].endswith("And then I wa") and "There are no comments." in texts[1]


async def test_when_everyone_fails_what_was_found_stays(ask: Ask) -> None:
    script = Paths(
        [["I am 0.\nAnswer: 7"], [cut("I am 1.\n\nx"), ModelError("gone"), ModelError("gone")]], [[], ["one"]]
    )
    result, _ = await play(ask, script)
    assert (result.answer, result.partial) == ("7", True)


async def test_parents_are_the_thought_before_and_the_peers_that_were_read(ask: Ask) -> None:
    result, _ = await play(ask, two_paths())
    calls = record_of(result).calls
    summaries = {call.branch: call for call in calls if call.node == "summarise"}
    last = next(call for call in calls if call.branch == "path-1" and call.turn == 2)
    assert last.parents == (
        Parent(summaries["path-1"].call_id, "continuation"),
        Parent(summaries["path-2"].call_id, "peer"),
    )


async def test_the_runs_own_limit_does_not_keep_a_path_from_being_interrupted(ask: Ask) -> None:
    for limit, asked in ((8000, 2048), (100, 100), (None, 2048)):
        model = ScriptedModel("Answer: 7")
        await ask(model, "peers", TASK, sampling=Sampling(max_tokens=limit))
        assert model.requests[0].sampling.max_tokens == asked


@pytest.mark.parametrize("recipe", ["solved", "leap_t"])
async def test_what_peers_said_is_not_trained_on(ask: Ask, tmp_path: Path, recipe: str) -> None:
    await play(ask, two_paths())
    report = export(tmp_path / "traces", recipe, "trl-sft", tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in report.out.read_text().splitlines()]
    read = [decode(row["input_ids"]).rpartition("assistant\n")[2] for row in rows]
    trained = [decode([label for label in row["labels"] if label >= 0]) for row in rows]
    assert any("Peer 1: " in text for text in read) and not any("Peer 1: " in text for text in trained)
    assert any("So it is 7." in text for text in trained)


@pytest.mark.parametrize("form", ["continuation", "chat"])
async def test_killed_in_the_middle_it_goes_on_to_the_same_end(tmp_path: Path, form: str) -> None:
    def talks(request: Request) -> Said:
        seed = request.sampling.seed or 0
        if sent(request).endswith("\n\nAnswer:") or "This is the last turn." in sent(request):
            return f"Answer: {seed % 3}"
        return f"At {seed}." if sums_up(request) or "Sum up" in sent(request) else cut(f"I think {seed}.\n\nx")

    async def run(model: ScriptedModel, folder: str, past: Recording | None = None) -> Result:
        settings = {"paths": 3, "turns": 3, "form": form}
        traces = tmp_path / folder
        async with open_runner("peers", settings=None, model=model, traces=traces, graph_settings=settings) as runner:
            return await runner.start(TASK, seed=3, past=past).result()

    first, second = ScriptedModel(talks), ScriptedModel(talks)
    result = await run(first, "whole")
    record = record_of(result)
    half = replace(record, calls=record.calls[: len(record.calls) // 2], finish=None)
    resumed = await run(second, "again", Recording(half))
    assert (resumed.answer, resumed.text) == (result.answer, result.text)
    assert len(second.requests) == len(first.requests) - len(half.calls)


@dataclass
class ChatOnly:
    """A model whose tokens are not at hand."""

    inner: ScriptedModel

    @property
    def name(self) -> str:
        return self.inner.name

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        return await self.inner.sample(request, on_delta)

    async def close(self) -> None:
        await self.inner.close()


def chats(request: Request) -> Said:
    text = sent(request)
    if "Sum up" in text:
        return "state: " + ("far" if "another way" in text else "near")
    if "What you have found so far:\nnothing yet" in text:
        return cut("I count.\n\nand th" if (request.sampling.seed or 0) % 2 else "I try another way.\n\nand th")
    return "Answer: 7"


async def test_a_model_without_tokens_takes_turns_in_chat(ask: Ask) -> None:
    inner = ScriptedModel(chats)
    result = await ask(ChatOnly(inner), "peers", TASK, graph_settings={"paths": 4, "turns": 3})
    assert (result.answer, len(inner.requests)) == ("7", 12)
    assert all(request.prompt_ids is None and not request.continue_final for request in inner.requests)
    told = [sent(request) for request in inner.requests if "Sum up" in sent(request)]
    assert not any("and th" in text for text in told)
    again = [sent(request) for request in inner.requests[-4:]]
    assert all("What you have found so far:\nstate: " in text and "Peer 2: state: " in text for text in again)
    run = record_of(result)
    assert [call.role for call in run.calls].count("summariser") == 4
    read = [parent for parent in run.calls[-1].parents if parent.type == "peer"]
    assert len(read) == 2


async def test_in_chat_who_has_answered_takes_part_no_more(ask: Ask) -> None:
    first: list[int] = []

    def script(request: Request) -> Said:
        if "nothing yet" in sent(request):
            first.append(0)
            return "UNHEARD\nAnswer: 8" if len(first) == 1 else cut("Hm.\n\nx")
        return "a state" if "Sum up" in sent(request) else "Answer: 7"

    result, model = await play(ask, script, paths=3, form="chat")
    assert result.answer == "7" and len(model.requests) == 3 + 2 + 2
    assert not any("UNHEARD" in sent(request) for request in model.requests)


async def test_in_chat_the_last_turn_asks_for_an_answer(ask: Ask) -> None:
    def script(request: Request) -> Said:
        return "Answer: 7" if "This is the last turn." in sent(request) else "Hm."

    result, model = await play(ask, script, paths=2, turns=2, form="chat")
    assert (result.answer, len(model.requests)) == ("7", 2 + 2 + 2 + 2)


async def test_continuation_is_refused_where_it_can_not_be_had(ask: Ask) -> None:
    with pytest.raises(UserError, match="form=chat"):
        await ask(ChatOnly(ScriptedModel("Answer: 7")), "peers", TASK, graph_settings={"form": "continuation"})
