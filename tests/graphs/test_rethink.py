"""An answer is thought over within the turn it was given in, and the last one counts."""

import json
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import ModelError
from maieutic.graphs.rethink import TRIGGERS
from maieutic.llm.scripted import MESSAGE_END, ScriptedModel, decode
from maieutic.recipes.export import export
from maieutic.tasks.extraction import extract
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion
from tests.conftest import Ask


def the_runs(tmp_path: Path) -> list[RunRecord]:
    with TraceReader(tmp_path / "traces") as reader:
        return [reader.run(summary.run_id) for summary in reader.runs()]


def gates(tmp_path: Path, name: str = "rethink") -> list[dict[str, Any]]:
    (run,) = the_runs(tmp_path)
    events = run.events_of("gate")
    return [{**e.fields["inputs"], "decision": e.fields["decision"]} for e in events if e.fields["gate"] == name]


@pytest.mark.parametrize("kind", list(TRIGGERS))
async def test_it_is_put_in_behind_the_answer_within_its_turn(ask: Ask, kind: str) -> None:
    model = ScriptedModel(["4 + 3 = 8\nAnswer: 8", "No.\nAnswer: 7"])
    result = await ask(model, "rethink", graph_settings={"kind": kind})
    assert result.answer == "7" and extract(TRIGGERS[kind]) is None
    ids = model.requests[1].prompt_ids or ()
    assert decode(ids).endswith(f"Answer: 8{TRIGGERS[kind]}")
    assert ids.count(MESSAGE_END) == 2  # those of the system's and user's messages


@pytest.mark.parametrize(
    ("replies", "decision", "answer"),
    [
        (["Answer: 7", "Yes.\nAnswer: 7.0"], "kept", "7.0"),
        (["Answer: 7", "It is."], "kept", "7"),
        (["Answer: 8", "Answer: 7"], "changed", "7"),
        (["Hm.", "Answer: 7"], "found", "7"),
        (["Hm.", "Hm."], "missing", None),
    ],
)
async def test_what_became_of_the_answer_is_recorded(
    ask: Ask, tmp_path: Path, replies: list[str], decision: str, answer: str | None
) -> None:
    result = await ask(ScriptedModel(replies), "rethink")
    assert result.answer == answer
    assert [gate["decision"] for gate in gates(tmp_path)] == [decision]


async def test_as_often_as_it_is_asked_for_and_no_more(ask: Ask) -> None:
    model = ScriptedModel("Answer: 7")
    await ask(model, "rethink", graph_settings={"times": 3})
    assert len(model.requests) == 4


async def test_a_mixed_kind_is_drawn_by_the_seed(ask: Ask) -> None:
    drawn: dict[int, str] = {}
    for seed in [*range(12), *range(12)]:
        model = ScriptedModel("Answer: 7")
        await ask(model, "rethink", seed=seed)
        (kind,) = [k for k, text in TRIGGERS.items() if decode(model.requests[1].prompt_ids or ()).endswith(text)]
        assert drawn.setdefault(seed, kind) == kind
    assert set(drawn.values()) == set(TRIGGERS)


async def test_an_answer_that_was_cut_off_is_not_rethought(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel(Completion("4 + 3 =", finish_reason="length"))
    result = await ask(model, "rethink")
    assert (result.answer, len(model.requests)) == (None, 1)
    assert [gate["decision"] for gate in gates(tmp_path)] == ["cut"]


async def test_a_second_thought_that_fails_leaves_the_first(ask: Ask) -> None:
    result = await ask(ScriptedModel(["Answer: 7", ModelError("The server has a bad day.")]), "rethink")
    assert result.answer == "7"


async def test_in_a_chat_the_user_says_it(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel(["Answer: 8", "Answer: 7"])
    await ask(model, "rethink", graph_settings={"form": "chat", "kind": "correct"})
    assert model.requests[1].prompt_ids is None
    assert model.requests[1].messages[-1] == {"role": "user", "content": TRIGGERS["correct"].strip()}
    assert [gate["decision"] for gate in gates(tmp_path, "form")] == ["chat"]


@pytest.mark.parametrize("form", ["continuation", "chat"])
async def test_rows_are_second_thoughts_that_end_right_and_not_what_went_before(
    ask: Ask, tmp_path: Path, form: str
) -> None:
    """A draft that was wrong is part of the prompt: nobody is to learn from it."""
    task = Task(question="What is 4 + 3?", gold="7")
    for replies in (["Answer: 8", "No.\nAnswer: 7"], ["Answer: 7", "No.\nAnswer: 8"]):
        await ask(ScriptedModel(replies), "rethink", task, graph_settings={"kind": "correct", "form": form})
    report = export(tmp_path / "traces", "solved", "trl-sft", tmp_path / "rows.jsonl")
    (row,) = [json.loads(line) for line in report.out.read_text().splitlines()]
    assert decode([label for label in row["labels"] if label >= 0]) == "No.\nAnswer: 7"
    prompt = decode(row["input_ids"])
    assert "Answer: 8" in prompt and TRIGGERS["correct"].strip() in prompt
