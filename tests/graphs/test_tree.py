"""A search over steps: what is sampled, valued, backed up, committed and recorded, and that nothing missing is 0."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.valuer import read_status
from maieutic.errors import ModelError, UserError
from maieutic.llm.scripted import Reply, ScriptedModel, call_tool
from maieutic.memory.lessons import Lesson, Lessons
from maieutic.recipes.linearise import calls_after, ends_at, goal_of, linearise, tree_of
from maieutic.runner import Result
from maieutic.tasks.task import Task
from maieutic.tools.tool import Session, tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Request, ToolCall
from tests.conftest import Ask

SMALL: dict[str, Any] = {"samples": 4, "branching": 2, "evaluations": 3, "judges": 1, "steps": 3, "reflect": False}


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


def steps_in(request: Request) -> str:
    return str(request.messages[1]["content"]).partition("Steps so far:\n")[2].partition("\n\nArguments:")[0]


class Roles:
    """A scripted model that answers by role: steps in turn for what stands in the steps so far, values by text."""

    def __init__(self, step: Callable[[str, int], Reply], value: Callable[[str], Reply], **others: Reply) -> None:
        self.step, self.value, self.others = step, value, others
        self.count: dict[str, int] = {}
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Reply:
        system, shown = str(request.messages[0]["content"]), steps_in(request)
        roles = {"one step at a time": "step", "say how it stands": "value", "You argue that it is:": "for"}
        roles |= {"You argue that it isn't": "against", "what you expect": "expect", "was expected of one": "hindsight"}
        role = next((role for text, role in roles.items() if text in system), "finish")
        self.asked.append(role)
        if role == "step":
            n = self.count[shown] = self.count.get(shown, 0) + 1
            return self.step(shown, n - 1)
        return self.value(shown) if role == "value" else self.others.get(role, "It is so.")


def two_ways(shown: str, n: int) -> Reply:
    """Three of four samples begin wrongly; each way has its answer."""
    if shown == "none yet":
        return "Begin well." if n % 4 == 3 else "Begin badly."
    return "Answer: 7" if "well" in shown else "Answer: 8"


def fair(shown: str) -> Reply:
    return f"Status: {'A' if 'Answer: 7' in shown else 'B' if 'well' in shown else 'E'}"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Status: B", "B"),
        ("It holds.\n**Status:** a", "A"),
        ("Status: A\nStatus: E", "E"),
        ("Status: F", None),
        ("", None),
    ],
)
def test_a_status_is_read_or_missing(text: str, status: str | None) -> None:
    assert read_status(text) == status


async def test_values_overrule_what_is_sampled_most_and_a_value_of_1_ends_the_search(ask: Ask) -> None:
    roles = Roles(two_ways, fair)
    result = await ask(ScriptedModel(roles), "tree", graph_settings={**SMALL, "evaluations": 20})
    assert result.answer == "7"
    run = recorded(result)
    tree = tree_of(run)
    priors = {node.action: node.prior for node in tree.values()}
    assert (priors["Begin badly."], priors["Begin well."]) == (0.75, 0.25)
    gates = [e.fields for e in run.events_of("gate") if e.fields["gate"] == "step"]
    assert gates[0]["inputs"]["solved"] is True and len(gates) == 1
    assert result.text == "Begin well.\n\nAnswer: 7"
    committed = [e.fields["action"] for e in run.events_of("tree") if e.fields["committed"]]
    assert committed == ["Begin well.", "Answer: 7"]


async def test_the_tree_event_has_what_the_format_says(ask: Ask) -> None:
    run = recorded(await ask(ScriptedModel(Roles(two_ways, fair)), "tree", graph_settings=SMALL))
    named = {"id", "up", "depth", "call_id", "action", "observation", "value", "visits", "q", "prior", "terminal"}
    events = run.events_of("tree")
    assert all(named <= set(event.fields) for event in events)
    calls = {call.call_id: call for call in run.calls}
    for node in tree_of(run).values():
        if node.up is not None:
            completion = calls[node.call_id].completion
            assert completion is not None and completion.text == node.action
    root = tree_of(run)["n0"]
    assert root.visits == sum(n.visits for n in tree_of(run).values() if n.up == "n0")


async def test_a_debate_is_held_side_by_side_and_then_judged(ask: Ask) -> None:
    roles = Roles(two_ways, fair, **{"for": "It holds.", "against": "It does not."})
    model = ScriptedModel(roles, latency=0.01)
    result = await ask(model, "tree", graph_settings={**SMALL, "judges": 3, "evaluations": 1, "steps": 1})
    assert roles.asked[4:][:5] == ["for", "against", "value", "value", "value"]
    valued = next(r for r in model.requests if "say how it stands" in str(r.messages[0]["content"]))
    assert str(valued.messages[1]["content"]).endswith("It holds.\n\nIt does not.")
    parents = [p.type for call in recorded(result).calls if call.role == "valuer" for p in call.parents]
    assert parents == ["judge", "debate", "debate"] * 3
    alone = Roles(two_ways, fair)
    await ask(ScriptedModel(alone), "tree", graph_settings={**SMALL, "debate": False, "evaluations": 1, "steps": 1})
    assert alone.asked[4:5] == ["value"] and "for" not in alone.asked


async def test_every_call_names_the_step_it_begins_from(ask: Ask) -> None:
    roles = Roles(lambda shown, n: f"Thought {len(shown)} {n % 2}.", lambda _: "Status: C", finish="Answer: 7")
    run = recorded(await ask(ScriptedModel(roles), "tree", graph_settings={**SMALL, "steps": 2}))
    of_node = {node.id: node.call_id for node in tree_of(run).values()}
    types = {"stepper": "continuation", "supporter": "debate", "opponent": "debate", "valuer": "judge"}
    calls = [call for call in run.calls if call.role in types]
    assert {call.role for call in calls} == set(types)
    for call in calls:
        step = of_node[call.branch.split("-")[0]]
        assert (call.parents[0].call_id, call.parents[0].type) == (step, types[call.role]) if step else not call.parents
    taken = [event.fields["call_id"] for event in run.events_of("tree") if event.fields["committed"]]
    (finish,) = [call for call in run.calls if call.role == "executor"]
    assert [(p.call_id, p.type) for p in finish.parents] == [(taken[-1], "continuation")]


@pytest.mark.parametrize("failing", [ModelError("gone"), "I can't say."])
async def test_a_value_that_fails_is_missing_and_never_0(ask: Ask, failing: Reply) -> None:
    """The released code takes 0: then a state that could not be valued looks like a lost one."""

    def value(shown: str) -> Reply:
        return failing if "badly" in shown else "Status: C"

    run = recorded(await ask(ScriptedModel(Roles(two_ways, value)), "tree", graph_settings={**SMALL, "steps": 1}))
    by_action = {node.action: node for node in tree_of(run).values()}
    bad, root = by_action["Begin badly."], by_action[""]
    assert bad.visits > 0 and bad.value is None and bad.q is None
    assert root.q is None or root.q == 0.5
    missing = [e for e in run.events_of("gate") if e.fields["gate"] == "value" and e.fields["decision"] == "missing"]
    assert missing

    def lost(shown: str) -> Reply:
        return "Status: E" if "badly" in shown else "Status: C"

    run = recorded(await ask(ScriptedModel(Roles(two_ways, lost)), "tree", graph_settings={**SMALL, "steps": 1}))
    assert {node.action: node.value for node in tree_of(run).values()}["Begin badly."] == 0.0


async def test_the_mapping_and_the_mean_over_judges(ask: Ask) -> None:
    said = iter(["Status: D", "Status: E", "Hmm.", "Still hmm."])
    settings = {**SMALL, "judges": 3, "evaluations": 1, "steps": 1, "mapping": "reinforced", "debate": False}
    model = ScriptedModel(Roles(two_ways, lambda _: next(said)))
    run = recorded(await ask(model, "tree", graph_settings=settings))
    assert [n.value for n in tree_of(run).values() if n.visits and n.up] == [pytest.approx(-0.6)]


async def test_steps_bound_the_search_and_a_finisher_answers(ask: Ask) -> None:
    roles = Roles(lambda shown, n: f"Thought {len(shown)} {n % 2}.", lambda _: "Status: C", finish="Answer: 7")
    result = await ask(ScriptedModel(roles), "tree", graph_settings={**SMALL, "steps": 2})
    assert (result.answer, roles.asked.count("finish")) == ("7", 1)
    gates = [e for e in recorded(result).events_of("gate") if e.fields["gate"] == "step"]
    assert len(gates) == 2
    assert max(e.fields["depth"] for e in recorded(result).events_of("tree")) <= 2 + 4


async def test_depth_bounds_the_look_ahead(ask: Ask) -> None:
    roles = Roles(lambda shown, n: f"Thought {len(shown)}.", lambda _: "Status: B", finish="Answer: 7")
    settings = {**SMALL, "steps": 1, "evaluations": 12, "depth": 2, "branching": 1, "samples": 1}
    run = recorded(await ask(ScriptedModel(roles), "tree", graph_settings=settings))
    assert max(e.fields["depth"] for e in run.events_of("tree")) == 2
    assert roles.asked.count("value") == 2  # a state is valued once, whenever it is visited


async def test_where_no_step_can_be_had_the_finisher_is_asked(ask: Ask) -> None:
    roles = Roles(lambda shown, n: "" if n else ModelError("gone"), lambda _: "Status: C", finish="Answer: 7")
    result = await ask(ScriptedModel(roles), "tree", graph_settings=SMALL)
    assert (result.answer, roles.asked.count("step"), roles.asked.count("value")) == ("7", 4, 0)


async def test_some_failed_samples_leave_the_others_alone(ask: Ask) -> None:
    def step(shown: str, n: int) -> Reply:
        return ModelError("gone") if shown == "none yet" and n == 0 else two_ways(shown, n)

    result = await ask(ScriptedModel(Roles(step, fair)), "tree", graph_settings={**SMALL, "evaluations": 20})
    assert result.answer == "7"
    assert {n.action: n.prior for n in tree_of(recorded(result)).values()}["Begin badly."] == pytest.approx(2 / 3)


@tool(stateful=True)
async def push(word: str, session: Session) -> str:
    """Put a word behind those that are there."""

    async def open_() -> list[str]:
        return []

    async def close(kept: list[str]) -> None:
        kept.clear()

    words = await session.keep("words", open_, close)
    words.append(word)
    return " ".join(words)


def pushing(shown: str, n: int) -> Reply:
    if shown == "none yet":
        return call_tool("push", word="right" if n % 2 else "wrong")
    if shown.count("[Call of push]") < 2:
        return call_tool("push", word="more")
    return f"Answer: {shown.rsplit(chr(10), 1)[-1]}"


def pushed(shown: str) -> Reply:
    return "Status: E" if "wrong" in shown else "Status: A" if "Answer" in shown else "Status: B"


async def test_a_nodes_tools_stand_where_its_own_steps_left_them(ask: Ask) -> None:
    settings = {**SMALL, "evaluations": 20, "samples": 4}
    result = await ask(ScriptedModel(Roles(pushing, pushed)), "tree", tools=[push], graph_settings=settings)
    assert result.answer == "right more"
    seen = {node.observation for node in tree_of(recorded(result)).values() if node.observation}
    assert {"right", "wrong", "right more"} <= seen <= {"right", "wrong", "right more", "wrong more"}
    assert not [e for e in recorded(result).events_of("note") if "differ" in str(e.fields.get("text"))]


async def test_the_replay_of_the_linearised_walk_ends_in_the_same_state(ask: Ask) -> None:
    settings = {**SMALL, "evaluations": 20, "samples": 4}
    result = await ask(ScriptedModel(Roles(pushing, pushed)), "tree", tools=[push], graph_settings=settings)
    run = recorded(result)
    tree = tree_of(run)
    goal = goal_of(run, tree)
    assert goal is not None and goal.answer == "right more"
    moves = linearise(tree, goal, wrong=2)
    assert [move.kind for move in moves] == ["step", "back", "step", "step", "step"]
    stack = ends_at(moves, tree["n0"])
    session = Session()
    replayed = [
        (await push.call(ToolCall(c["id"], c["name"], c["arguments"]), session)).content
        for c in calls_after(moves, tree["n0"])
    ]
    assert replayed == [node.observation for node in stack if node.tool] == ["right", "right more"]
    await session.close()


async def test_a_replay_that_comes_to_something_else_is_noted(ask: Ask) -> None:
    ran: list[str] = []

    @tool(stateful=True)
    async def tick(word: str, session: Session) -> str:
        """Count all calls ever made."""
        ran.append(word)
        return str(len(ran))

    def step(shown: str, n: int) -> Reply:
        return call_tool("tick", word=f"w{len(shown)}") if shown.count("[Call") < 2 else "Answer: 7"

    model = ScriptedModel(Roles(step, lambda shown: "Status: A" if "Answer" in shown else "Status: C"))
    result = await ask(model, "tree", tools=[tick], graph_settings={**SMALL, "evaluations": 10})
    notes = [e.fields for e in recorded(result).events_of("note") if "something else" in str(e.fields.get("text"))]
    assert result.answer == "7" and notes and notes[0]["calls"]


def turning(shown: str) -> Reply:
    """What looked good turns out to be wrong."""
    return "Status: E" if "Answer" in shown else "Status: B"


async def test_the_most_surprising_step_becomes_a_lesson_for_states_like_it(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    roles = Roles(two_ways, turning, expect="It leads on.", hindsight="Lesson: Check the first step.")
    settings = {**SMALL, "reflect": True, "lessons": str(path), "evaluations": 6}
    result = await ask(ScriptedModel(roles), "tree", graph_settings=settings)
    run = recorded(result)
    (lesson,) = run.events_of("lesson")
    gate = next(e.fields for e in run.events_of("gate") if e.fields["gate"] == "reflection")
    assert gate["decision"] == "reflect" and gate["inputs"]["surprise"] >= 0.5 and gate["inputs"]["success"] is False
    node = tree_of(run)[gate["inputs"]["step"]]
    assert lesson.fields["from"] == [node.call_id]
    assert roles.asked[-2:] == ["expect", "hindsight"]
    model = ScriptedModel(Roles(two_ways, fair))
    await ask(model, "tree", task="What is 5 + 3?", graph_settings={**settings, "reflect": False})
    assert "- Check the first step." in str(model.requests[0].messages[1]["content"])
    assert [kept.text for kept, _ in Lessons(path).like("What is 4 + 3?")] == ["Check the first step."]


async def test_without_surprise_there_is_no_lesson(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    Lessons(path).add(Lesson("a", "Something else entirely, about rivers.", "c1"))
    roles = Roles(two_ways, lambda _: "Status: C")
    settings = {**SMALL, "reflect": True, "lessons": str(path)}
    result = await ask(ScriptedModel(roles), "tree", graph_settings=settings)
    assert not recorded(result).events_of("lesson") and "expect" not in roles.asked and len(Lessons(path)) == 1


async def test_success_is_the_outcome_only_with_an_oracle(ask: Ask) -> None:
    task = Task(question="Which?", gold="8", answer_type="number")
    settings = {**SMALL, "reflect": True, "success": "oracle"}
    roles = Roles(two_ways, turning, hindsight="Lesson: x")
    with pytest.raises(UserError, match="--oracle"):
        await ask(ScriptedModel(roles), "tree", task=task, graph_settings=settings)
    result = await ask(ScriptedModel(roles), "tree", task=task, graph_settings=settings, oracle=True)
    gate = next(e.fields for e in recorded(result).events_of("gate") if e.fields["gate"] == "reflection")
    assert gate["inputs"]["success"] is (result.outcome == "correct")


async def test_a_seed_gives_one_tree(ask: Ask) -> None:
    trees = []
    for _ in range(2):
        result = await ask(ScriptedModel(Roles(two_ways, fair), latency=0.001), "tree", graph_settings=SMALL)
        trees.append(json.dumps([e.fields for e in recorded(result).events_of("tree")], sort_keys=True))
    assert trees[0] == trees[1]
