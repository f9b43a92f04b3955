"""Code within one line of thought: it is run where it is written, what it prints is put in, and nothing of that is
learnt from."""

import json
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel, decode, encode
from maieutic.recipes.export import export
from maieutic.tasks.task import Task
from maieutic.tools.tool import Session, tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion
from tests.conftest import Ask

CODE = "I compute.\n```python\nprint(4 + 3)\n```\n"
TAGS = "<think>I compute. <python>4 + 3</python>"
ran: list[str] = []


@tool
async def python(code: str, session: Session) -> str:
    """Run Python code."""
    ran.append(code)
    return "7" if "4 + 3" in code else "Answer: 8"


@pytest.fixture(autouse=True)
def fresh() -> None:
    ran.clear()


def the_run(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        (summary,) = reader.runs()
        return reader.run(summary.run_id)


async def play(ask: Ask, script: Any, **settings: Any) -> tuple[Any, ScriptedModel]:
    model = ScriptedModel(script)
    return await ask(model, "code_interpreter", tools=[python], graph_settings=settings), model


@pytest.mark.parametrize(
    ("grammar", "code", "before", "after"),
    [
        ("fence", CODE, "Code Execution Results:\n```output\n", "\n```"),
        ("artist", TAGS, "<output>\n", "\n</output>"),
    ],
)
async def test_what_code_prints_is_put_in_behind_it(ask: Ask, grammar: str, code: str, before: str, after: str) -> None:
    result, model = await play(ask, [code, " It is 7.</think>\nAnswer: 7"], grammar=grammar)
    assert result.answer == "7" and len(ran) == 1
    sent = decode(model.requests[1].prompt_ids or ())
    assert sent.count(code.strip()) == 1 and f"{before}7{after}" in sent
    assert sent.index(code.strip()) < sent.index(before + "7")


async def test_a_stop_string_that_the_server_leaves_out_is_kept_with_its_tokens(ask: Ask, tmp_path: Path) -> None:
    """vLLM's text ends before the stop string, its token ids with it."""
    cut = Completion("Hm. <python>4 + 3", finish_reason="stop", token_ids=encode("Hm. <python>4 + 3</python>"))
    final = Completion("So <answer>7", finish_reason="stop", token_ids=encode("So <answer>7</answer>"))
    result, model = await play(ask, [cut, final], grammar="artist")
    assert (result.answer, ran) == ("7", ["4 + 3"])
    assert model.requests[0].sampling.stop == ("</python>", "</answer>")
    first = the_run(tmp_path).calls[0]
    assert first.completion and first.completion.prompt_token_ids and first.completion.token_ids
    sampled = first.completion.prompt_token_ids + first.completion.token_ids
    assert (model.requests[1].prompt_ids or ())[: len(sampled)] == sampled


async def test_rows_of_token_ids_are_trained_on_what_the_model_said_alone(ask: Ask, tmp_path: Path) -> None:
    cut = Completion("Hm. <python>4 + 3", finish_reason="stop", token_ids=encode("Hm. <python>4 + 3</python>"))
    model = ScriptedModel([cut, "So <answer>7</answer>"])
    task = Task(question="What is 4 + 3?", gold="7")
    await ask(model, "code_interpreter", task, tools=[python], graph_settings={"grammar": "artist"})
    report = export(tmp_path / "traces", "solved", "trl-sft", tmp_path / "rows.jsonl")
    (row,) = [json.loads(line) for line in report.out.read_text().splitlines()]
    trained = decode([label for label in row["labels"] if label >= 0])
    assert trained == "Hm. <python>4 + 3</python>So <answer>7</answer>"
    assert "<output>\n7\n</output>" in decode(row["input_ids"])


async def test_after_the_last_block_the_answer_is_forced(ask: Ask, tmp_path: Path) -> None:
    result, model = await play(ask, lambda request: CODE, max_calls=3)
    assert (len(ran), len(model.requests), result.answer) == (3, 4, None)
    assert "No code is run from here on" in decode(model.requests[-1].prompt_ids or ())
    assert [request.sampling.stop for request in model.requests] == [("\n```\n",)] * 3 + [()]
    gates = [event.fields["inputs"] for event in the_run(tmp_path).events_of("gate")]
    assert [(gate["calls"], gate["of"], gate["status"]) for gate in gates] == [(n, 3, "ok") for n in (1, 2, 3)]


async def test_five_blocks_at_most(ask: Ask) -> None:
    _, model = await play(ask, lambda request: CODE)
    assert (len(ran), len(model.requests)) == (5, 6)


async def test_a_turn_that_neither_acts_nor_answers_is_told_so_and_counts(ask: Ask, tmp_path: Path) -> None:
    result, model = await play(ask, ["Let me see.", CODE, "Answer: 7"], max_calls=2)
    assert (result.answer, len(ran)) == ("7", 1)
    assert "[Nothing was run." in decode(model.requests[1].prompt_ids or ())
    assert "No code is run" in decode(model.requests[2].prompt_ids or ())
    assert [event.fields["decision"] for event in the_run(tmp_path).events_of("gate")] == ["invalid", "run"]


async def test_what_a_tool_prints_is_no_answer(ask: Ask) -> None:
    model = ScriptedModel(["```python\nprint('Answer: 8')\n```", "Hm."])
    task = Task(question="What is 4 + 3?", gold="8")
    result = await ask(model, "code_interpreter", task, tools=[python], graph_settings={"max_calls": 1})
    assert result.answer is None and result.verdict.outcome == "unparsed"  # pyright: ignore[reportOptionalMemberAccess]


async def test_an_open_thought_is_closed_before_the_forced_answer(ask: Ask) -> None:
    _, model = await play(ask, [TAGS, "<answer>7</answer>"], grammar="artist", max_calls=1)
    assert decode(model.requests[1].prompt_ids or ()).endswith("</answer>.]\n\n</think>\n\n")


async def test_a_reply_that_was_cut_short_is_not_run(ask: Ask) -> None:
    cut = Completion("```python\nprint(4 +", finish_reason="length")
    result, model = await play(ask, [cut])
    assert (ran, result.answer, len(model.requests)) == ([], None, 1)


async def test_as_a_turn_of_the_user_where_a_model_can_not_go_on(ask: Ask) -> None:
    cut = Completion("Hm. <python>4 + 3", finish_reason="stop")
    _, model = await play(ask, [cut, "<answer>7</answer>"], grammar="artist", insertion="turn")
    request = model.requests[1]
    assert request.prompt_ids is None and not request.continue_final
    assert [m["content"] for m in request.messages[-2:]] == ["Hm. <python>4 + 3</python>", "<output>\n7\n</output>"]


async def test_code_in_a_thought_that_the_server_takes_apart_is_run(ask: Ask) -> None:
    """A reasoning parser puts the thought elsewhere; it goes on all the same."""
    thought = Completion(
        "", reasoning="Hm. <python>4 + 3", finish_reason="stop", token_ids=encode("Hm. <python>4 + 3</python>")
    )
    result, _ = await play(ask, [thought, " yes</think>\n<answer>7</answer>"], grammar="artist")
    assert (result.answer, ran) == ("7", ["4 + 3"])


async def test_without_python_nothing_starts(ask: Ask) -> None:
    with pytest.raises(UserError, match="needs the tool python"):
        await ask(ScriptedModel("Answer: 7"), "code_interpreter")


async def test_the_calls_are_one_line_of_thought_in_the_trace(ask: Ask, tmp_path: Path) -> None:
    await play(ask, [CODE, "Answer: 7"])
    run = the_run(tmp_path)
    (result,) = run.events_of("tool_result")
    assert result.fields["call_id"] == "c1" and json.loads(result.fields["arguments"]) == {"code": "print(4 + 3)"}
    (note,) = run.events_of("note")
    assert note.fields["resumed"] == "c1" and note.fields["addition"].strip().startswith("Code Execution Results:")
    assert [(parent.call_id, parent.type) for parent in run.calls[1].parents] == [("c1", "continuation")]
