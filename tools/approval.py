"""Approval: tool calls that wait for a person's word, who is asked, and what becomes of the run meanwhile."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from maieutic.tools.tool import Tool
from maieutic.types import ToolCall, ToolResult

ALL = "all"


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that waits. `arguments` is the JSON text as the model wrote it, `call_id` the model call it came from."""

    run_id: str
    branch: str
    call_id: str
    tool_call_id: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word about one call. `arguments` are to be used in place of the model's; the model reads `reason`."""

    allowed: bool
    arguments: str | None = None
    reason: str = ""
    by: str = "callback"

    def of(self, call: ToolCall) -> ToolCall:
        """The call as it is allowed."""
        return call if self.arguments is None else replace(call, arguments=self.arguments)

    def marked(self, result: ToolResult) -> ToolResult:
        """A result that says who allowed it, and with which arguments where these are not the model's."""
        edited = {} if self.arguments is None else {"arguments": self.arguments}
        return replace(result, meta={**result.meta, "approved_by": self.by, **edited})

    def refusal(self, call: ToolCall) -> ToolResult:
        """What the model reads of a call that was not allowed."""
        why = f" The reason: {self.reason.strip().rstrip('.')}." if self.reason.strip() else ""
        said = f"{call.name} was not run: the user did not allow this call.{why} Go on without it."
        return ToolResult(call.id, call.name, said, "error", 0.0, {"denied_by": self.by})


Answer = Decision | bool | None
Approver = Callable[[Pending], Answer | Awaitable[Answer]]
"""Asked before a call: whether it may be made, or None where nobody can say now. Then the run ends, to be resumed."""


@dataclass
class Approval:
    """Approval in one run: `tools` wait for it by name (`all` is every tool), beside those whose policy says so.

    Where nobody can say, `pause` is called with a sentence, after everything else under way has come to its end, and is
    to cancel whoever waits. `waiting` are the calls that are undecided.
    """

    tools: frozenset[str] = frozenset()
    approver: Approver | None = None
    pause: Callable[[str], None] | None = None
    waiting: list[Pending] = field(default_factory=list)
    _under_way: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def needed(self, tool: Tool) -> bool:
        return tool.policy.approval or tool.name in self.tools or ALL in self.tools

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Work that a pause waits for."""
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def decide(self, pending: Pending) -> Decision:
        """The word about a call; where there is none to be had, this ends only by being cancelled."""
        self.waiting.append(pending)
        answer = None
        if self.approver is not None:
            answer = self.approver(pending)
            if inspect.isawaitable(answer):
                answer = await answer
        if answer is None:
            await self._wait_for_ever(pending)
        self.waiting.remove(pending)
        return answer if isinstance(answer, Decision) else Decision(bool(answer))

    async def _wait_for_ever(self, pending: Pending) -> NoReturn:
        await asyncio.sleep(0)  # what was started beside this call begins
        while self._under_way:
            await self._idle.wait()
            await asyncio.sleep(0)
        if self.pause is not None:
            again = f"`maieutic ask --resume {pending.run_id} --approve-pending yes` (or no)"
            self.pause(f"waiting for approval of {pending.tool}: {again} goes on.")
        await asyncio.Event().wait()
        raise AssertionError("nobody sets the event")
