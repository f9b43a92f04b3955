"""The work of `maieutic ask`."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.cli.codes import FAILED, INTERRUPTED, WAITING
from maieutic.errors import TaskError, UserError
from maieutic.terminal.approve import terminal_approver
from maieutic.terminal.interrupt import on_interrupt
from maieutic.terminal.options import RunOptions, open_with
from maieutic.terminal.watch import View, follow, view_for_stderr
from maieutic.terminal.wording import printable, shortfall

if TYPE_CHECKING:
    from pydantic import JsonValue

    from maieutic.runner import Result, Running
    from maieutic.tools.approval import Approver


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: a question with its files and the right answer, or a run to be resumed."""

    question: str | None
    gold: str | None = None
    files: tuple[Path, ...] = ()
    resume: str | None = None
    approve_pending: str | None = None


def answer(asked: Asked, options: RunOptions, as_json: bool, quiet: bool) -> int:
    """Ask, print, and return the exit code. Raises UserError before anything is written, and ModelError."""
    view = None if quiet else view_for_stderr()
    approver = terminal_approver(view)
    started = _question(asked, options, approver) if asked.resume is None else _resumed(asked, options, approver)
    result = asyncio.run(_follow(started, view))
    if as_json:
        print(json.dumps(result.as_json(), ensure_ascii=False))
    elif result.text:
        _print_answer(result, view)
    if not result.text and view is None:
        print(f"maieutic: {shortfall(result)}", file=sys.stderr)
    if result.reason == "interrupted":
        return INTERRUPTED
    if result.waiting:
        return WAITING
    return 0 if result.text else FAILED


Started = AbstractAsyncContextManager["Running"]


def _question(asked: Asked, options: RunOptions, approver: "Approver | None") -> Started:
    if asked.approve_pending is not None:
        raise UserError("--approve-pending is the word about a run that waits: say which with --resume RUN.")
    if asked.question is None:
        raise TaskError("There is no question: write what you want to know, or --resume RUN.")
    text = (sys.stdin.read() if asked.question == "-" else asked.question).strip()
    if not text:
        raise TaskError("The question is empty: write what you want to know.")
    for path in asked.files:
        if not path.is_file():
            raise TaskError(f"There is no file {path}: give the path of one.")
    return _start(text, asked, options, approver)


@asynccontextmanager
async def _start(text: str, asked: Asked, options: RunOptions, approver: "Approver | None") -> "AsyncIterator[Running]":
    from maieutic.settings import load_settings
    from maieutic.tasks.task import Task

    inputs: dict[str, JsonValue] = {"files": [str(path.absolute()) for path in asked.files]} if asked.files else {}
    task = Task(question=text, gold=asked.gold, inputs=inputs)
    async with open_with(options, load_settings(), approver) as runner:
        yield runner.start(task, seed=options.seed)


def _resumed(asked: Asked, options: RunOptions, approver: "Approver | None") -> Started:
    """The run goes on as it was asked; only the budget and what must be said each time may be given anew."""
    if asked.approve_pending not in (None, "yes", "no"):
        raise UserError(f"--approve-pending {asked.approve_pending} is no word about a call: say yes or no.")
    anew = RunOptions(budget=options.budget, traces=options.traces, unsafe_local=options.unsafe_local)
    if asked.question is not None or asked.files or options != anew:
        raise UserError("A run is resumed as it was asked: give --resume RUN without a question and its options.")
    from maieutic.runner import open_resumed

    instead: dict[str, Any] = {"unsafe_local": True} if options.unsafe_local else {}
    if options.budget is not None:
        instead["budget"] = options.budget
    word = None if asked.approve_pending is None else asked.approve_pending == "yes"
    return open_resumed(
        asked.resume or "",
        traces=options.traces,
        gold=asked.gold,
        approve_pending=word,
        approver=approver,
        **instead,
    )


async def _follow(started: Started, view: View | None) -> "Result":
    async with started as running:
        with on_interrupt(running.stop, lambda: _quit(view)):
            return await follow(running, view)


def _quit(view: View | None) -> None:
    if view is not None:
        view.close()
    os._exit(INTERRUPTED)


def _print_answer(result: "Result", view: View | None) -> None:
    said = result.text if result.answer is None else result.answer
    if not sys.stdout.isatty():
        print(said)
    elif view is None or not view.showed(said):
        print(printable(said))
