"""Taking a question apart: sections, those that are missing, and the check of what was assumed."""

from typing import Any

import pytest

from maieutic.agents.deconstructor import SECTIONS, form, missing_of, read_sections, written
from maieutic.errors import ModelError
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.runner import Result
from maieutic.trace.reader import TraceReader
from tests.conftest import Ask

APART, CHECK, REPAIR = "Take the problem apart", "You check", "You repair"


def reply(*numbers: int, answer: str = "7", insight: str = "Settled: no") -> str:
    texts = {n: f"About {n}." for n in numbers}
    texts |= {4: insight} if 4 in numbers else {}
    texts |= {14: f"It is so.\nAnswer: {answer}"} if 14 in numbers else {}
    return written(texts)


def gates(result: Result) -> list[dict[str, Any]]:
    with TraceReader(result.trace) as reader:
        return [dict(event.fields) for event in reader.run(result.run_id).events_of("gate")]


ALL = range(15)


def test_there_are_fifteen_sections_and_the_prompt_asks_for_each() -> None:
    from importlib.resources import files

    prompt = (files("maieutic.agents") / "prompts" / "deconstructor.txt").read_text()
    assert len(SECTIONS) == 15
    assert all(heading in prompt for heading in form(ALL).splitlines())


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("## 0. Literal reading\nA.\n## 14. Final answer\nB.", {0: "A.", 14: "B."}),
        ("### Section 5: Facts\nA.\n**6. Parts**\nB.", {5: "A.", 6: "B."}),
        ("## 5\n\n## 6. Parts\nB.", {6: "B."}),  # an empty one is missing
        ("## 5\nA.\n## 5\nB.", {5: "B."}),
        ("## 15. More\nA.", {}),
        ("5. a point of a list\n6. another", {}),
        ("<think>## 1\nA.</think>## 2\nB.", {2: "B."}),
        ("", {}),
    ],
)
def test_sections_are_read_by_their_numbers(text: str, sections: dict[int, str]) -> None:
    assert read_sections(text) == sections


def test_a_settled_question_may_leave_out_the_middle_and_nothing_else() -> None:
    assert missing_of(read_sections(reply(0, 1, 2, 3, 4, 14, insight="Settled: yes")), "auto") == ()
    assert missing_of(read_sections(reply(0, 1, 3, 4, 14, insight="Settled: yes")), "auto") == (2,)
    assert missing_of(read_sections(reply(0, 1, 2, 3, 4, 14)), "auto") == tuple(range(5, 14))


def test_a_final_section_without_an_answer_is_missing() -> None:
    assert missing_of({**read_sections(reply(*ALL)), 14: "It is so."}, "auto") == (14,)


async def test_a_whole_reply_takes_one_call(ask: Ask) -> None:
    result = await ask(ScriptedModel({APART: reply(*ALL)}), "deconstruct")
    assert (result.answer, result.usage.calls) == ("7", 1)
    assert [gate["decision"] for gate in gates(result)] == ["complete"]


async def test_missing_sections_are_asked_for_once_and_alone(ask: Ask) -> None:
    said: list[Reply] = [reply(*range(0, 12)), reply(12, 13, 14, 0)]
    model = ScriptedModel({APART: said})
    result = await ask(model, "deconstruct")
    assert (result.answer, result.usage.calls) == ("7", 2)
    asked = str(model.requests[1].messages[-1]["content"])
    assert asked.endswith(form((12, 13, 14)))
    assert read_sections(result.text).keys() == set(ALL)
    assert [gate["decision"] for gate in gates(result)] == ["incomplete", "complete"]


async def test_what_is_still_missing_then_stays_missing(ask: Ask) -> None:
    said: list[Reply] = [reply(*range(0, 12), 14), reply(12)]
    result = await ask(ScriptedModel({APART: said}), "deconstruct")
    assert (result.answer, result.usage.calls) == ("7", 2)
    assert gates(result)[1]["inputs"]["missing"] == [13]


@pytest.mark.parametrize("second", ["Hm.", ModelError("cut")])
async def test_an_answer_stays_where_asking_again_brings_nothing(ask: Ask, second: Reply) -> None:
    said: list[Reply] = ["No sections.\nAnswer: 7", second]
    result = await ask(ScriptedModel({APART: said}), "deconstruct")
    assert (result.answer, result.text, result.partial) == ("7", "No sections.\nAnswer: 7", False)


async def test_a_critic_reads_facts_reflection_and_answer_and_a_refiner_repairs(ask: Ask) -> None:
    model = ScriptedModel({APART: reply(*ALL, answer="8"), CHECK: "First wrong step: 1", REPAIR: "Answer: 7"})
    result = await ask(model, "deconstruct", graph_settings={"critic": "critic"})
    assert (result.answer, result.usage.calls) == ("7", 3)
    shown = str(model.requests[1].messages[1]["content"])
    assert "About 5." in shown and "About 13." in shown and "Answer: 8" in shown and "About 6." not in shown


@pytest.mark.parametrize(
    ("verdict", "fixed"), [("First wrong step: none", "Answer: 9"), ("First wrong step: 1", "Hm.")]
)
async def test_without_an_objection_or_a_readable_repair_the_answer_stays(ask: Ask, verdict: str, fixed: str) -> None:
    model = ScriptedModel({APART: reply(*ALL), CHECK: verdict, REPAIR: fixed})
    assert (await ask(model, "deconstruct", graph_settings={"critic": "critic"})).answer == "7"
