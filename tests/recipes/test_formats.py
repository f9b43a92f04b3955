"""What each format makes of each kind of item: its shape, what it leaves out and counts, and what can be read back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maieutic.recipes.formats.otel import mapping
from maieutic.recipes.items import Ask, Dialogue, Episode, Item, Judged, Pair, Prompt, Reply, Spans, Turn
from maieutic.recipes.recipe import Row, Tally, find_format, format_names
from maieutic.tasks.task import Task
from maieutic.tasks.trl_rewards import correct, readable
from maieutic.trace.payload import dump, parse
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, RunRecord
from maieutic.trace.writer import TraceStore
from maieutic.types import Message, ToolCall, ToolSpec
from tests.trace.builders import call, header

QUESTION: Message = {"role": "user", "content": "2+2?"}
SYSTEM: Message = {"role": "system", "content": "Be brief."}
PYTHON = ToolSpec("python", "Runs code.", {"type": "object", "properties": {"code": {"type": "string"}}})


def said(text: str, **fields: Any) -> Message:
    return {"role": "assistant", "content": text, **fields}  # pyright: ignore[reportReturnType]


def tool_call(arguments: str, text: str = "") -> Message:
    function = {"name": "python", "arguments": arguments}
    return said(text, tool_calls=[{"id": "t1", "type": "function", "function": function}])


def rows(format: str, *items: Item) -> tuple[list[Row], Tally]:
    """Rows as they are read back from a file."""
    tally = Tally()
    return [parse(dump(row)) for row in find_format(format)(items, tally)], tally


def pair(chosen: Message = said("4"), rejected: Message = said("5"), *prompt: Message, **fields: Any) -> Pair:  # noqa: B008
    return Pair(prompt or (QUESTION,), Reply(chosen, fields.get("call")), Reply(rejected), "siblings", ("r1", "r2"))


def record(root: Path, calls: list[CallRecord], *events: tuple[str, dict[str, Any]], **head: Any) -> Episode:
    """A run written to disk and read back, as an episode of all its calls."""
    with TraceStore(root) as store:
        run = store.open_run(header("r1", task={"question": "2+2?"}, **head))
        for one in calls:
            run.call(one)
        for kind, fields in events:
            run.write(kind, **fields)
        run.finish(answer="4", answer_call=calls[-1].call_id, outcome="correct", score=1.0, partial=False)
    with TraceReader(root) as reader:
        read: RunRecord = reader.run("r1")
    return Episode(read, read.calls)


def used_tool(run: str = "r1") -> list[CallRecord]:
    """A call that asks for a tool, a losing sample beside it, and the call that answers."""
    asked = ToolCall("t1", "python", '{"code": "2+2"}')
    first = call(run, "a", (1, 2), (3, 4), text="", tool_calls=(asked,), finish_reason="tool_calls", tools=(PYTHON,))
    assert first.completion
    later: tuple[Message, ...] = (
        QUESTION,
        first.completion.message(),
        {"role": "tool", "tool_call_id": "t1", "content": "4"},
    )
    other = call(run, "b", (1, 2), (9,), text="5", role="sampler", node="sample", branch="1")
    last = call(run, "c", (1, 2, 3, 4, 7), (8,), messages=later, after="a", tools=(PYTHON,), reasoning="It is 4.")
    return [first, other, last]


def answered(text: str = "4") -> dict[str, Any]:
    known = {"name": "python", "arguments": '{"code": "2+2"}', "status": "ok", "seconds": 0.5}
    return {"call_id": "a", "tool_call_id": "t1", "content": text, **known}


ITEMS: dict[str, Item] = {
    "dialogue": Dialogue((Turn(QUESTION), Turn(said("4"), learn=True)), ("r1",)),
    "pair": pair(),
    "judged": Judged((QUESTION,), Reply(said("4")), True, ("r1",)),
    "prompt": Prompt((QUESTION,), {"id": "t1", "question": "2+2?", "gold": "4"}, ("r1",)),
    "spans": Spans((QUESTION,), Reply(said("So 4.")), ((0, 2, 0.5), (3, 5, -1.0)), ("r1",)),
    "ask": Ask("ask/r/s/1", "Which step?", "text", "teacher", None, ("r1",)),
}
TAKES = {
    "atif": {"episode"},
    "openai": {"episode", "dialogue"},
    "otel": {"episode"},
    "plain": {"episode", *ITEMS},
    "sharegpt": {"episode", "dialogue", "pair"},
    "tasks": {"prompt", "ask"},
    "trl-dpo": {"pair"},
    "trl-grpo": {"prompt"},
    "trl-kto": {"pair", "judged"},
    "trl-sft": {"episode", "dialogue"},
    "verifiers": {"episode"},
}


def test_a_turn_that_continues_is_marked_and_counted() -> None:
    begun, rest = Turn(said("2+2=5")), Turn(said("\nNo: 4"), learn=True, continues=True)
    [row], tally = rows("trl-sft", Dialogue((Turn(QUESTION), begun, rest), ("r1",)))
    assert row["continues"] is True and tally.counts["turns_that_continue"] == 1
    assert (row["prompt"][-1]["content"], row["completion"][0]["content"]) == ("2+2=5", "\nNo: 4")
    [row], tally = rows("trl-sft", ITEMS["dialogue"])
    assert "continues" not in row and "turns_that_continue" not in tally.counts


def test_that_a_line_ended_is_no_end_that_is_learnt(tmp_path: Path) -> None:
    def stopping(one: CallRecord, stop: str = "\n") -> CallRecord:
        return replace(one, request=replace(one.request, sampling=replace(one.request.sampling, stop=(stop,))))

    first = stopping(call("r1", "a", (1, 2), (3, 4), text="4"))
    [row], _ = rows("trl-sft", record(tmp_path / "one", [first]))
    assert (row["input_ids"], row["labels"]) == ([1, 2, 3, 4], [-100, -100, 3, -100])
    [row], _ = rows("trl-sft", record(tmp_path / "two", [first, call("r1", "b", (1, 2, 3, 4), (5, 6), after="a")]))
    assert row["labels"] == [-100, -100, 3, 4, 5, 6]  # what goes on after it has its stop before it
    [row], _ = rows("trl-sft", record(tmp_path / "tag", [stopping(first, "</sql>")]))
    assert row["labels"] == [-100, -100, 3, 4]


def test_every_shipped_format_is_told_of_here() -> None:
    assert set(TAKES) <= set(format_names())
    shipped = {find_format(name).__module__ for name in format_names()}
    assert {module for module in shipped if module.startswith("maieutic.")} == {
        f"maieutic.recipes.formats.{name.replace('-', '_')}" for name in TAKES
    }


@pytest.mark.parametrize("kind", ["episode", *ITEMS])
@pytest.mark.parametrize("format", TAKES)
def test_what_a_format_has_no_rows_for_is_counted(tmp_path: Path, format: str, kind: str) -> None:
    item = ITEMS.get(kind) or record(tmp_path, [call("r1", "a")])
    made, tally = rows(format, item)
    assert (len(made) > 0) is (kind in TAKES[format])
    left = {name: number for name, number in tally.counts.items() if name.endswith("left_out")}
    assert left == ({} if kind in TAKES[format] else {f"{kind}s_left_out": 1})


def test_dpo_is_one_turn_on_each_side_after_the_conversation() -> None:
    heard: Message = {"role": "tool", "tool_call_id": "t1", "content": "secret"}
    [row], tally = rows("trl-dpo", pair(said("4", reasoning="Sum."), said("5"), QUESTION, tool_call("{}"), heard))
    assert [len(row[side]) for side in ("prompt", "chosen", "rejected")] == [3, 1, 1]
    assert "secret" not in json.dumps([row["chosen"], row["rejected"]])
    assert row["chosen"][0] == {"role": "assistant", "content": "4", "reasoning_content": "Sum."}
    assert row["prompt"][1]["tool_calls"][0]["function"] == {"name": "python", "arguments": {}}
    assert "tools" not in row and tally.counts["pairs_siblings"] == 1


def test_dpo_shows_the_tools_that_the_calls_had() -> None:
    [row], _ = rows("trl-dpo", pair(call=call("r1", "a", tools=(PYTHON,))))
    assert json.loads(row["tools"])[0]["function"]["name"] == "python"


def sides(**changed: Any) -> Pair:
    """Two recorded replies to one prompt; `changed` are fields of the rejected one's call."""
    calls = [
        call("r1", "a", (1, 2), (3,), (QUESTION,), "4"),
        call("r2", "b", **{"prompt": (1, 2), "sampled": (5,), **changed}),
    ]
    replies = [Reply(one.completion.message(), one) for one in calls if one.completion]
    return Pair((QUESTION,), *replies, "siblings", ("r1", "r2"))  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_dpo_rows_have_the_sampled_ids_of_both_sides() -> None:
    [row], tally = rows("trl-dpo", sides())
    assert row["token_ids"] == {"prompt": [1, 2], "chosen": [3], "rejected": [5]}
    assert tally.counts["turns_rendered_anew"] == 0 and "unfinished" not in row


@pytest.mark.parametrize(
    "item",
    [
        sides(prompt=(1, 9)),
        sides(prompt=None),
        sides(sampled=None),
        sides(messages=(SYSTEM, QUESTION)),
        replace(sides(), prompt=(SYSTEM, QUESTION)),
        replace(sides(), rejected=Reply(said("6"), sides().rejected.call)),
        replace(sides(), unfinished=True),
        pair(),
    ],
)
def test_dpo_rows_whose_sides_answer_something_else_have_no_ids(item: Pair) -> None:
    [row], tally = rows("trl-dpo", item)
    assert "token_ids" not in row and tally.counts["turns_rendered_anew"] == 2
    assert row.get("unfinished", False) is item.unfinished


def test_dpo_rows_have_ids_of_one_tokenizer() -> None:
    other = sides()
    calls = [replace(side.call, model="other") for side in (other.chosen, other.rejected) if side.call]
    strange = replace(
        other, chosen=replace(other.chosen, call=calls[0]), rejected=replace(other.rejected, call=calls[1])
    )
    made, _ = rows("trl-dpo", sides(), strange)
    assert ["token_ids" in row for row in made] == [True, False]


@pytest.mark.parametrize("format", ["trl-dpo", "trl-kto", "trl-sft"])
@pytest.mark.parametrize("arguments", ["{code", "[1]", "4"])
def test_arguments_that_no_template_can_show_are_no_row(format: str, arguments: str) -> None:
    bad = tool_call(arguments)
    item = Dialogue((Turn(QUESTION), Turn(bad, learn=True)), ("r1",)) if format == "trl-sft" else pair(bad)
    made, tally = rows(format, item)
    assert tally.counts["malformed_tool_calls_left_out"] == 1
    assert [row["completion"][0]["content"] for row in made] == (["5"] if format == "trl-kto" else [])


def test_kto_makes_a_row_of_each_side_of_a_pair() -> None:
    made, tally = rows("trl-kto", pair(), Judged((QUESTION,), Reply(said("6")), False, ("r1",)))
    assert [(row["completion"][0]["content"], row["label"]) for row in made] == [
        ("4", True),
        ("5", False),
        ("6", False),
    ]
    assert dict(tally.counts) == {"wanted": 1, "unwanted": 2, "turns_rendered_anew": 3}


def test_grpo_rows_are_checked_by_functions_that_are_imported_by_name() -> None:
    task = {"id": "t1", "question": "2+2?", "gold": "4", "answer_type": "number"}
    made, tally = rows("trl-grpo", Prompt((SYSTEM, QUESTION), task, ("r1",)), Prompt((QUESTION,), {"id": "u"}, ()))
    [row] = made
    assert (row["prompt"], row["answer_type"]) == ([SYSTEM, QUESTION], "number")
    assert Task(**json.loads(row["task"])).gold == "4"
    replies = ["Answer: 4", "Answer: 5", "I don't care to say."]
    assert correct(replies, task=[row["task"]] * 3) == [1.0, 0.0, None], "what could not be read has no score"
    assert readable(replies, task=[row["task"]] * 3) == [1.0, 1.0, 0.0]
    assert correct([[said("Answer: 4.0")]], task=[row["task"]]) == [1.0]
    assert tally.counts["prompts_without_a_check_left_out"] == 1


def test_openai_weighs_every_turn_of_the_assistant() -> None:
    turns = (Turn(SYSTEM), Turn(QUESTION), Turn(said("5", reasoning="no")), Turn(QUESTION), Turn(said("4"), learn=True))
    [row], _ = rows("openai", Dialogue(turns, ("r1",)))
    assert [m.get("weight") for m in row["messages"]] == [None, None, 0, None, 1]
    assert all("reasoning" not in message for message in row["messages"])
    assert rows("openai", Dialogue((Turn(QUESTION), Turn(said("4"))), ("r1",)))[0] == []


def test_openai_makes_a_row_a_call_of_an_episode(tmp_path: Path) -> None:
    made, _ = rows("openai", record(tmp_path, used_tool()))
    assert [[m.get("weight") for m in row["messages"]] for row in made] == [[None, 1], [None, 1], [None, 0, None, 1]]
    assert [("tools" in row) for row in made] == [True, False, True]
    assert made[0]["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"code": "2+2"}'


def test_sharegpt_puts_people_at_odd_and_the_model_at_even_places(tmp_path: Path) -> None:
    made, tally = rows("sharegpt", record(tmp_path, used_tool()))
    assert [[turn["from"] for turn in row["conversations"]] for row in made] == [
        ["human", "function_call"],
        ["human", "gpt"],
        ["human", "function_call", "observation", "gpt"],
    ]
    assert json.loads(made[2]["conversations"][1]["value"]) == {"name": "python", "arguments": {"code": "2+2"}}
    assert json.loads(made[2]["tools"])[0]["name"] == "python"
    assert dict(tally.counts) == {"turns_rendered_anew": 3}


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (pair(tool_call("{}", "I run it.")), "a turn with text and a call, or with several calls"),
        (pair(said("4"), said("5"), QUESTION, QUESTION), "turns that don't alternate"),
        (pair(said("4"), said("5"), QUESTION, said("hm")), "turns that don't alternate"),
        (pair(tool_call("{code")), "arguments are not JSON"),
    ],
)
def test_sharegpt_says_what_it_has_no_form_for(item: Pair, why: str) -> None:
    made, tally = rows("sharegpt", item)
    assert made == [] and dict(tally.counts) == {f"left_out: {why}": 1}


def test_sharegpt_pairs_stand_beside_the_conversation() -> None:
    [row], _ = rows("sharegpt", pair(said("4"), said("5"), SYSTEM, QUESTION))
    assert row == {
        "conversations": [{"from": "human", "value": "2+2?"}],
        "system": "Be brief.",
        "chosen": {"from": "gpt", "value": "4"},
        "rejected": {"from": "gpt", "value": "5"},
    }


def test_plain_loses_nothing_of_an_item() -> None:
    made, _ = rows("plain", *ITEMS.values())
    assert [row["kind"] for row in made] == list(ITEMS)
    by_kind = {row["kind"]: row for row in made}
    assert by_kind["dialogue"]["turns"][1] == {"role": "assistant", "content": "4", "learn": True, "author": "policy"}
    assert by_kind["spans"]["spans"] == [[0, 2, 0.5], [3, 5, -1.0]]
    assert (by_kind["pair"]["pair"], by_kind["judged"]["good"]) == ("siblings", True)
    assert by_kind["prompt"]["task"]["gold"] == "4"
    assert all(row["meta"] == {} and row["runs"] for row in made)


def test_sft_never_renders_anew_where_ids_exist(tmp_path: Path) -> None:
    made, tally = rows("trl-sft", record(tmp_path, used_tool()))
    assert made == [
        {"input_ids": [1, 2, 3, 4, 7, 8], "labels": [-100, -100, 3, 4, -100, 8]},
        {"input_ids": [1, 2, 9], "labels": [-100, -100, 9]},
    ]
    assert tally.counts["turns_rendered_anew"] == 0


def test_sft_counts_every_turn_that_must_be_rendered_anew() -> None:
    quoted = call("r1", "a")
    assert quoted.completion
    copied = Turn(quoted.completion.message(), learn=True, call=quoted)
    other: Message = {"role": "user", "content": "Another question than the call had."}
    made, tally = rows("trl-sft", Dialogue((Turn(other), copied), ("r1",)))
    assert [set(row) for row in made] == [{"prompt", "completion"}] and tally.counts["turns_rendered_anew"] == 1
    whole, tally = rows("trl-sft", Dialogue((Turn(QUESTION), copied), ("r1",)))
    assert whole == [{"input_ids": [1, 2, 3, 4, 5], "labels": [-100, -100, -100, 4, 5]}]
    assert tally.counts["turns_rendered_anew"] == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"template": "t1"}, {"template": "t1", "model": "v2"}, True),
        ({"template": "t1"}, {"template": "t2"}, False),
        ({"template": None}, {"template": "t2"}, True),
        ({"template": "t1"}, {"template": None}, True),
        ({"template": None}, {"template": None, "model": "other"}, False),
        ({"template": "t1"}, {"template": None, "model": "other"}, False),
    ],
)
def test_sft_mixes_no_tokenizers(tmp_path: Path, one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    episodes = []
    for number, fields in enumerate((one, other)):
        made = call("r1", "a", (number,))
        assert made.completion
        made = replace(made, model=fields.get("model", "small"))
        made = replace(made, completion=replace(made.completion, template=fields["template"]))  # type: ignore[type-var]
        episodes.append(record(tmp_path / str(number), [made]))
    made_rows, tally = rows("trl-sft", *episodes)
    assert len(made_rows) == 1 + same
    assert tally.dropped.total() == 1 - same


def test_verifiers_paths_give_back_the_ids_that_each_call_saw(tmp_path: Path) -> None:
    episode = record(tmp_path, used_tool(), ("reward", {"scope": "run", "name": "answer", "value": None}))
    [row], _ = rows("verifiers", episode)
    for one, kept in zip(row["calls"], episode.calls, strict=True):
        path, node = [], one["node"]
        while node is not None:
            path.append(row["nodes"][node])
            node = path[-1]["parent"]
        ids = [token for step in reversed(path) for token in step.get("token_ids", ())]
        mask = [known for step in reversed(path) for known in step.get("mask", ())]
        assert kept.completion and kept.completion.prompt_token_ids is not None and kept.completion.token_ids
        assert tuple(ids) == (*kept.completion.prompt_token_ids, *kept.completion.token_ids)
        assert len(mask) == len(ids) and mask[-len(kept.completion.token_ids) :] == [True] * len(
            kept.completion.token_ids
        )
    assert sum(node["message"]["role"] == "user" for node in row["nodes"]) == 1, "a shared prompt is stored once"
    assert row["rewards"] == {"answer": None}, "a missing reward stays missing"


def test_verifiers_keeps_who_read_whom(tmp_path: Path) -> None:
    calls = [call("r1", "a"), call("r1", "b", (7, 8), (9,), after="a", how="critique", role="critic")]
    [row], _ = rows("verifiers", record(tmp_path, calls))
    node = row["calls"][1]["node"]
    assert row["nodes"][node]["semantic_parents"] == [{"node": row["calls"][0]["node"], "type": "critique"}]


def test_atif_tells_the_way_to_the_answer_and_embeds_the_rest(tmp_path: Path) -> None:
    episode = record(tmp_path, used_tool(), ("tool_result", answered()), group_id="g1")
    [row], _ = rows("atif", episode)
    assert [step["step_id"] for step in row["steps"]] == [1, 2, 3, 4]
    assert [step["source"] for step in row["steps"]] == ["user", "agent", "agent", "agent"]
    aside, asked, last = row["steps"][1:]
    [sub] = row["subagent_trajectories"]
    reference = aside["observation"]["results"][0]["subagent_trajectory_ref"][0]["trajectory_id"]
    assert (aside["llm_call_count"], reference) == (0, sub["trajectory_id"]) and "metrics" not in aside
    assert asked["observation"]["results"] == [{"source_call_id": "t1", "content": "4"}]
    assert asked["metrics"]["completion_token_ids"] == [3, 4]
    assert (last["message"], last["reasoning_content"]) == ("4", "It is 4.")
    assert sub["steps"][-1]["message"] == "5"
    assert (row["extra"]["maieutic"]["outcome"], row["extra"]["maieutic"]["group"]) == ("correct", "g1")


def test_atif_keeps_ways_that_fork_apart(tmp_path: Path) -> None:
    """A search goes on from one step in several ways; told in a row, they would be one solution that was never made."""
    ways = [call("r1", "b", (3, 4), (5,), after="a", text="5"), call("r1", "c", (3, 4), (6,), after="a", text="6")]
    [row], _ = rows("atif", record(tmp_path, [call("r1", "a", text="So."), *ways]))
    told = [[s["message"] for s in one["steps"] if s.get("llm_call_count")] for one in row["subagent_trajectories"]]
    assert told == [["So.", "5"]]
    assert row["steps"][-1]["message"] == "6"


def test_atif_keeps_arguments_that_are_no_object_as_they_were_written(tmp_path: Path) -> None:
    bad = call("r1", "a", tool_calls=(ToolCall("t1", "python", "{code"),), finish_reason="tool_calls")
    [row], _ = rows("atif", record(tmp_path, [bad]))
    [made] = row["steps"][-1]["tool_calls"]
    assert (made["arguments"], made["extra"]["maieutic"]["arguments"]) == ({}, "{code")


def attributes(span: Row) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


def test_otel_spans_are_named_by_the_mapping_file_alone(tmp_path: Path) -> None:
    [row], _ = rows("otel", record(tmp_path, used_tool(), ("tool_result", answered())))
    spans = row["resourceSpans"][0]["scopeSpans"][0]["spans"]
    named = {one["key"] for span in spans for one in span["attributes"]}
    assert named <= set(mapping()["attributes"].values())
    operations = [attributes(span)["gen_ai.operation.name"] for span in spans]
    assert operations == ["invoke_workflow", "chat", "chat", "chat", "execute_tool"]
    root, first, _, last, tool = spans
    assert "parentSpanId" not in root and {span["parentSpanId"] for span in (first, last)} == {root["spanId"]}
    assert tool["parentSpanId"] == first["spanId"]
    assert last["links"][0]["spanId"] == first["spanId"]
    assert int(tool["endTimeUnixNano"]) - int(tool["startTimeUnixNano"]) == pytest.approx(5e8, abs=1e3)
    assert {len(span["traceId"]) for span in spans} == {32} and {len(span["spanId"]) for span in spans} == {16}
    assert attributes(first)["gen_ai.usage.output_tokens"] == "2"
    heard = json.loads(attributes(last)["gen_ai.input.messages"])
    assert heard[-1]["parts"] == [{"type": "tool_call_response", "id": "t1", "response": "4"}]


def test_otel_marks_what_failed(tmp_path: Path) -> None:
    lost = CallRecord("r1", "a", "scripted", call("r1", "a").request, None, 1.0, 2.0, error="The server is gone.")
    [row], _ = rows("otel", record(tmp_path, [lost, call("r1", "b")]))
    failed = row["resourceSpans"][0]["scopeSpans"][0]["spans"][1]
    assert failed["status"] == {"code": 2, "message": "The server is gone."}
    assert "gen_ai.output.messages" not in attributes(failed)


@pytest.mark.parametrize("format", ["atif", "verifiers", "otel", "openai", "sharegpt", "plain"])
def test_a_call_without_an_answer_is_no_obstacle(tmp_path: Path, format: str) -> None:
    lost = CallRecord("r1", "a", "scripted", call("r1", "a").request, None, 1.0, 2.0, error="gone", cancelled=True)
    made, _ = rows(format, record(tmp_path, [lost, call("r1", "b", None, None)]))
    assert len(made) == 1
