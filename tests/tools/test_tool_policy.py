"""The execution policy: time, tries, calls at once, the size of results, and failures of every kind."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from maieutic.errors import BudgetExceeded, ModelError, ToolError, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools.policy import Policy
from maieutic.tools.tool import Reply, Session, Tool, tool
from maieutic.types import ToolCall, ToolResult
from tests.conftest import Ask


async def called(one: Tool, arguments: str = "{}") -> ToolResult:
    return await one.call(ToolCall("1", one.name, arguments), Session())


async def test_a_call_that_takes_too_long_is_ended() -> None:
    ended: list[str] = []

    @tool(timeout=0.05)
    async def slow() -> str:
        """Be slow."""
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleaned up")
        return ""

    result = await called(slow)
    assert (result.content, result.status) == ("slow failed: it did not end within 0.05 s", "timeout")
    assert ended == ["cleaned up"]


async def test_a_blocking_function_runs_beside_the_loop_and_can_be_late_too() -> None:
    let_go = threading.Event()

    @tool(timeout=0.05)
    def block(wait: bool) -> str:
        """Block."""
        if wait:
            let_go.wait(60)
        return threading.current_thread().name

    try:
        assert (await called(block, '{"wait": true}')).status == "timeout"
        assert (await called(block, '{"wait": false}')).content == "maieutic-tool"
    finally:
        let_go.set()


def failing(times: int, error: Callable[[], BaseException]) -> tuple[Callable[[], Any], list[int]]:
    calls: list[int] = []

    async def flaky() -> str:
        """Fail at first."""
        calls.append(1)
        if len(calls) <= times:
            raise error()
        return "here"

    return flaky, calls


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (lambda: ConnectionError("gone"), True),
        (lambda: TimeoutError("no reply"), True),
        (lambda: SystemExit(3), True),
        (lambda: ModelError("busy", retryable=True), True),
        (lambda: ModelError("no such model"), False),
        (lambda: ToolError("there is no such city"), False),
        (lambda: ValueError("7 is odd"), False),
    ],
)
async def test_what_may_pass_is_tried_again(error: Callable[[], BaseException], again: bool) -> None:
    flaky, calls = failing(2, error)
    result = await called(tool(retries=2, wait=0.0)(flaky))
    if again:
        assert (result.content, result.status, result.meta) == ("here", "ok", {"attempts": 3})
    else:
        assert (len(calls), result.status, result.meta) == (1, "error", {})


async def test_in_the_end_it_says_how_often_it_tried() -> None:
    flaky, calls = failing(9, lambda: ConnectionError("gone"))
    result = await called(tool(retries=1, wait=0.0)(flaky))
    assert result.content == "flaky failed: ConnectionError: gone (tried 2 times)"
    assert (len(calls), result.meta) == (2, {"attempts": 2})


async def test_so_many_calls_run_at_once() -> None:
    running, peak = 0, 0

    @tool(concurrency=2)
    async def work() -> str:
        """Work."""
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1
        return ""

    await asyncio.gather(*(called(work) for _ in range(7)))
    assert peak == 2


def test_a_limited_tool_may_be_used_in_one_event_loop_after_another() -> None:
    @tool(concurrency=1)
    async def work() -> str:
        """Work."""
        await asyncio.sleep(0)
        return "done"

    async def both() -> list[ToolResult]:
        return list(await asyncio.gather(called(work), called(work)))

    for _ in range(2):
        assert [r.content for r in asyncio.run(both())] == ["done", "done"]


async def test_a_huge_result_keeps_its_head_and_its_tail() -> None:
    @tool(max_result_chars=300)
    async def huge() -> str:
        """Say a lot."""
        return "a" * 5000 + "b" * 5000

    result = await called(huge)
    head, mark, tail = result.content.split("\n")
    assert (head, tail) == ("a" * 200, "b" * 100)
    assert mark == "[… 9,700 of 10,000 characters are left out here …]"
    assert result.meta == {"truncated": 9700}


class Odd:
    def __repr__(self) -> str:
        return "an odd thing"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "[give returned nothing.]"),
        ("", ""),
        (
            {
                "ö": {
                    1,
                }
            },
            '{"ö": [1]}',
        ),
        ({(1, 2): Odd()}, '{"1,2": "an odd thing"}'),
        (b"\xff", "b'\\xff'"),
        (circle(), "[[...]]"),
        ("half \ud83d", "half ?"),
        (Reply(7), "7"),  # type: ignore[arg-type]
    ],
)
async def test_whatever_a_function_returns_becomes_text(value: Any, text: str) -> None:
    @tool
    async def give() -> Any:
        """Give."""
        return value

    result = await called(give)
    assert (result.content, result.status) == (text, "ok")


async def test_facts_that_are_no_json_are_written_down_all_the_same(ask: Ask) -> None:
    @tool
    async def give() -> Reply:
        """Give."""
        return Reply("7", meta={"odd": Odd(), "circle": circle()})

    assert (await ask(ScriptedModel([call_tool("give"), "Answer: 7"]), tools=[give])).answer == "7"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (lambda: SystemExit(3), "broken failed: SystemExit: 3"),
        (lambda: asyncio.CancelledError(), "broken failed: CancelledError"),
        (lambda: BaseException("odd"), "broken failed: BaseException: odd"),
        (lambda: ExceptionGroup("two", [KeyError("a")]), "broken failed: ExceptionGroup: two (1 sub-exception)"),
        (lambda: Unspeakable(), "broken failed: Unspeakable: the error can't be shown"),
        (lambda: ModelError("the embedder is away"), "broken failed: ModelError: the embedder is away"),
        (lambda: StopAsyncIteration(), "broken failed: StopAsyncIteration"),
        (lambda: ValueError(), "broken failed: ValueError"),
    ],
)
@pytest.mark.parametrize("blocking", [False, True])
async def test_no_failure_of_a_tool_ends_its_run(
    ask: Ask, error: Callable[[], BaseException], text: str, blocking: bool
) -> None:
    async def broken() -> str:
        """Break."""
        raise error()

    def broken_blocking() -> str:
        """Break."""
        raise error()

    broken_blocking.__name__ = "broken"
    model = ScriptedModel([call_tool("broken"), "Answer: 7"])
    result = await ask(model, tools=[tool(broken_blocking if blocking else broken)])
    assert (result.answer, result.partial) == ("7", False)
    assert model.requests[1].messages[-1]["content"] == text


async def test_a_tool_that_uses_its_task_for_itself_can_not_cancel_the_run(ask: Ask) -> None:
    @tool
    async def broken() -> str:
        """Cancel itself."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)
        return ""

    assert (await ask(ScriptedModel([call_tool("broken"), "Answer: 7"]), tools=[broken])).answer == "7"


@pytest.mark.parametrize("error", [UserError("not here"), BudgetExceeded("calls", "used up")])
async def test_what_is_no_failure_of_the_tool_is_raised(error: Exception) -> None:
    flaky, calls = failing(9, lambda: error)
    with pytest.raises(type(error)):
        await called(tool(retries=3, wait=0.0)(flaky))
    assert len(calls) == 1


async def test_cancelled_from_outside_it_is_cancelled() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def long() -> str:
        """Take long."""
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return ""

    calling = asyncio.create_task(called(long))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert ended.is_set()


@pytest.mark.parametrize(
    "values",
    [{"timeout": 0}, {"retries": -1}, {"wait": -1}, {"concurrency": 0}, {"max_result_chars": 5}],
)
def test_a_policy_that_can_not_be_kept_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Policy(**values)
    with pytest.raises(UserError):
        tool(**values)


def test_a_policy_in_words() -> None:
    assert str(Policy()) == "300 s, 40,000 characters"
    policy = Policy(timeout=None, retries=1, concurrency=4, max_result_chars=500, approval=True)
    assert str(policy) == "no time limit, 1 retry, 4 at once, 500 characters, asks first"
    assert policy.facts()["concurrency"] == 4 and list(policy.facts()) == list(Policy.__slots__)


def test_a_thread_that_never_ends_does_not_hold_up_the_program() -> None:
    code = (
        "import asyncio, time\n"
        "from maieutic.tools.tool import Session, tool\n"
        "from maieutic.types import ToolCall\n"
        "@tool(timeout=0.05)\n"
        "def hang() -> str:\n"
        "    while True: time.sleep(1)\n"
        "print(asyncio.run(hang.call(ToolCall('1', 'hang', '{}'), Session())).status)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("timeout\n", 0), done.stderr
