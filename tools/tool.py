"""The `Tool` noun: a typed async function with a JSON schema and an execution policy."""

import asyncio
import inspect
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ValidationError, create_model

from maieutic.errors import MaieuticError, ToolError, UserError
from maieutic.tools.artifacts import Artifacts
from maieutic.tools.inputs import Inputs
from maieutic.tools.options import ToolOptions
from maieutic.types import ToolCall, ToolResult, ToolSpec, ToolStatus

T = TypeVar("T")


class Session:
    """What a tool keeps between the calls of one branch of a run, e.g. a sandbox worker; closed with the branch.

    `artifacts` takes files that tools make, None where they are not kept; `inputs` are files that came with the task.
    """

    def __init__(self, artifacts: Artifacts | None = None, inputs: Inputs | None = None) -> None:
        self.artifacts = artifacts
        self.inputs = Inputs() if inputs is None else inputs
        self._kept: dict[str, Any] = {}
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._stack = AsyncExitStack()

    def fork(self) -> "Session":
        """A session of another branch of the same run."""
        return Session(self.artifacts, self.inputs)

    async def keep(self, key: str, open_: Callable[[], Awaitable[T]], close: Callable[[T], Awaitable[None]]) -> T:
        """The value kept under `key`, opened at its first use, once for all calls that run side by side."""
        async with self._opening[key]:
            if key not in self._kept:
                value = await open_()
                self._stack.push_async_callback(close, value)
                self._kept[key] = value
        return self._kept[key]  # type: ignore[no-any-return]

    async def close(self) -> None:
        self._kept.clear()
        await self._stack.aclose()


@dataclass(frozen=True, slots=True)
class Reply:
    """A tool's answer when plain text isn't enough: how it went, and facts for the trace."""

    content: str
    status: ToolStatus = "ok"
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """A function a model may call. `function` takes the schema's fields, and `session` if `takes_session`.

    `configure` makes of it the tool that a run's settings ask for. `prepare` runs before the first run of a process
    and raises UserError when the tool can't work on this machine; it may return a tool to be used instead, such as one
    whose description says what this machine has.
    """

    name: str
    description: str
    parameters: type[BaseModel]
    function: Callable[..., Awaitable[str | Reply]]
    takes_session: bool = False
    prepare: Callable[[], Awaitable["Tool | None"]] | None = None
    configure: Callable[[ToolOptions], Awaitable["Tool"]] | None = None

    @cached_property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, self.description, self.parameters.model_json_schema())

    async def call(self, call: ToolCall, session: Session) -> ToolResult:
        """Run one call. What goes wrong in it comes back as a result with status error (timeout for a TimeoutError),
        for the model to read; only Maieutic's own errors, such as UserError, are raised."""
        started = time.monotonic()
        try:
            reply = await self._run(call.arguments, session)
        except (ToolError, ValidationError, ValueError) as error:
            reply = Reply(_explain(self.name, error), "error")
        except MaieuticError:
            raise
        except Exception as error:  # an own tool may raise anything, and the run has better things to do than end
            status: ToolStatus = "timeout" if isinstance(error, TimeoutError) else "error"
            reply = Reply(f"{self.name} failed: {type(error).__name__}: {error}", status)
        return ToolResult(call.id, call.name, reply.content, reply.status, time.monotonic() - started, reply.meta)

    async def _run(self, arguments: str, session: Session) -> Reply:
        fields = self.parameters.model_validate_json(arguments or "{}")
        values = {name: getattr(fields, name) for name in type(fields).model_fields}
        if self.takes_session:
            values["session"] = session
        result = await self.function(**values)
        return result if isinstance(result, Reply) else Reply(str(result))


def _explain(name: str, error: Exception) -> str:
    if isinstance(error, ValidationError):
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
        return f"The arguments of {name} are not valid: {wrong}."
    return str(error)


def tool(function: Callable[..., Awaitable[Any]]) -> Tool:
    """Make a tool of a typed async function: its name, docstring and annotations are what the model is told.

    A parameter named `session` receives the branch's `Session` and is not shown to the model. A result that is
    neither text nor `Reply` is given to the model as JSON.
    """
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters
    fields: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name == "session":
            continue
        if name not in hints:
            raise UserError(f"The tool {function.__name__} needs a type for its parameter {name!r}.")
        fields[name] = (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)

    async def run(**values: Any) -> str | Reply:
        result = await function(**values)
        return result if isinstance(result, str | Reply) else json.dumps(result, default=str)

    schema = create_model(f"{function.__name__}_arguments", **fields)
    description = inspect.getdoc(function) or ""
    return Tool(function.__name__, description, schema, run, "session" in parameters)
