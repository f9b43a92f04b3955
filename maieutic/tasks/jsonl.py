"""Task files: one JSON object a line, with the fields of `Task`.

A line that can't be used is a problem with its number and field, and the other lines still run.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from maieutic.errors import TaskError, UserError
from maieutic.tasks.checks import BUILT_IN, gold_text
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import get_verifier
from maieutic.types import Outcome


class Problem(NamedTuple):
    """A line that can't be used: its number from 1, the field ("" for the whole line), and one sentence."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return self.message


class Loaded(NamedTuple):
    """Tasks, and the lines that could not be read as one; unpacks as `tasks, problems`."""

    tasks: list[Task]
    problems: list[Problem]


def load_file(path: str | Path) -> Loaded:
    """The tasks of a JSONL file. Raises TaskError where the file can't be read or holds no usable task."""
    try:
        with open(path, "rb") as lines:
            loaded = read_lines(lines, str(path))
    except OSError as error:
        raise TaskError(f"The task file {str(path)!r} can't be read: {error.strerror}.") from error
    if not loaded.tasks:
        why = f" First problem: {loaded.problems[0]}" if loaded.problems else " Give it one JSON object a line."
        raise TaskError(f"The task file {str(path)!r} holds no usable task.{why}")
    return loaded


def read_lines(lines: Iterable[bytes], name: str) -> Loaded:
    """The tasks of `lines`; blank lines, CRLF and a UTF-8 byte-order mark are fine. `name` is used in sentences."""
    loaded = Loaded([], [])
    seen: dict[str, int] = {}
    for number, line in _numbered(lines):
        try:
            task = _task(line)
            if task.id in seen:
                raise _Bad("id", f"{task.id!r} is already the id of line {seen[task.id]}: give each task its own id")
        except _Bad as bad:
            where = f"{name}, line {number}" + (f", field {bad.field!r}" if bad.field else "")
            loaded.problems.append(Problem(number, bad.field, f"{where}: {bad}."))
            continue
        seen[task.id] = number
        loaded.tasks.append(task)
    return loaded


class _Bad(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, 1):
        line = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
        if line:
            yield number, line


def _task(line: bytes) -> Task:
    try:
        value = json.loads(line.decode(), parse_constant=_refuse, object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise _Bad("", f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise _Bad("", f"not JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise _Bad("", "nested too deeply") from None
    except ValueError as error:
        raise _Bad("", str(error)) from None
    if not isinstance(value, dict):
        raise _Bad("", f"not a JSON object but {type(value).__name__}")
    try:
        task = Task.model_validate(value, strict=True)
    except ValidationError as error:
        raise _explained(error) from None
    _check(task)
    return task


def _explained(error: ValidationError) -> _Bad:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    match first["type"]:
        case "missing":
            return _Bad(field, "missing")
        case "extra_forbidden":
            return _Bad(field, f"not a field of a task (those are {', '.join(Task.model_fields)})")
        case _:
            return _Bad(field, first["msg"][:1].lower() + first["msg"][1:])


def _check(task: Task) -> None:
    """That the task's verifier exists, and its gold answer is of its type."""
    name = task.verifier or task.answer_type
    try:
        found = get_verifier(name)
    except UserError as error:
        raise _Bad("verifier", str(error).rstrip(".")) from None
    if name not in BUILT_IN:
        return
    if task.gold is None:
        if task.verifier is not None:
            raise _Bad("gold", f"missing, and the verifier {name!r} compares with it")
        return
    typed = found.answer_type or task.answer_type
    try:
        usable = found.judge(task, gold_text(task, typed)).outcome is Outcome.CORRECT
    except TaskError:
        usable = False
    if not usable:
        raise _Bad("gold", f"not of type {typed}" + (", or not one of the choices" if typed == "choice" else ""))


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice!r} is given twice")
    return value
