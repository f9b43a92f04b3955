"""Calls that wait for a person's word: allowed, changed, denied, and left undecided until the run is resumed."""

import asyncio
from typing import Any

import pytest

from maieutic.errors import UnknownName, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.runner import Result, resume
from maieutic.tools.approval import Decision, Pending
from maieutic.tools.tool import Session, Tool, tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, ToolCall
from tests.conftest import Ask


class Till:
    """A tool with consequences, and how often it had them."""

    def __init__(self, approval: bool = False) -> None:
        self.paid: list[int] = []

        @tool(approval=approval)
        async def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        self.pay: Tool = pay


def model() -> ScriptedModel:
    return ScriptedModel([call_tool("pay", amount=5), "Answer: 7"])


def recorded(result: Result) -> RunRecord:
    with TraceReader(result.trace) as reader:
        return reader.run(result.run_id)


@pytest.mark.parametrize(
    ("answer", "paid", "said", "fact"),
    [
        (True, [5], "paid 5", {"approved_by": "callback"}),
        (Decision(True, by="Ada"), [5], "paid 5", {"approved_by": "Ada"}),
        (Decision(True, '{"amount": 2}'), [2], "paid 2", {"approved_by": "callback", "arguments": '{"amount": 2}'}),
        (False, [], "pay was not run: the user did not allow this call. Go on without it.", {"denied_by": "callback"}),
        (
            Decision(False, reason="too dear."),
            [],
            "pay was not run: the user did not allow this call. The reason: too dear. Go on without it.",
            {"denied_by": "callback"},
        ),
    ],
)
async def test_what_is_said_is_done(ask: Ask, answer: Any, paid: list[int], said: str, fact: dict[str, str]) -> None:
    till, script, asked = Till(), model(), list[Pending]()

    async def approver(pending: Pending) -> Any:
        asked.append(pending)
        return answer

    result = await ask(script, tools=[till.pay], approve={"pay"}, approver=approver)
    assert (result.answer, result.partial, result.waiting, till.paid) == ("7", False, (), paid)
    assert script.requests[1].messages[-1]["content"] == said
    assert [(p.tool, p.arguments, p.run_id) for p in asked] == [("pay", '{"amount": 5}', result.run_id)]
    record = recorded(result)
    (request,), (line,) = record.events_of("approval_requested"), record.events_of("tool_result")
    assert line.fields["meta"] == fact and line.fields["arguments"] == request.fields["arguments"] == '{"amount": 5}'


@pytest.mark.parametrize("approve", [["pay"], ["all"], [], "pay"])
async def test_a_tool_waits_where_the_run_or_its_policy_says_so(ask: Ask, approve: Any) -> None:
    till = Till(approval=not approve)
    result = await ask(model(), tools=[till.pay], approve=approve)
    assert result.partial and till.paid == [] and [p.tool for p in result.waiting] == ["pay"]
    assert result.reason.startswith("waiting for approval of pay") and result.run_id in result.reason
    assert result.as_json()["waiting"] == [{"tool": "pay", "arguments": '{"amount": 5}', "branch": ""}]


async def test_without_approval_nobody_is_asked(ask: Ask) -> None:
    till = Till()
    result = await ask(model(), tools=[till.pay], approver=lambda pending: False)
    assert till.paid == [5] and "waiting" not in result.as_json()


async def test_a_tool_that_the_run_has_not_can_not_wait(ask: Ask) -> None:
    with pytest.raises(UnknownName, match="pya"):
        await ask(model(), tools=[Till().pay], approve=["pya"])


@pytest.mark.parametrize(("word", "paid", "said"), [(True, [5], "paid 5"), (False, [], "did not allow")])
async def test_a_waiting_run_goes_on_with_the_word_it_waited_for(
    ask: Ask, word: bool, paid: list[int], said: str
) -> None:
    till, first, second = Till(), model(), ScriptedModel("Answer: 7")
    waiting = await ask(first, tools=[till.pay], approve=["pay"])
    result = await resume(waiting.run_id, traces=waiting.trace, approve_pending=word, model=second, tools=[till.pay])
    assert (result.answer, result.partial, till.paid) == ("7", False, paid)
    assert len(first.requests) == len(second.requests) == 1  # what was said before the pause is not said again
    assert said in str(second.requests[0].messages[-1]["content"])
    assert recorded(result).header.parent == waiting.run_id
    with pytest.raises(UserError, match="has ended"):
        await resume(result.run_id, traces=waiting.trace, model=second, tools=[till.pay])


async def test_still_nobody_there_it_waits_on(ask: Ask) -> None:
    till, script = Till(), ScriptedModel(lambda request: pytest.fail("nothing is to be sampled"))
    waiting = await ask(model(), tools=[till.pay], approve=["pay"])
    for _ in range(2):
        waiting = await resume(waiting.run_id, traces=waiting.trace, model=script, tools=[till.pay])
        assert waiting.partial and [p.tool for p in waiting.waiting] == ["pay"] and till.paid == []


async def test_what_else_is_under_way_comes_to_its_end_before_the_run_waits(ask: Ask) -> None:
    """Two calls side by side: one waits, the other is finished, and not made again when the run goes on."""
    till, looked, may_end = Till(), list[str](), asyncio.Event()

    @tool
    async def look() -> str:
        """Look."""
        await may_end.wait()
        looked.append("looked")
        return "seen"

    def approver(pending: Pending) -> None:
        asyncio.get_running_loop().call_later(0.05, may_end.set)

    both = Completion("", tool_calls=(ToolCall("1", "pay", '{"amount": 5}'), ToolCall("2", "look", "{}")))
    waiting = await ask(ScriptedModel([both]), tools=[till.pay, look], approve=["pay"], approver=approver)
    assert waiting.partial and looked == ["looked"]
    result = await resume(
        waiting.run_id,
        traces=waiting.trace,
        approve_pending=True,
        model=ScriptedModel("Answer: 7"),
        tools=[till.pay, look],
    )
    assert (result.answer, looked, till.paid) == ("7", ["looked"], [5])
    assert [e.fields["meta"].get("replayed") for e in recorded(result).events_of("tool_result")] == [True, None]


async def test_what_a_stateful_tool_had_made_is_there_again(ask: Ask) -> None:
    @tool(stateful=True)
    async def count(session: Session) -> str:
        """Count the calls of this branch."""

        async def open_() -> list[int]:
            return []

        async def close(calls: list[int]) -> None: ...

        calls = await session.keep("count", open_, close)
        calls.append(1)
        return str(len(calls))

    till = Till()
    script = [call_tool("count"), call_tool("count"), call_tool("pay", amount=1)]
    waiting = await ask(ScriptedModel(script), tools=[till.pay, count], approve=["pay"])
    second = ScriptedModel([call_tool("count"), "Answer: 7"])
    result = await resume(
        waiting.run_id, traces=waiting.trace, approve_pending=True, model=second, tools=[till.pay, count]
    )
    counts = [e.fields["content"] for e in recorded(result).events_of("tool_result") if e.fields["name"] == "count"]
    assert counts == ["1", "2", "3"] and till.paid == [1]
