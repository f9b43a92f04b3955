"""Every error Maieutic raises, as one small tree.

    MaieuticError
    ├── UserError            the request can't be served as written; one sentence says what to do (exit code 2)
    │   ├── UnknownName      a graph, model, tool, recipe or environment that is not registered
    │   ├── ConfigError      a YAML file or a setting, with file, line and field
    │   ├── TaskError        a task or a line of a task file
    │   └── MissingExtra     an optional dependency that is not installed
    ├── ModelError           a model call failed: unreachable, refused, timed out, cut off, malformed
    ├── ToolError            a tool call failed; the text is what the model sees
    ├── BudgetExceeded       tokens, calls, cost or time ran out
    └── TraceError           a trace that can't be read: torn in the middle, or written by a newer version

A failed branch is data: graphs record these and go on; only `UserError` ends a run before it starts.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MaieuticError(Exception):
    """Base of all errors; `str(error)` is one sentence a person can act on."""


class UserError(MaieuticError):
    """The request can't be served as written."""


class UnknownName(UserError):
    """A name that is not registered; the sentence lists what is."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"There is no {kind} named {name!r}.{hint} Known: {', '.join(names)}.")


class ConfigError(UserError):
    """A setting is wrong; says which file, line and field where they are known."""


class TaskError(UserError):
    """A task, or a line of a task file, can't be used."""


class MissingExtra(UserError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part that is not installed: pip install 'maieutic[{extra}]'.")


class ModelError(MaieuticError):
    """A model call failed.

    `kind` is one of unreachable, refused, timeout, cut, malformed, overloaded; `retryable` says whether the same
    request may succeed later; `status` is the HTTP status where there was one, `wait` the seconds that the server
    asked to wait.
    """

    def __init__(self, message: str, *, kind: str = "refused", retryable: bool = False, status: int | None = None):
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
        self.status = status
        self.wait: float | None = None


class ToolError(MaieuticError):
    """A tool call failed; the text is shown to the model."""


class BudgetExceeded(MaieuticError):
    """A limit of the budget tree was reached; `limit` is tokens, calls, cost or seconds."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class TraceError(MaieuticError):
    """A trace can't be read or written."""
