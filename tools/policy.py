"""The execution policy of a tool: its time, its tries, how many calls run at once, how much of a result is shown.

A call is run in a task of its own, so that whatever a function does (never end, call `sys.exit`, cancel itself) stays
within the call.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from maieutic.errors import BudgetExceeded, MaieuticError, ModelError, ToolError, TraceError, UserError

GRACE = 5.0  # seconds that a cancelled call has for cleaning up
_HEAD = 2 / 3


@dataclass(frozen=True, slots=True)
class Policy:
    """How calls of one tool are run.

    `timeout` is in seconds for each try, None where the tool bounds itself. A try that ran out of time or failed
    unexpectedly is repeated up to `retries` times, after `wait` seconds, then twice as many, and so on; what a tool
    says with ToolError, ValueError or a reply is never repeated. `concurrency` calls run at once among all runs of one
    runner. A result of more than `max_result_chars` characters keeps its head and its tail. With `approval` a person
    is asked before each call.
    """

    timeout: float | None = 300.0
    retries: int = 0
    wait: float = 0.5
    concurrency: int | None = None
    max_result_chars: int = 40_000
    approval: bool = False

    def __post_init__(self) -> None:
        if self.timeout is not None and self.timeout <= 0:
            raise UserError(
                f"A tool can't have a timeout of {self.timeout:g} s: give more than 0, or None for no limit."
            )
        if self.retries < 0 or self.wait < 0:
            raise UserError("A tool's retries and the wait before them can't be negative: give 0 or more.")
        if self.concurrency is not None and self.concurrency < 1:
            raise UserError(f"A tool can't have a concurrency of {self.concurrency}: give 1 or more, or None.")
        if self.max_result_chars < 100:
            raise UserError(f"{self.max_result_chars} characters are too few for a tool's result: give 100 or more.")

    def facts(self) -> dict[str, Any]:
        """Its values by name, as `maieutic tools --json` prints them."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __str__(self) -> str:
        parts = ["no time limit" if self.timeout is None else f"{self.timeout:g} s"]
        if self.retries:
            parts.append(f"{self.retries} {'retry' if self.retries == 1 else 'retries'}")
        if self.concurrency is not None:
            parts.append(f"{self.concurrency} at once")
        parts.append(f"{self.max_result_chars:,} characters")
        if self.approval:
            parts.append("asks first")
        return ", ".join(parts)

    def cut(self, text: str) -> tuple[str, int]:
        """The text as far as it is shown, a mark in place of its middle, and how many characters were left out."""
        if len(text) <= self.max_result_chars:
            return text, 0
        head = int(self.max_result_chars * _HEAD)
        tail = self.max_result_chars - head
        left_out = len(text) - self.max_result_chars
        mark = f"[… {left_out:,} of {len(text):,} characters are left out here …]"
        return f"{text[:head]}\n{mark}\n{text[-tail:]}", left_out


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a call in the end: the value or the error of its last try, and how many tries there were."""

    value: Any
    error: BaseException | None
    tries: int


class Late(TimeoutError):
    """The policy's timeout, told from one that the function itself raised."""


async def run_under(
    policy: Policy, gate: AbstractAsyncContextManager[Any] | None, work: Callable[[], Awaitable[Any]]
) -> Tried:
    """Run `work` under a policy, each try within `gate`. Only a cancellation from outside is raised."""
    tries = 0
    while True:
        tries += 1
        async with gate or nullcontext():
            value, error = await _once(work, policy.timeout)
        if error is None or tries > policy.retries or not _passing(error):
            return Tried(value, error, tries)
        await asyncio.sleep(policy.wait * 2 ** (tries - 1))


def ends_the_run(error: BaseException | None) -> bool:
    """Whether an error is none of the tool's own: a mistake in the request, a budget, a trace that takes no more."""
    return isinstance(error, UserError | BudgetExceeded | TraceError)


def _passing(error: BaseException) -> bool:
    """Whether the same call may go better another time."""
    if isinstance(error, ModelError):
        return error.retryable
    return not isinstance(error, ToolError | ValueError | MaieuticError)


async def _once(work: Callable[[], Awaitable[Any]], timeout: float | None) -> tuple[Any, BaseException | None]:
    task = asyncio.create_task(_caught(work))
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout)
    except asyncio.CancelledError:
        await _end(task)
        raise
    if done:
        return task.result()
    await _end(task)
    return None, Late(f"it did not end within {timeout:g} s")


async def _caught(work: Callable[[], Awaitable[Any]]) -> tuple[Any, BaseException | None]:
    try:
        return await work(), None
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit or CancelledError out of a tool would otherwise end the event loop
        return None, error


async def _end(task: "asyncio.Task[Any]") -> None:
    """Cancel a call, and leave it behind where it doesn't heed that."""
    task.cancel()
    await asyncio.wait({task}, timeout=GRACE)
