"""For each question one strategy, decided by figures that are logged, and a form that is checked by rule."""

from pathlib import Path

import pytest

from maieutic.agents.selector import read_selection
from maieutic.errors import ModelError, UserError
from maieutic.graphs.choosing import best
from maieutic.graphs.strategist import by_rule
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.memory.outcomes import Outcomes, Record, Trial
from maieutic.runner import Result
from maieutic.tools.tool import tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from tests.conftest import Ask

SOLVE, DIRECT, SELECT, REVISE = "Solve the problem", "Answer at once", "You decide", "does not keep"
QUESTION = "What is 4 + 3?"


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


def decision(result: Result) -> tuple[str, dict[str, object]]:
    gate = next(e for e in recorded(result).events_of("gate") if e.fields["gate"] == "strategy")
    return gate.fields["decision"], gate.fields["inputs"]


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize(
    ("features", "strategy"),
    [
        ({"demands": ["keyword", "length"]}, "direct"),
        ({"demands": ["length"]}, "think"),
        ({"demands": ["format"], "numbers": 2, "tools": True}, "think"),
        ({"numbers": 2, "tools": True}, "tool"),
        ({"numbers": 2}, "think"),
        ({"words": 6}, "direct"),
        ({"words": 6, "work": True}, "vote"),
        ({"words": 60}, "vote"),
    ],
)
def test_rules_decide_by_what_can_be_seen(features: dict[str, object], strategy: str) -> None:
    seen = {"demands": [], "numbers": 0, "words": 30, "work": False, "tools": False, **features}
    assert by_rule(seen, "vote") == strategy


@pytest.mark.parametrize(
    ("text", "think"),
    [("Think: yes", True), ("**Think:** No.", False), ("Think: no\nThink: yes", True), ("Perhaps.", None), ("", None)],
)
def test_a_selection_is_read_or_missing(text: str, think: bool | None) -> None:
    assert read_selection(text) is think


async def test_the_gate_says_what_the_rules_saw(ask: Ask) -> None:
    result = await ask(ScriptedModel({SOLVE: "Answer: 7"}), "strategist", task=QUESTION)
    chosen, inputs = decision(result)
    assert (result.answer, chosen, inputs["numbers"], inputs["tools"]) == ("7", "think", 2, False)
    result = await ask(ScriptedModel({DIRECT: "Answer: Oslo"}), "strategist", task="Name the capital of Norway.")
    assert (result.answer, decision(result)[0]) == ("Oslo", "direct")


async def test_think_gets_no_tools_and_tool_does(ask: Ask) -> None:
    model = ScriptedModel([call_tool("add", a=4, b=3), "Answer: 7"])
    result = await ask(model, "strategist", tools=[add])
    assert (decision(result)[0], len(model.requests), len(model.requests[0].tools)) == ("tool", 2, 1)
    model = ScriptedModel({SOLVE: "Answer: 7"})
    await ask(model, "strategist", tools=[add], graph_settings={"strategy": "think"})
    assert model.requests[0].tools == ()


async def test_a_fixed_strategy_is_followed(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7"})
    result = await ask(model, "strategist", graph_settings={"strategy": "vote", "samples": 4})
    assert (result.answer, decision(result)[0], len(recorded(result).events_of("vote"))) == ("7", "vote", 1)
    await ask(model, "strategist", graph_settings={"strategy": "greedy"})
    assert model.requests[-1].sampling.temperature == 0
    with pytest.raises(UserError, match="--tool"):
        await ask(model, "strategist", graph_settings={"strategy": "tool"})


@pytest.mark.parametrize(
    ("said", "chosen", "think"),
    [
        ("Think: yes", "think", True),
        ("Think: no", "direct", False),
        ("Well.", "greedy", None),
        (ModelError("gone"), "greedy", None),
    ],
)
async def test_the_model_may_decide_itself(ask: Ask, said: str | Exception, chosen: str, think: bool | None) -> None:
    model = ScriptedModel({SELECT: said, SOLVE: "Answer: 7", DIRECT: "Answer: 7"})
    result = await ask(model, "strategist", graph_settings={"mode": "self", "default": "greedy"})
    assert (decision(result)[0], decision(result)[1]["think"]) == (chosen, think)


async def test_outcomes_of_like_questions_decide_and_ties_go_to_the_cheaper(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    like = [f"What is {n} + 3?" for n in (5, 6, 8)]
    trials = [Trial(q, "vote", True, 90, "scripted") for q in like] + [
        Trial(q, "direct", True, 9, "scripted") for q in like
    ]
    Outcomes(path).add([*trials, *(Trial(q, "think", False, 30, "scripted") for q in like)])
    settings = {"mode": "outcomes", "outcomes": str(path)}
    result = await ask(ScriptedModel({DIRECT: "Answer: 7"}), "strategist", graph_settings=settings)
    chosen, inputs = decision(result)
    assert (chosen, inputs["looked_up"], len(inputs["records"])) == ("direct", True, 3)  # type: ignore[arg-type]
    far = "Which river flows through the capital of Peru and who wrote about it?"
    result = await ask(ScriptedModel({SOLVE: "Answer: Rimac"}), "strategist", task=far, graph_settings=settings)
    assert decision(result)[0] == "think" and decision(result)[1]["looked_up"] is False
    other = ScriptedModel({SOLVE: "Answer: 7"}, name="another")
    assert decision(await ask(other, "strategist", graph_settings=settings))[0] == "think"


def test_outcomes_need_a_file(tmp_path: Path) -> None:
    from maieutic.graphs.registry import load_graph

    with pytest.raises(UserError, match="maieutic plan"):
        load_graph("strategist", {"mode": "outcomes"})


def test_the_best_arm_is_known_well_enough_and_was_ever_right() -> None:
    found = [Record("a", 1.0, 1, 5), Record("b", 0.8, 5, 50), Record("c", 0.75, 5, 10)]
    assert best(found, 3) == "b" and best(found, 1) == "a" and best(found, 3, margin=0.1) == "c"
    assert best([Record("a", 0.0, 9, 5)], 3) is None and best([], 1) is None


async def test_a_demand_that_a_thought_forgot_is_repaired_once(ask: Ask) -> None:
    question = "Describe rain in exactly 2 words."
    model = ScriptedModel({SOLVE: "Answer: water that falls", REVISE: "Answer: falling water"})
    result = await ask(model, "strategist", task=question)
    assert (result.answer, len(model.requests)) == ("falling water", 2)
    assert "exactly 2 words" in str(model.requests[1].messages[1]["content"])
    gates = [(e.fields["gate"], e.fields["decision"]) for e in recorded(result).events_of("gate")]
    assert gates == [("strategy", "think"), ("demands", "repair"), ("revision", "taken")]
    model = ScriptedModel({SOLVE: "Answer: water that falls", REVISE: "Answer: water that falls down"})
    result = await ask(model, "strategist", task=question)
    assert (result.answer, len(model.requests)) == ("water that falls", 2)
    model = ScriptedModel({SOLVE: "Answer: wet air"})
    assert (await ask(model, "strategist", task=question)).answer == "wet air" and len(model.requests) == 1


async def test_an_empty_revision_is_dropped(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: the bad rain", REVISE: "Answer:"})
    settings = {"strategy": "think"}
    task = "Describe rain. Do not use the word 'bad'."
    assert (await ask(model, "strategist", task=task, graph_settings=settings)).answer == "the bad rain"
