"""What the commands that measure a model on tasks have in common: which tasks, and how it is told what was found."""

import json
import sys
from pathlib import Path
from typing import Any

from maieutic.cli.codes import FAILED, INTERRUPTED, WRONG_REQUEST
from maieutic.errors import UserError
from maieutic.serving.files import write_whole
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task


def first_tasks(source: str, limit: int | None) -> tuple[list[Task], int]:
    """The first `limit` tasks, all without it, and how many lines can't be read; each of these is told on stderr.
    Raises UserError."""
    if limit is not None and limit < 1:
        raise UserError(f"limit is {limit}: give a number from 1.")
    tasks, problems = load_tasks(source)
    for problem in problems:
        print(f"maieutic: {problem}", file=sys.stderr)
    return tasks[:limit], len(problems)


def tell(out: Path, name: str, text: str, fields: dict[str, Any], *, as_json: bool) -> None:
    """Write `name`.md and `name`.json into `out`, and print one of them."""
    printed = json.dumps(fields, ensure_ascii=False)
    write_whole(out / f"{name}.md", text + "\n")
    write_whole(out / f"{name}.json", printed + "\n")
    print(printed if as_json else text)


def code_of(stopped: str | None, interrupted: bool, problems: int) -> int:
    """The exit code; why a measurement ended early is told on stderr."""
    if stopped:
        print(f"maieutic: {stopped}", file=sys.stderr)
        return INTERRUPTED if interrupted else FAILED
    return WRONG_REQUEST if problems else 0
