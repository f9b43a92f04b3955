"""Which runs, and which of their calls, `solved` takes."""

from pathlib import Path
from typing import Any

import pytest

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.items import Episode
from maieutic.recipes.recipe import Tally
from maieutic.recipes.solved import solved
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, Parent
from maieutic.trace.writer import TraceStore
from maieutic.types import Message
from tests.recipes.runs import Runs
from tests.trace.builders import call, header

SOLVED = {"answer": "4", "answer_call": "c1", "outcome": "correct", "score": 1.0, "partial": False}


def record(root: Path, *calls: CallRecord, finish: dict[str, Any] | None = SOLVED, **head: Any) -> None:
    with TraceStore(root) as store:
        run = store.open_run(header("r1", **head))
        for one in calls or (call("r1", "c1"),):
            run.call(one)
        if finish is not None:
            run.finish(**finish)


def select(root: Path) -> tuple[list[Episode], Tally]:
    tally = Tally()
    with TraceReader(root) as reader:
        return list(solved(Candidates([reader]), tally)), tally  # pyright: ignore[reportReturnType]


def path_of(root: Path) -> list[str]:
    (episode,), _ = select(root)
    return [one.call_id for one in episode.calls]


def dialogue(*turns: str) -> tuple[Message, ...]:
    return tuple({"role": "assistant" if i % 2 else "user", "content": turn} for i, turn in enumerate(turns))


def test_a_correct_whole_unaided_run_is_taken(tmp_path: Path) -> None:
    record(tmp_path)
    assert path_of(tmp_path) == ["c1"]
    _, tally = select(tmp_path)
    assert (tally.seen, tally.kept, dict(tally.dropped)) == (1, 1, {})


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        (None, "unfinished"),
        ({**SOLVED, "outcome": None}, "not verified"),
        ({**SOLVED, "outcome": "wrong", "score": 0.0}, "wrong"),
        ({**SOLVED, "outcome": "format_error"}, "format error"),
        ({**SOLVED, "partial": True}, "partial"),
        ({k: v for k, v in SOLVED.items() if k != "partial"}, "partial"),
        ({**SOLVED, "answer_call": "c9"}, "no answering call"),
    ],
)
def test_other_endings_are_dropped(tmp_path: Path, finish: dict[str, Any] | None, reason: str) -> None:
    record(tmp_path, finish=finish)
    episodes, tally = select(tmp_path)
    assert (episodes, tally.seen, tally.kept, dict(tally.dropped)) == ([], 1, 0, {reason: 1})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"gold_in_context": True}, "gold in context"),
        ({"error": "the server went away"}, "failed call"),
        ({"cancelled": True}, "failed call"),
        ({"finish_reason": "length"}, "cut short"),
        ({"finish_reason": None}, "without a finish reason"),
    ],
)
def test_calls_that_teach_nothing_good_are_dropped(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    record(tmp_path, call("r1", "c1", **fields))
    assert dict(select(tmp_path)[1].dropped) == {reason: 1}


def test_a_run_with_an_oracle_is_dropped(tmp_path: Path) -> None:
    record(tmp_path, oracle=True)
    assert dict(select(tmp_path)[1].dropped) == {"run with an oracle": 1}


def test_gold_seen_by_any_call_spoils_the_run(tmp_path: Path) -> None:
    record(tmp_path, call("r1", "c0", gold_in_context=True), call("r1", "c1"))
    assert dict(select(tmp_path)[1].dropped) == {"gold in context": 1}


def test_a_later_verdict_overrules_the_closing_line(tmp_path: Path) -> None:
    with TraceStore(tmp_path) as store:
        run = store.open_run(header("r1"))
        run.call(call("r1", "c1"))
        run.write("verdict", outcome="wrong", score=0.0)
        run.write("verdict", scope="call", outcome="correct", score=1.0)
        run.finish(answer="4", answer_call="c1", partial=False)
    assert dict(select(tmp_path)[1].dropped) == {"wrong": 1}


def test_a_conversation_is_taken_whole_and_a_failed_side_branch_left(tmp_path: Path) -> None:
    record(
        tmp_path,
        call("r1", "a", messages=dialogue("2+2?"), text="Let me think."),
        call("r1", "lost", messages=dialogue("2+2?"), error="cut off"),
        call("r1", "c1", messages=dialogue("2+2?", "Let me think.", "Well?"), text="4", after="a"),
    )
    assert path_of(tmp_path) == ["a", "c1"]


def test_what_was_only_read_is_left(tmp_path: Path) -> None:
    """The critic's words and the draft stand in the prompt, and the first answer of a debater is quoted there."""
    record(
        tmp_path,
        call("r1", "draft", messages=dialogue("2+2?"), text="5"),
        call("r1", "critic", messages=dialogue("Check 5."), text="wrong", after="draft", how="critique"),
        call("r1", "c1", messages=dialogue("2+2? You said 5. A critic: wrong"), after="critic", how="critique"),
    )
    assert path_of(tmp_path) == ["c1"]
    record(
        tmp_path / "debate",
        call("r1", "first", messages=dialogue("2+2?"), text="5"),
        call("r1", "c1", messages=dialogue("2+2? You said 5, others 4."), after="first"),
    )
    assert path_of(tmp_path / "debate") == ["c1"]


def test_a_spliced_reply_is_one_conversation(tmp_path: Path) -> None:
    record(
        tmp_path,
        call("r1", "a", messages=dialogue("2+2?"), text="I compute "),
        call("r1", "c1", messages=dialogue("2+2?", "I compute <4>"), text=" so 4", after="a", how="splice"),
    )
    assert path_of(tmp_path) == ["a", "c1"]


def test_without_a_named_answer_only_a_single_last_call_counts(tmp_path: Path) -> None:
    unnamed = {k: v for k, v in SOLVED.items() if k != "answer_call"}
    record(tmp_path / "one", call("r1", "a"), call("r1", "b", after="a", how="critique"), finish=unnamed)
    assert path_of(tmp_path / "one") == ["b"]
    record(tmp_path / "two", call("r1", "a"), call("r1", "b"), finish=unnamed)
    assert dict(select(tmp_path / "two")[1].dropped) == {"no answering call": 1}


def test_parents_that_are_not_there_are_no_obstacle(tmp_path: Path) -> None:
    record(tmp_path, call("r1", "c1", after="elsewhere"))
    assert path_of(tmp_path) == ["c1"]
    assert Parent("elsewhere", "continuation") in select(tmp_path)[0][0].calls[0].parents


def test_with_steps_the_answer_has_to_follow_from_what_is_written(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    said = ("2 + 2 = 4\nAnswer: 4", "Answer: 4", "2 + 2 = 5\n5 - 1 = 4\nAnswer: 4")
    for number, text in enumerate(said):
        runs.add("4", "correct", calls=[call(f"r{number:03}", "a", text=text)])
    items, tally = runs.through("solved", steps=True)
    assert [item.run.header.run_id for item in items if isinstance(item, Episode)] == ["r000"]
    assert dict(tally.dropped) == {"no written step": 1, "an equation that doesn't hold": 1}
    assert len(runs.through("solved")[0]) == 3
