"""The work of `maieutic ask`."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from maieutic.cli.codes import FAILED, INTERRUPTED
from maieutic.errors import TaskError
from maieutic.terminal.interrupt import on_interrupt
from maieutic.terminal.options import RunOptions, open_with
from maieutic.terminal.watch import View, follow, view_for_stderr
from maieutic.terminal.wording import printable, shortfall

if TYPE_CHECKING:
    from pydantic import JsonValue

    from maieutic.runner import Result


def answer(
    question: str,
    gold: str | None,
    options: RunOptions,
    traces: Path | None,
    as_json: bool,
    quiet: bool,
    files: tuple[Path, ...] = (),
) -> int:
    """Ask, print, and return the exit code. Raises UserError before anything is written, and ModelError."""
    text = sys.stdin.read() if question == "-" else question
    if not text.strip():
        raise TaskError("The question is empty: write what you want to know.")
    for path in files:
        if not path.is_file():
            raise TaskError(f"There is no file {path}: give the path of one.")
    view = None if quiet else view_for_stderr()
    result = asyncio.run(_ask(text.strip(), gold, replace(options, traces=traces), view, files))
    if as_json:
        print(json.dumps(result.as_json(), ensure_ascii=False))
    elif result.text:
        _print_answer(result, view)
    if not result.text and view is None:
        print(f"maieutic: {shortfall(result)}", file=sys.stderr)
    if result.reason == "interrupted":
        return INTERRUPTED
    return 0 if result.text else FAILED


async def _ask(
    question: str, gold: str | None, options: RunOptions, view: View | None, files: tuple[Path, ...]
) -> "Result":
    from maieutic.settings import load_settings
    from maieutic.tasks.task import Task

    inputs: dict[str, JsonValue] = {"files": [str(path.absolute()) for path in files]} if files else {}
    task = Task(question=question, gold=gold, inputs=inputs)
    async with open_with(options, load_settings()) as runner:
        running = runner.start(task, seed=options.seed)
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
