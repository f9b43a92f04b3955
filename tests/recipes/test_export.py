"""Rows, their card, and what happens when there are none."""

import json
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import TraceError, UnknownName, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool, decode
from maieutic.recipes.export import export
from maieutic.recipes.recipe import recipe, row_format
from maieutic.recipes.solved import solved
from maieutic.tasks.task import Task
from maieutic.tools.registry import register_tool
from maieutic.trace.segment import list_segments, load
from maieutic.trace.writer import TraceStore
from maieutic.types import Message, ToolCall, ToolSpec
from tests.conftest import Ask
from tests.trace.builders import call, header

QUESTION: Message = {"role": "user", "content": "2+2?"}


def record(root: Path, *runs: list[Any], outcome: str = "correct") -> Path:
    with TraceStore(root) as store:
        for number, calls in enumerate(runs):
            run = store.open_run(header(f"r{number}"))
            for one in calls:
                run.call(one)
            run.finish(answer="4", answer_call=calls[-1].call_id, outcome=outcome, score=1.0, partial=False)
    return root


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def two_turns(run: str, second_prompt: tuple[int, ...], **fields: Any) -> list[Any]:
    later: tuple[Message, ...] = (QUESTION, {"role": "assistant", "content": "hm"}, {"role": "user", "content": "so?"})
    return [
        call(run, "a", (1, 2, 3), (4, 5), text="hm"),
        call(run, "b", second_prompt, (8, 9), messages=later, after="a", **fields),
    ]


def test_a_row_labels_exactly_what_was_sampled(tmp_path: Path) -> None:
    root = record(tmp_path / "traces", two_turns("r0", (1, 2, 3, 4, 5, 6, 7)))
    report = export(root, "solved", "trl-sft", tmp_path / "rows.jsonl")
    assert rows_of(report.out) == [
        {"input_ids": [1, 2, 3, 4, 5, 6, 7, 8, 9], "labels": [-100, -100, -100, 4, 5, -100, -100, 8, 9]}
    ]
    assert dict(report.tally.counts) == {
        "calls_not_on_the_path": 0,
        "prefix_breaks": 0,
        "tokens": 9,
        "trained_tokens": 4,
    }


def test_where_the_prefix_breaks_a_new_row_begins(tmp_path: Path) -> None:
    root = record(tmp_path / "traces", two_turns("r0", (1, 2, 3, 5, 6, 7)))
    report = export(root, "solved", "trl-sft", tmp_path / "rows.jsonl")
    assert rows_of(report.out) == [
        {"input_ids": [1, 2, 3, 4, 5], "labels": [-100, -100, -100, 4, 5]},
        {"input_ids": [1, 2, 3, 5, 6, 7, 8, 9], "labels": [-100] * 6 + [8, 9]},
    ]
    assert report.tally.counts["prefix_breaks"] == 1


def test_without_ids_each_call_is_a_pair(tmp_path: Path) -> None:
    tool = ToolSpec("python", "Runs code.", {"type": "object", "properties": {"code": {"type": "string"}}})
    asked = ToolCall("t1", "python", '{"code": "2+2"}')
    first = call(
        "r0",
        "a",
        None,
        None,
        text="",
        tools=(tool,),
        tool_calls=(asked,),
        reasoning="Use it.",
        finish_reason="tool_calls",
    )
    assert first.completion
    later: tuple[Message, ...] = (
        QUESTION,
        first.completion.message(),
        {"role": "tool", "tool_call_id": "t1", "content": "4"},
    )
    calls = [first, call("r0", "b", None, None, messages=later, after="a", tools=(tool,))]
    export(record(tmp_path / "traces", calls), "solved", "trl-sft", tmp_path / "rows.jsonl")
    one, two = rows_of(tmp_path / "rows.jsonl")
    said = {
        "role": "assistant",
        "content": "",
        "reasoning_content": "Use it.",
        "tool_calls": [{"type": "function", "function": {"name": "python", "arguments": {"code": "2+2"}}}],
    }
    assert (one["prompt"], one["completion"]) == ([QUESTION], [said])
    assert two["prompt"] == [QUESTION, said, later[2]]
    assert two["completion"] == [{"role": "assistant", "content": "4"}]
    assert json.loads(one["tools"])[0]["function"]["parameters"] == tool.parameters


def test_arguments_that_are_no_json_are_no_row(tmp_path: Path) -> None:
    bad = call("r0", "a", None, None, tool_calls=(ToolCall("t1", "python", "{code"),), finish_reason="tool_calls")
    root = record(tmp_path / "traces", [bad])
    with pytest.raises(UserError, match="1 kept without a row"):
        export(root, "solved", "trl-sft", tmp_path / "rows.jsonl")


def test_a_file_has_one_shape(tmp_path: Path) -> None:
    with_ids, without = [call("r0", "a")], [call("r1", "a", None, None)]
    report = export(record(tmp_path / "t1", with_ids, without), "solved", "trl-sft", tmp_path / "1.jsonl")
    assert [set(row) for row in rows_of(report.out)] == [{"input_ids", "labels"}]
    assert dict(report.tally.dropped) == {"no token ids, unlike the first run": 1} and report.tally.kept == 1
    without, with_ids = [call("r0", "a", None, None)], [call("r1", "a", text="four")]
    report = export(record(tmp_path / "t2", without, with_ids), "solved", "trl-sft", tmp_path / "2.jsonl")
    assert [set(row) for row in rows_of(report.out)] == [{"prompt", "completion"}] * 2


def test_the_same_traces_give_the_same_bytes_and_a_row_is_written_once(tmp_path: Path) -> None:
    root = record(tmp_path / "traces", [call("r0", "a")], [call("r1", "a")], [call("r2", "a", sampled=(6,))])
    out = tmp_path / "rows.jsonl"
    report = export([root, root], "solved", "trl-sft", out)
    files = {path.name: path.read_bytes() for path in sorted(tmp_path.glob("rows*"))}
    assert list(files) == ["rows.jsonl", "rows.jsonl.card.json", "rows.jsonl.card.md"]
    assert (report.rows, report.duplicates, report.tally.seen) == (2, 4, 6)
    export([root, root], "solved", "trl-sft", out)
    assert {path.name: path.read_bytes() for path in sorted(tmp_path.glob("rows*"))} == files


def test_the_card_says_where_the_rows_came_from(tmp_path: Path) -> None:
    root = record(tmp_path / "traces", [call("r0", "a")])
    report = export([root], "solved", "trl-sft", tmp_path / "rows.jsonl")
    card = json.loads(report.card.read_text())
    assert card["command"] == f"maieutic export {root} --recipe solved --format trl-sft --out {report.out}"
    assert (card["trace_format"], card["rows"], card["runs_kept"]) == (1, 1, 1)
    assert card["calls_by_weights"] == {"w1": 1}
    assert "| rows | 1 |" in report.card.with_suffix(".md").read_text()


def nothing_but(root: Path, *names: str) -> bool:
    return sorted(path.name for path in root.iterdir() if path.is_file()) == sorted(names)


def test_no_rows_no_file_and_a_reason(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="There are no runs in .*empty: nothing was exported"):
        export([empty], "solved", "trl-sft", out)
    assert not list(empty.iterdir())
    wrong = record(tmp_path / "wrong", [call("r0", "a")], [call("r1", "a")], outcome="wrong")
    with pytest.raises(UserError, match=r"takes none of the 2 runs in .*wrong \(2 wrong\): no file was written"):
        export([wrong], "solved", "trl-sft", out)
    with pytest.raises(UserError, match="not a directory"):
        export([tmp_path / "nowhere"], "solved", "trl-sft", out)
    with pytest.raises(UserError, match="can't be written to .*missing/rows.jsonl"):
        export(
            [record(tmp_path / "right", [call("r0", "a")])], "solved", "trl-sft", tmp_path / "missing" / "rows.jsonl"
        )
    assert nothing_but(tmp_path)


def test_a_damaged_trace_leaves_an_earlier_export_as_it_was(tmp_path: Path) -> None:
    root = record(tmp_path / "traces", [call("r0", "a")])
    (path,) = list_segments(root).values()
    path.with_suffix("").write_bytes(load(path).replace(b'"2+2?"', b'"2+3?"'))
    path.unlink()
    (tmp_path / "rows.jsonl").write_text("earlier")
    with pytest.raises(TraceError, match="damaged at byte"):
        export([root], "solved", "trl-sft", tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.jsonl").read_text() == "earlier" and nothing_but(tmp_path, "rows.jsonl")


def test_unknown_names_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="no recipe named 'solvd'. Did you mean 'solved'"):
        export([tmp_path], "solvd", "trl-sft", tmp_path / "rows.jsonl")
    with pytest.raises(UnknownName, match="no format named 'trl'.*Known: .*trl-sft"):
        export([tmp_path], "solved", "trl", tmp_path / "rows.jsonl")
    with pytest.raises(UserError, match="recipe nowhere:solved can't be imported"):
        export([tmp_path], "nowhere:solved", "trl-sft", tmp_path / "rows.jsonl")


def test_own_recipes_and_formats_go_with_the_shipped_ones(tmp_path: Path) -> None:
    recipe("all-of-it")(solved)

    @row_format("ids")
    def ids(episodes, tally):  # type: ignore[no-untyped-def]
        for episode in episodes:
            yield {"run": episode.run.header.run_id}

    root = record(tmp_path / "traces", [call("r0", "a")])
    assert rows_of(export(root, "all-of-it", "ids", tmp_path / "rows.jsonl").out) == [{"run": "r0"}]
    assert export(root, "maieutic.recipes.solved:solved", "trl-sft", tmp_path / "rows.jsonl").rows == 1


async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


async def test_runs_of_graphs_become_rows(ask: Ask, tmp_path: Path) -> None:
    register_tool(add)
    task = Task(question="What is 4 + 3?", gold="7", answer_type="number")
    await ask(ScriptedModel("Answer: 7"), "direct", task)
    await ask(ScriptedModel("Answer: 8"), "direct", task)
    model = ScriptedModel(
        {
            "Solve the problem": "Answer: 8",
            "You check": ["First wrong step: 1", "First wrong step: none"],
            "You repair": "Answer: 7.",
        }
    )
    await ask(model, "critique", task)
    await ask(ScriptedModel([call_tool("add", a=4, b=3), "So it is.\nAnswer: 7"]), "tool_loop", task, tools=["add"])
    report = export(tmp_path / "traces", "solved", "trl-sft", tmp_path / "rows.jsonl")
    rows = rows_of(report.out)
    taught = [decode([label for label in row["labels"] if label >= 0]) for row in rows]
    assert taught[:2] == ["Answer: 7", "Answer: 7."]
    assert len(rows) == 3 and "So it is.\nAnswer: 7" in taught[2] and r"\"a\": 4" in taught[2]
    assert dict(report.tally.dropped) == {"wrong": 1} and report.tally.counts["calls_not_on_the_path"] == 3
    assert report.tally.counts["prefix_breaks"] == 0
