"""Which recorded confidences become examples, and what is left out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maieutic.calibration.examples import Example, Found, examples_in
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord, RunHeader
from maieutic.trace.writer import TraceStore
from maieutic.types import Completion, Outcome, Request

TASK = Task(id="t", question="What is 4 + 3?", gold="7")


def sure(of: str, raw: float | None, answer: str | None, model: str = "m", **more: Any) -> dict[str, Any]:
    return {"of": of, "method": "verbal", "raw": raw, "calibrated": None, "model": model, "answer": answer, **more}


def examples(
    root: Path,
    confidences: list[dict[str, Any]],
    tasks: Mapping[str, Task] | None = None,
    *,
    oracle: bool = False,
    **finish: Any,
) -> Found:
    """What becomes of one run with these confidences, in which call c1 answered 7 and call c2 answered 8."""
    request = Request(({"role": "user", "content": "?"},))
    with TraceStore(root) as store:
        run = store.open_run(RunHeader("r1", "t", models=("m",), oracle=oracle))
        for call, text in (("c1", "Answer: 7"), ("c2", "Answer: 8")):
            run.call(CallRecord("r1", call, "m", request, Completion(text), 0, 1))
        for fields in confidences:
            run.write("confidence", **fields)
        if finish:
            run.finish(**{"answer_call": "c1", "outcome": Outcome.CORRECT, **finish})
    with TraceReader(root) as reader:
        return examples_in([reader], tasks)


def test_without_tasks_the_answer_that_was_returned_counts(tmp_path: Path) -> None:
    found = examples(tmp_path, [sure("c1", 0.9, "7"), sure("c2", 0.8, "8")], answer="7")
    assert found.examples == [Example("t", "m", "verbal", 0.9, True)]
    assert (dict(found.dropped), found.runs) == ({"not the answer that was returned": 1}, 1)


def test_with_tasks_every_answer_is_checked(tmp_path: Path) -> None:
    said = [sure("c1", 0.9, "7"), sure("c2", 0.8, "8", model="n")]
    found = examples(tmp_path, said, {"t": TASK}, answer="7")
    assert [(e.model, e.raw, e.right) for e in found.examples] == [("m", 0.9, True), ("n", 0.8, False)]


def test_an_answer_that_was_held_back_is_still_checked(tmp_path: Path) -> None:
    """The run abstained; the confidence was in an answer that it had."""
    said, ended = [sure("c1", 0.2, "7")], {"answer_call": None, "outcome": Outcome.ABSTAINED}
    assert examples(tmp_path / "a", said, **ended).examples == []
    assert [e.right for e in examples(tmp_path / "b", said, {"t": TASK}, **ended).examples] == [True]


def test_a_missing_confidence_is_an_example_without_a_number(tmp_path: Path) -> None:
    found = examples(tmp_path, [sure("c1", None, "7", read=False)], answer="7")
    assert [(e.raw, e.read) for e in found.examples] == [(None, False)]


def test_the_stage_that_a_confidence_is_of_comes_along(tmp_path: Path) -> None:
    found = examples(tmp_path, [sure("c1", 0.9, "7", stage="greedy"), sure("c1", 0.9, "7")], answer="7")
    assert [example.stage for example in found.examples] == ["greedy", ""]


def test_what_is_neither_right_nor_wrong_is_left_out(tmp_path: Path) -> None:
    for outcome in (Outcome.ABSTAINED, Outcome.TIMEOUT, Outcome.TOOL_ERROR, Outcome.UNPARSED):
        found = examples(tmp_path / outcome, [sure("c1", 0.9, "7")], outcome=outcome)
        assert (found.examples, found.dropped.total()) == ([], 1)
    assert examples(tmp_path / "none", [sure("c1", 0.9, "7")], outcome=None).dropped["not verified"] == 1
    assert examples(tmp_path / "other", [sure("c1", 0.9, "7")], {}, answer="7").dropped["not among the tasks"] == 1


def test_runs_that_saw_gold_and_runs_that_never_ended_are_no_examples(tmp_path: Path) -> None:
    assert examples(tmp_path / "gold", [sure("c1", 0.9, "7")], oracle=True, answer="7").runs == 0
    assert examples(tmp_path / "killed", [sure("c1", 0.9, "7")]).runs == 0
