"""What siblings share comes first, byte for byte, in every graph that ships: a server's prefix cache needs it."""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.graphs.registry import SHIPPED
from maieutic.llm.scripted import ScriptedModel, call_tool, encode, prompt_ids
from maieutic.runner import open_runner
from maieutic.tasks.task import Task
from maieutic.tools.tool import tool
from maieutic.types import Completion, Message, Request
from tests.conftest import Ask

QUESTION = "What is 4 + 3, when all of it is counted twice and then halved again?"
CONVERSATION: Mapping[str, Mapping[str, Any]] = {
    "debate": {"debaters": 3, "rounds": 2},
    "self_consistency": {"samples": 6, "early_stop": False},
}
WITH_TOOLS: Mapping[str, Mapping[str, Any]] = {
    "planner": {"trajectory": "none/program/verify"},
    "cascade": {"stages": ["greedy", "tool"], "threshold": 2},
}

TOOLLESS = {
    "deepening",
    "long_short",
    "peers",
    "rethink",
    "round_table",
    "speculative",
}
"""Graphs that offer no tools, whatever the run has."""


@tool
async def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


@tool
async def double(a: int) -> str:
    """Doubles a number."""
    return str(2 * a)


def talkative(request: Request) -> str | Completion:
    """Uses a tool first wherever there is one, then gives an answer of its own seed: nobody ever agrees."""
    if request.tools and request.messages[-1]["role"] != "tool":
        return call_tool("add", a=4, b=3)
    return f"The sum is worked out here.\nFirst wrong step: 1\nAnswer: {request.sampling.seed}"


async def requests_of(ask: Ask, graph: str, *, tools: bool) -> list[Request]:
    model = ScriptedModel(talkative, latency=0.001)
    settings = {**CONVERSATION.get(graph, {}), **(WITH_TOOLS.get(graph, {}) if tools else {})}
    try:
        await ask(model, graph, QUESTION, graph_settings=settings, tools=[add, double] if tools else [])
    except UserError as error:
        pytest.skip(f"the prompts of {graph} were NOT checked: {error}")
    return model.requests


def rendered(request: Request) -> str:
    return bytes(i if i < 256 else 10 for i in prompt_ids(request.messages)).decode()


@pytest.mark.parametrize("tools", [False, True])
@pytest.mark.parametrize("graph", SHIPPED)
async def test_tools_are_listed_in_one_order_and_messages_grow_only_at_their_end(
    ask: Ask, graph: str, tools: bool
) -> None:
    requests = await requests_of(ask, graph, tools=tools)
    assert requests
    with_tools = [request.tools for request in requests if request.tools]
    assert len({tuple(map(repr, specs)) for specs in with_tools}) <= 1
    assert bool(with_tools) == (tools and graph not in TOOLLESS)
    if with_tools:
        assert [spec.name for spec in with_tools[0]] == ["add", "double"]
    for request in requests:
        if request.messages[-1]["role"] == "tool":  # a later turn
            earlier = [r for r in requests if r is not request and request.messages[: len(r.messages)] == r.messages]
            assert earlier and any(len(r.messages) == len(request.messages) - 2 for r in earlier)


@pytest.mark.parametrize("graph", SHIPPED)
async def test_the_system_prompt_comes_first_and_the_question_before_whatever_differs(ask: Ask, graph: str) -> None:
    """Among the requests of one role the question is part of what they share."""
    requests = await requests_of(ask, graph, tools=False)
    for request in requests:
        assert [m["role"] for m in request.messages[:2]] == ["system", "user"]
    for system in {str(request.messages[0]["content"]) for request in requests}:
        same_role = [rendered(r) for r in requests if r.messages[0]["content"] == system]
        if len(same_role) > 1:
            assert QUESTION in os.path.commonprefix(same_role)


async def test_samples_go_out_together_with_the_same_bytes(ask: Ask) -> None:
    model = ScriptedModel(talkative, latency=0.01)
    await ask(model, "self_consistency", QUESTION, graph_settings={"samples": 6, "early_stop": False})
    assert model.peak == 6
    assert len({prompt_ids(request.messages) for request in model.requests}) == 1
    assert len({request.sampling.seed for request in model.requests}) == 6


async def test_solvers_of_a_debate_start_alike_and_debaters_differ_in_their_last_line_alone(ask: Ask) -> None:
    requests = await requests_of(ask, "debate", tools=False)
    assert len({rendered(request) for request in requests[:3]}) == 1
    rounds = [r for r in requests if "is your own." in str(r.messages[1]["content"])]
    assert len(rounds) == 6
    for siblings in (rounds[:3], rounds[3:]):
        texts = [str(r.messages[1]["content"]).rsplit("\n", 1) for r in siblings]
        assert len({shared for shared, _ in texts}) == 1
        assert sorted(last for _, last in texts) == [f"Solution {i} is your own." for i in (1, 2, 3)]


async def test_a_critic_sees_the_problem_before_what_changed_since_the_last_round(ask: Ask) -> None:
    requests = await requests_of(ask, "critique", tools=False)
    critics = [rendered(r) for r in requests if "You check solutions" in rendered(r)]
    assert len(critics) == 2
    assert f"Problem:\n{QUESTION}\n\nSolution:\n" in os.path.commonprefix(critics)


async def test_what_was_said_before_stays_in_front_of_the_next_question(ask: Ask) -> None:
    """In a conversation, too, a later prompt begins with the earlier one and its answer."""
    model = ScriptedModel("Answer: 7")
    async with open_runner("direct", model=model) as runner:
        await runner.start(Task(question="What is 4 + 3?"), seed=0).result()
        first = model.requests[0]
        history: tuple[Message, ...] = (first.messages[1], {"role": "assistant", "content": "Answer: 7"})
        await runner.start(Task(question="And twice that?"), seed=0, history=history).result()
    said = (*prompt_ids(first.messages), *encode("Answer: 7"))
    assert prompt_ids(model.requests[1].messages)[: len(said)] == said
