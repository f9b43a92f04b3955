"""Twelve trajectories, one of them for each question."""

from pathlib import Path

import pytest

from maieutic.agents.analyst import read_parts
from maieutic.errors import ConfigError, ModelError, UserError
from maieutic.graphs.planner import ARMS, TRAJECTORIES
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.memory.outcomes import Outcomes, Trial
from maieutic.tools.tool import tool
from maieutic.trace.reader import TraceReader
from tests.conftest import Ask

SOLVE, EXECUTE, REPHRASE, DECOMPOSE = (
    "Solve the problem. Work",
    "with the help of the analysis",
    "State the question",
    "Take the",
)
CHECK, REPAIR = "You check", "You repair"


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_there_are_twelve() -> None:
    assert len(TRAJECTORIES) == len(set(TRAJECTORIES)) == len(ARMS) == 12


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
async def test_every_trajectory_asks_whom_it_names(ask: Ask, trajectory: str) -> None:
    analysis, solution, verification = trajectory.split("/")
    model = ScriptedModel(
        {
            REPHRASE: "<rewrite>Add 4 and 3.</rewrite>",
            DECOMPOSE: "1. What is 4?\n2. What is 3?",
            SOLVE: [call_tool("add", a=4, b=3), "Answer: 8"] if solution == "program" else "Answer: 8",
            EXECUTE: [call_tool("add", a=4, b=3), "Answer: 8"] if solution == "program" else "Answer: 8",
            CHECK: "First wrong step: 1",
            REPAIR: "Answer: 7",
        }
    )
    result = await ask(model, "planner", tools=[add], graph_settings={"trajectory": trajectory})
    assert result.answer == ("7" if verification == "verify" else "8")
    expected = (analysis != "none") + (2 if solution == "program" else 1) + 2 * (verification == "verify")
    assert len(model.requests) == expected
    asked = model.requests[analysis != "none"]
    shown = str(asked.messages[1]["content"])
    notes = {"none": "", "rewrite": "Add 4 and 3.", "decompose": "1. What is 4?\n2. What is 3?"}[analysis]
    assert notes in shown and len(asked.tools) == (solution == "program")


@pytest.mark.parametrize(("analysis", "calls"), [("Hmm.", 3), (ModelError("gone"), 2)])
async def test_an_analysis_that_can_not_be_read_or_had_is_none(ask: Ask, analysis: str | Exception, calls: int) -> None:
    model = ScriptedModel({DECOMPOSE: analysis, SOLVE: "Answer: 7"})
    result = await ask(model, "planner", graph_settings={"trajectory": "decompose/cot/none"})
    assert (result.answer, len(model.requests)) == ("7", calls)


@pytest.mark.parametrize(
    ("check", "repair", "answer"),
    [("Hmm.", "Answer: 7", "8"), ("First wrong step: none", "Answer: 7", "8"), ("First wrong step: 1", "I see.", "8")],
)
async def test_only_what_is_rejected_and_repaired_changes(ask: Ask, check: str, repair: str, answer: str) -> None:
    model = ScriptedModel({SOLVE: "Answer: 8", CHECK: check, REPAIR: repair})
    result = await ask(model, "planner", graph_settings={"trajectory": "none/cot/verify"})
    assert result.answer == answer


async def test_programs_need_a_tool(ask: Ask) -> None:
    with pytest.raises(UserError, match="--tool python"):
        await ask(ScriptedModel(""), "planner", graph_settings={"trajectory": "none/program/none"})


async def test_an_unknown_trajectory_is_refused(ask: Ask) -> None:
    with pytest.raises(ConfigError, match="there is no trajectory"):
        await ask(ScriptedModel(""), "planner", graph_settings={"trajectory": "none/none/none"})


async def test_the_nearest_questions_decide_without_tools_no_program_does(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    like = [f"What is {n} + 3?" for n in (5, 6, 8)]
    for name, right in (("none/program/none", True), ("rewrite/cot/none", True), ("none/cot/none", False)):
        Outcomes(path).add([Trial(question, name, right, 10, "scripted") for question in like])
    model = ScriptedModel({REPHRASE: "<rewrite>Add.</rewrite>", EXECUTE: "Answer: 7", SOLVE: "Answer: 8"})
    result = await ask(model, "planner", graph_settings={"outcomes": str(path)})
    assert result.answer == "7"
    with TraceReader(result.trace) as reader:
        (gate,) = reader.run(result.run_id).events_of("gate")
    assert (gate.fields["gate"], gate.fields["decision"]) == ("trajectory", "rewrite/cot/none")
    result = await ask(model, "planner", tools=[add], graph_settings={"outcomes": str(path)})
    assert len(model.requests[-1].tools) == 1
    far = await ask(model, "planner", task="Who is she, and why?", graph_settings={"outcomes": str(path)})
    assert far.answer == "8"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Sure.\n1. What is a?\n2) What is b?", "1. What is a?\n2. What is b?"),
        ("### Step 1: What is a?\n3. What is c?", "1. What is a?\n2. What is c?"),
        ("<think>1. no</think>", None),
        ("What is a?", None),
        ("", None),
    ],
)
def test_parts_are_read_or_missing(text: str, parts: str | None) -> None:
    assert read_parts(text) == parts
