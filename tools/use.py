"""One tool call of a run: looked up, approved, run in its session, and recorded whatever becomes of it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from maieutic.budget import Account
from maieutic.errors import BudgetExceeded
from maieutic.tools.approval import Approval, Decision, Pending
from maieutic.tools.tool import Session, Tool
from maieutic.trace.writer import RunTrace
from maieutic.types import ToolCall, ToolResult, ToolStatus


class PastTools(Protocol):
    """The tool calls of a run that this one goes on from."""

    def result(self, branch: str, call: ToolCall) -> ToolResult | None:
        """What the call came to, None where it has not ended; each result is given once."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """A branch's way to its tools."""

    tools: Mapping[str, Tool]
    branch: str
    session: Session
    account: Account
    approval: Approval
    past: PastTools | None
    trace: RunTrace
    emit: Callable[..., None]

    async def use(self, call: ToolCall, parent: str) -> ToolResult:
        """Run a call that the model call `parent` made; its mistakes come back as a result that the model can read."""
        started = time.monotonic()
        try:
            result = await self._use(call, parent)
        except (Exception, asyncio.CancelledError) as error:
            status: ToolStatus = "timeout" if isinstance(error, BudgetExceeded) else "error"
            said = "cancelled" if isinstance(error, asyncio.CancelledError) else str(error)
            ended = ToolResult(call.id, call.name, said, status, time.monotonic() - started, {"unfinished": True})
            self._tell(call, parent, ended)
            raise
        self._tell(call, parent, result)
        return result

    async def _use(self, call: ToolCall, parent: str) -> ToolResult:
        tool = self.tools.get(call.name)
        if tool is None:
            self._begin(call)
            return self._unknown(call)
        past = None if self.past is None else self.past.result(self.branch, call)
        if past is not None:
            self._begin(call)
            return self.session.replayed(call, past)
        if not self.approval.needed(tool):
            return await self._run(tool, call)
        decision = await self._decide(call, parent)
        if not decision.allowed:
            return decision.refusal(call)
        return decision.marked(await self._run(tool, decision.of(call), approved=True))

    async def _decide(self, call: ToolCall, parent: str) -> Decision:
        pending = Pending(self.trace.run_id, self.branch, parent, call.id, call.name, call.arguments)
        self.trace.write(
            "approval_requested",
            call_id=parent,
            tool_call_id=call.id,
            name=call.name,
            arguments=call.arguments,
            branch=self.branch,
        )
        asked = self.approval.approver is not None
        self.emit("approval_requested", tool=call.name, arguments=call.arguments, asked=asked)
        return await self.approval.decide(pending)

    async def _run(self, tool: Tool, call: ToolCall, approved: bool = False) -> ToolResult:
        self._begin(call, approved)
        try:
            with self.approval.under_way():
                async with asyncio.timeout(self.account.seconds_left()):
                    await self.session.catch_up(tool)
                    return await tool.call(call, self.session)
        except TimeoutError:
            raise BudgetExceeded("seconds", f"The time budget ended while the tool {tool.name} was running.") from None

    def _begin(self, call: ToolCall, approved: bool = False) -> None:
        self.emit("tool_started", tool=call.name, arguments=call.arguments, approved=approved)

    def _unknown(self, call: ToolCall) -> ToolResult:
        known = ", ".join(self.tools) or "none"
        close = get_close_matches(call.name, self.tools, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        return ToolResult(call.id, call.name, f"There is no tool {call.name}.{hint} Tools: {known}.", "error", 0.0)

    def _tell(self, call: ToolCall, parent: str, result: ToolResult) -> None:
        self.session.results.append(result)
        self.trace.write(
            "tool_result",
            call_id=parent,
            tool_call_id=call.id,
            name=call.name,
            arguments=call.arguments,
            content=result.content,
            status=result.status,
            seconds=result.seconds,
            meta=result.meta,
            branch=self.branch,
        )
        self.emit("tool_finished", tool=call.name, status=result.status, content=result.content, meta=result.meta)
