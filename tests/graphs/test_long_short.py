"""Two models in turns: one thinks, the other concludes or hands back, and neither ever learns the gold answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.short_thinker import Reading, read_conclusion
from maieutic.errors import ModelError
from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import Result, open_runner
from maieutic.runner.replay import Recording
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import Parent, RunRecord
from maieutic.types import Completion, Request, Sampling
from tests.conftest import Ask

ANSWER = "<answer>\n4 + 3 = 7\nAnswer: 7\n</answer>"
BACK = "<answer>\nThe carry is missing.\n</rethink>"
TASK = Task(question="What is 4 + 3?", gold="7")


def record_of(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


def decisions(result: Result) -> list[str]:
    return [gate.fields["decision"] for gate in record_of(result).events_of("gate")]


def shown(request: Request) -> str:
    return str(request.messages[1]["content"])


async def play(ask: Ask, long: Any, short: Any, **settings: Any) -> tuple[Result, ScriptedModel, ScriptedModel]:
    thinks, concludes = ScriptedModel(long, name="large"), ScriptedModel(short, name="small")
    models = {"long-thinker": thinks}
    result = await ask(concludes, "long_short", TASK, models=models, graph_settings=settings)
    return result, thinks, concludes


async def test_one_model_thinks_and_the_other_answers(ask: Ask) -> None:
    result, long, short = await play(ask, "<think>\nI add.", ANSWER)
    assert (result.answer, len(long.requests), len(short.requests)) == ("7", 1, 1)
    run = record_of(result)
    assert [(call.model, call.role) for call in run.calls] == [("large", "long-thinker"), ("small", "short-thinker")]
    assert run.calls[1].parents == (Parent("c1", "continuation"),)
    assert "<think>\nI add.\n</think>" in shown(short.requests[0])
    sampling = long.requests[0].sampling
    assert (sampling.stop, sampling.max_tokens, sampling.temperature) == (("</think>",), 2048, 0.3)
    assert decisions(result) == ["answer"]


async def test_handed_back_the_long_thinker_reads_all_turns_and_thinks_on(ask: Ask) -> None:
    result, long, short = await play(ask, ["I add.", "With the carry."], [BACK, ANSWER])
    assert (result.answer, decisions(result)) == ("7", ["rethink", "answer"])
    first = "<think>\nI add.\n</think>\n\n<answer>\nThe carry is missing.\n</rethink>"
    assert shown(long.requests[1]).endswith(f"Work so far:\n{first}")
    assert f"{first}\n\n<think>\nWith the carry.\n</think>" in shown(short.requests[1])
    earlier, later = (shown(request).rpartition("</think>")[0] for request in short.requests)
    assert later.startswith(earlier)


async def test_turns_bound_it_and_the_last_one_asks_for_an_answer(ask: Ask) -> None:
    result, long, short = await play(ask, "Hm.", BACK, turns=3)
    assert (len(long.requests), len(short.requests), decisions(result)) == (3, 3, ["rethink"] * 3)
    assert ["Nobody thinks further" in shown(request) for request in short.requests] == [False, False, True]
    assert (result.answer, result.text, result.partial) == (None, "The carry is missing.", False)


async def test_a_reply_that_can_not_be_read_is_asked_for_anew_and_then_missing(ask: Ask) -> None:
    result, long, short = await play(ask, "Hm.", ["It is clear.", "Quite clear.", ANSWER])
    assert (result.answer, len(long.requests), len(short.requests)) == ("7", 2, 3)
    assert decisions(result) == ["missing", "answer"]
    assert "or, where the thoughts are not enough" in str(short.requests[1].messages[-1]["content"])


async def test_in_the_last_turn_nobody_is_offered_to_hand_back(ask: Ask) -> None:
    _, _, short = await play(ask, "Hm.", "It is clear.", turns=1)
    assert len(short.requests) == 2 and "</rethink>" not in str(short.requests[1].messages[-1]["content"])


async def test_an_answer_found_on_the_way_is_not_lost_for_none(ask: Ask) -> None:
    result, _, _ = await play(ask, "Hm.", ["<answer>Perhaps.\nAnswer: 7\n</rethink>", BACK], turns=2)
    assert (result.answer, decisions(result)) == ("7", ["rethink", "rethink"])


@pytest.mark.parametrize(
    ("said", "thought"),
    [
        (Completion("", reasoning="Apart."), "Apart."),
        (Completion("<think>\nIn marks.</think><answer>9</answer>"), "In marks."),
        (Completion("Cut off", finish_reason="length"), "Cut off"),
        (Completion("Said.", reasoning="Thought."), "Thought.\n\nSaid."),
    ],
)
async def test_a_thought_is_taken_from_where_the_server_puts_it(ask: Ask, said: Completion, thought: str) -> None:
    _, _, short = await play(ask, said, ANSWER)
    assert f"Work so far:\n<think>\n{thought}\n</think>\n\n" in shown(short.requests[0])


async def test_a_later_turn_that_fails_leaves_what_there_was(ask: Ask) -> None:
    long = ["Hm.", ModelError("gone")]
    result, _, _ = await play(ask, long, "<answer>Perhaps.\nAnswer: 7\n</rethink>")
    assert (result.answer, result.partial) == ("7", True)


async def test_a_conclusion_that_fails_leaves_the_thought(ask: Ask) -> None:
    result, _, _ = await play(ask, "I add.", ModelError("gone"))
    assert (result.answer, result.text, result.partial) == (None, "I add.", True)


async def test_the_gold_is_never_shown_and_never_asked(ask: Ask) -> None:
    task = Task(question="Which number?", gold="52817", answer_type="number")
    model = ScriptedModel({"You think for": "Hm.", "You write the answer": "<answer>Answer: 1</answer>"})
    result = await ask(model, "long_short", task)
    assert (result.outcome, len(model.requests)) == ("wrong", 2)  # a wrong answer ends it as a right one does
    assert not any("52817" in str(request.messages) for request in model.requests)


async def test_the_runs_limit_does_not_lift_that_of_a_turn(ask: Ask) -> None:
    for limit, asked in ((9000, 2048), (100, 100)):
        model = ScriptedModel({"You think for": "Hm.", "You write the answer": ANSWER})
        await ask(model, "long_short", TASK, sampling=Sampling(max_tokens=limit))
        assert [request.sampling.max_tokens for request in model.requests] == [asked, asked]


async def test_killed_between_turns_it_goes_on_to_the_same_end(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        if "You think for" in str(request.messages[0]["content"]):
            return f"Thought {request.sampling.seed}."
        return ANSWER if shown(request).count("<think>") == 3 else BACK

    async def run(model: ScriptedModel, folder: str, past: Recording | None = None) -> Result:
        async with open_runner("long_short", model=model, traces=tmp_path / folder) as runner:
            return await runner.start(TASK, seed=3, past=past).result()

    first, second = ScriptedModel(script), ScriptedModel(script)
    result = await run(first, "whole")
    record = record_of(result)
    resumed = await run(second, "again", Recording(replace(record, calls=record.calls[:3], finish=None)))
    assert (resumed.answer, resumed.text) == (result.answer, result.text) == ("7", "4 + 3 = 7\nAnswer: 7")
    assert (len(first.requests), len(second.requests)) == (6, 3)
    assert second.requests[-1].messages == first.requests[-1].messages


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (ANSWER, Reading("4 + 3 = 7\nAnswer: 7", "7", False)),
        ("<answer>7</answer>", Reading("7", "7", False)),
        (r"<answer>So it is \boxed{7}.</answer>", Reading(r"So it is \boxed{7}.", "7", False)),
        (BACK, Reading("The carry is missing.", None, True)),
        ("More, please.</rethink>", Reading("More, please.", None, True)),
        (f"{BACK}\nNo, it is clear:\n{ANSWER}", Reading("4 + 3 = 7\nAnswer: 7", "7", False)),
        (f"{ANSWER}\nOr not:\n{BACK}", Reading("The carry is missing.", None, True)),
        ("<think><answer>8</answer></think><answer>7</answer>", Reading("7", "7", False)),
        ("Answer: 7", Reading("Answer: 7", "7", False)),
        ("<answer></answer>", None),
        ("<answer>\nNo result\nin these lines.\n</answer>", None),
        ("<answer>cut off", None),
        ("", None),
    ],
)
def test_a_conclusion_is_read_by_the_mark_it_ends_with(text: str, read: Reading | None) -> None:
    assert read_conclusion(text) == read
