"""A failed attempt is made anew, as a whole, after what could be said of it without the gold answer."""

from pathlib import Path

import pytest

from maieutic.agents.reflector import read_lesson
from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.memory.lessons import Lesson, Lessons
from maieutic.runner import Result
from maieutic.tasks.task import Task
from maieutic.tools.tool import tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from tests.conftest import Ask

SOLVE, RETRY, REFLECT, LEARN, CHECK = (
    "Solve the problem. Work",
    "begin with one line",
    "Don't solve",
    "heed",
    "You check",
)


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    if a > 100:
        raise ValueError("a is too large")
    return a + b


@pytest.mark.parametrize(
    ("text", "lesson"),
    [
        ("Lesson: count the legs first.", "count the legs first."),
        ("So it was wrong.\n\n**Lesson:** count\nthe legs.\n\nAnswer: 7", "count the legs."),
        ("Lesson: a\n\nLesson: b", "b"),
        ("<think>Lesson: a</think>", None),
        ("No lesson here.", None),
        ("Lesson:", None),
    ],
)
def test_a_lesson_is_read_or_missing(text: str, lesson: str | None) -> None:
    assert read_lesson(text) == lesson


async def test_an_attempt_that_passes_is_left_as_it_is(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7"})
    assert ((await ask(model, "reflect")).answer, len(model.requests)) == ("7", 1)


async def test_a_failed_attempt_is_made_anew_as_a_whole(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "It is seven.", RETRY: "Lesson: Say the answer.\n\n4 + 3 = 7\nAnswer: 7"})
    result = await ask(model, "reflect")
    assert (result.answer, len(model.requests)) == ("7", 2)
    shown = str(model.requests[1].messages[1]["content"])
    assert "It is seven." in shown and "No answer could be read" in shown
    run = recorded(result)
    assert [call.branch for call in run.calls] == ["attempt-1", "attempt-2"]
    assert [(p.call_id, p.type) for p in run.calls[1].parents] == [("c1", "reflection")]
    (lesson,) = run.events_of("lesson")
    assert (lesson.fields["text"], lesson.fields["from"], lesson.fields["call_id"]) == ("Say the answer.", ["c1"], "c2")
    gates = [(e.fields["gate"], e.fields["decision"]) for e in run.events_of("gate")]
    assert gates == [("feedback", "failed"), ("feedback", "passed")]


async def test_the_last_tool_error_is_a_failure_and_one_put_right_is_none(ask: Ask) -> None:
    wrong, right = call_tool("add", a=101, b=1), call_tool("add", a=1, b=1)
    model = ScriptedModel({SOLVE: [wrong, "Answer: 7"], RETRY: [wrong, right, "Lesson: Try.\nAnswer: 2"]})
    result = await ask(model, "reflect", tools=[add])
    assert (result.answer, len(model.requests)) == ("2", 5)
    shown = str(model.requests[2].messages[1]["content"])
    assert "[Call of add]" in shown and "a is too large" in shown and "The last call of add failed (error)" in shown
    assert (await ask(ScriptedModel([wrong, "Answer: 7"]), "reflect", tools=[add], graph_settings={"rounds": 0})).answer


async def test_rounds_bound_the_loop_and_the_last_readable_answer_stands(ask: Ask) -> None:
    wrong = call_tool("add", a=101, b=1)
    model = ScriptedModel({SOLVE: [wrong, "Answer: 7"], RETRY: [wrong, "Answer: 8", wrong, "I give up."]})
    result = await ask(model, "reflect", tools=[add], graph_settings={"rounds": 2})
    assert (result.answer, len(model.requests)) == ("8", 6)


async def test_a_critic_without_a_verdict_is_neither_success_nor_failure(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7", CHECK: "Hmm."})
    result = await ask(model, "reflect", graph_settings={"feedback": "judge"})
    assert (result.answer, len(model.requests)) == ("7", 2)
    (gate,) = recorded(result).events_of("gate")
    assert gate.fields["decision"] == "missing"


async def test_a_critic_that_rejects_is_heard(ask: Ask) -> None:
    check = ["The sum is wrong.\nFirst wrong step: 1", "First wrong step: none"]
    model = ScriptedModel({SOLVE: "Answer: 8", CHECK: check, RETRY: "Lesson: Add.\nAnswer: 7"})
    assert (await ask(model, "reflect", graph_settings={"feedback": "judge"})).answer == "7"
    assert "The sum is wrong." in str(model.requests[2].messages[1]["content"])


async def test_reflexion_gives_the_solver_all_lessons(ask: Ask) -> None:
    lessons = ["Lesson: first thing", "No lesson.", "Still none.", "Lesson: second thing"]
    model = ScriptedModel({SOLVE: ["?", "?"], REFLECT: lessons, LEARN: ["?", "?", "Answer: 7"]})
    result = await ask(model, "reflect", graph_settings={"form": "reflexion", "rounds": 3})
    assert result.answer == "7"
    shown = str(model.requests[-1].messages[1]["content"])
    assert shown.endswith("- first thing\n- second thing")
    assert [event.fields["text"] for event in recorded(result).events_of("lesson")] == ["first thing", "second thing"]


async def test_the_oracle_needs_its_switch_and_never_shows_the_gold(ask: Ask) -> None:
    task = Task(question="Which number?", gold="7.125", answer_type="number")
    model = ScriptedModel({SOLVE: "Answer: 8", RETRY: ["Lesson: Not 8.\nAnswer: 9", "Lesson: No.\nAnswer: 57/8"]})
    settings = {"feedback": "oracle"}
    with pytest.raises(UserError, match="--oracle"):
        await ask(ScriptedModel("Answer: 8"), "reflect", task=task, graph_settings=settings)
    result = await ask(model, "reflect", task=task, graph_settings=settings, oracle=True)
    assert (result.outcome, result.oracle, len(model.requests)) == ("correct", True, 3)
    assert "7.125" not in str([request.messages for request in model.requests])


async def test_lessons_of_earlier_runs_are_recalled_from_a_file(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    settings = {"lessons": str(path)}
    model = ScriptedModel({SOLVE: "Seven.", RETRY: "Lesson: Say it.\nAnswer: 7"})
    await ask(model, "reflect", graph_settings=settings)
    assert [lesson.text for lesson, _ in Lessons(path).like("What is 4 + 3?")] == ["Say it."]
    later = ScriptedModel({LEARN: "Answer: 8"})
    result = await ask(later, "reflect", task="What is 5 + 3?", graph_settings=settings)
    assert result.answer == "8" and str(later.requests[0].messages[1]["content"]).endswith("- Say it.")
    assert recorded(result).events_of("gate")[0].fields["decision"] == "recalled"
    other = ScriptedModel({SOLVE: "Answer: Oslo"})
    await ask(other, "reflect", task="Name the capital of Norway!", graph_settings=settings)


async def test_without_a_file_a_lesson_stays_in_its_run(ask: Ask, tmp_path: Path) -> None:
    Lessons(tmp_path / "lessons.jsonl").add(Lesson("Say it.", "What is 4 + 3?", "c1"))
    model = ScriptedModel({SOLVE: ["Seven.", "Answer: 7"], RETRY: "Lesson: Mind.\nAnswer: 7"})
    await ask(model, "reflect")
    await ask(model, "reflect")
    assert "Mind" not in str(model.requests[-1].messages)


async def test_a_retry_that_fails_leaves_the_answer_there_was(ask: Ask) -> None:
    wrong = call_tool("add", a=101, b=1)
    model = ScriptedModel({SOLVE: [wrong, "Answer: 7"]})
    result = await ask(model, "reflect", tools=[add])
    assert (result.answer, result.partial) == ("7", True)


async def test_a_broken_demand_is_told(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: it rains", RETRY: "Lesson: Two.\nAnswer: heavy rain fell"})
    result = await ask(model, "reflect", task="Describe it in exactly 3 words.", graph_settings={"feedback": "format"})
    assert result.answer == "heavy rain fell"
    told = str(model.requests[1].messages[1]["content"])
    assert "exactly 3 words" in told
    model = ScriptedModel({SOLVE: "it rains now"})  # where the form is demanded, no line "Answer:" is needed
    assert (await ask(model, "reflect", task="Describe it in exactly 3 words.")).text == "it rains now"
