"""A conversation: one opened runner that stays warm between the turns, and what has been said so far."""

import asyncio
import importlib
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from maieutic.memory.dialogue import Dialogue
from maieutic.terminal.approve import TerminalApprover, terminal_approver
from maieutic.terminal.options import RunOptions, open_with
from maieutic.terminal.watch import View, follow

if TYPE_CHECKING:
    from maieutic.runner import Result, Runner, Running
    from maieutic.settings import Settings


@dataclass(slots=True)
class Conversation:
    """Answers questions one after the other, each with the earlier turns before it.

    `results` are the results of all turns since the program began, also of those that `forget` took from memory.
    """

    options: RunOptions
    settings: "Settings"
    memory: Dialogue = field(default_factory=Dialogue)
    results: list["Result"] = field(default_factory=list)
    approver: TerminalApprover | None = field(default_factory=terminal_approver)
    _opened: "asyncio.Task[_Opened] | None" = None
    _running: "Running | None" = None

    @property
    def graph(self) -> str:
        return self.options.graph_name(self.settings)

    @property
    def model(self) -> str:
        return self.options.model_name(self.settings)

    def prewarm(self) -> None:
        """Begin to open the runner; what is wrong with the options is raised by the next question."""
        if self._opened is None:
            self._opened = asyncio.create_task(_open(self.options, self.settings, self.approver))

    async def ask(self, question: str, view: View | None = None) -> "Result":
        """The result of one turn. Raises MaieuticError where there is none; the conversation can go on after it."""
        from maieutic.tasks.task import Task

        runner = await self._runner()
        history = await self.memory.recall(question)
        seed = None if self.options.seed is None else self.options.seed + len(self.results)
        if self.approver is not None:
            self.approver.view = view
        self._running = runner.start(Task(question=question), seed=seed, history=history)
        try:
            result = await follow(self._running, view)
        finally:
            self._running = None
        self.results.append(result)
        if result.text:
            await self.memory.remember(
                ({"role": "user", "content": question}, {"role": "assistant", "content": result.text})
            )
        return result

    def stop(self) -> bool:
        """End the answer under way with the best so far; False where there is none under way."""
        if self._running is None:
            return False
        self._running.stop()
        return True

    async def change(self, options: RunOptions) -> None:
        """Go on with other options. Raises UserError, and keeps the old ones, where the new ones can't be used."""
        opened = await _open(options, self.settings, self.approver)
        await self.close()
        self.options = options
        self._opened = asyncio.create_task(_already(opened))

    def forget(self) -> None:
        """Begin a new conversation."""
        self.memory.clear()

    async def close(self) -> None:
        """Release the models and put the trace on disk."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        await asyncio.wait({opened})
        if opened.exception() is None:
            await opened.result().stack.aclose()

    async def _runner(self) -> "Runner":
        self.prewarm()
        assert self._opened is not None
        try:
            return (await asyncio.shield(self._opened)).runner
        except BaseException:
            if self._opened.done():
                self._opened = None
            raise


@dataclass(frozen=True, slots=True)
class _Opened:
    runner: "Runner"
    stack: AsyncExitStack


async def _open(options: RunOptions, settings: "Settings", approver: TerminalApprover | None) -> _Opened:
    await asyncio.to_thread(importlib.import_module, "maieutic.runner")  # a second of imports; the prompt stays alive
    stack = AsyncExitStack()
    return _Opened(await stack.enter_async_context(open_with(options, settings, approver)), stack)


async def _already(opened: _Opened) -> _Opened:
    return opened
