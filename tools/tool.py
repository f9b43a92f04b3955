"""The `Tool` noun: a typed function with a JSON schema and an execution policy."""

import asyncio
import inspect
import json
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeVar, overload
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from maieutic.errors import ToolError, UserError
from maieutic.tools.arguments import model_of, read
from maieutic.tools.artifacts import Artifacts
from maieutic.tools.inputs import Inputs
from maieutic.tools.options import ToolOptions
from maieutic.tools.policy import Late, Policy, Tried, ends_the_run, run_under
from maieutic.tools.threads import in_thread
from maieutic.types import ToolCall, ToolResult, ToolSpec, ToolStatus

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class Session:
    """What a tool keeps between the calls of one branch of a run, e.g. a sandbox worker; closed with the branch.

    `artifacts` takes files that tools make, None where they are not kept; `inputs` are files that came with the task;
    `results` are those of all calls of the branch so far, in the order they ended; `differing` are calls of an earlier
    branch or run that were made again and came to something else.
    """

    def __init__(self, artifacts: Artifacts | None = None, inputs: Inputs | None = None) -> None:
        self.artifacts = artifacts
        self.inputs = Inputs() if inputs is None else inputs
        self.results: list[ToolResult] = []
        self.differing: list[ToolCall] = []
        self._kept: dict[str, Any] = {}
        self._stack: AsyncExitStack | None = None  # most branches use no tool: made when something is kept

    @cached_property
    def _opening(self) -> "defaultdict[str, asyncio.Lock]":
        return defaultdict(asyncio.Lock)

    @cached_property
    def _past(self) -> "defaultdict[str, list[tuple[ToolCall, str]]]":
        return defaultdict(list)

    def fork(self) -> "Session":
        """A session of another branch of the same run."""
        return Session(self.artifacts, self.inputs)

    async def keep(self, key: str, open_: Callable[[], Awaitable[T]], close: Callable[[T], Awaitable[None]]) -> T:
        """The value kept under `key`, opened at its first use, once for all calls that run side by side."""
        async with self._opening[key]:
            if key not in self._kept:
                value = await open_()
                self._stack = self._stack or AsyncExitStack()
                self._stack.push_async_callback(close, value)
                self._kept[key] = value
        return self._kept[key]  # type: ignore[no-any-return]

    def replayed(self, call: ToolCall, result: ToolResult) -> ToolResult:
        """The result of a call that an earlier run made, marked as such; `catch_up` can make the call again."""
        made = replace(call, arguments=result.meta.get("arguments", call.arguments))
        self._past[call.name].append((made, result.content))
        return replace(result, call_id=call.id, meta={**result.meta, "replayed": True})

    async def catch_up(self, tool: "Tool") -> None:
        """Bring a stateful tool to where the calls that were replayed had left it, by making them again."""
        if not tool.stateful:
            return
        async with self._opening[f"past of {tool.name}"]:
            while past := self._past[tool.name]:
                call, said = past.pop(0)
                if (await tool.call(call, self)).content != said:
                    self.differing.append(call)

    async def close(self) -> None:
        self._kept.clear()
        if self._stack is not None:
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
    whose description says what this machine has. `needs` says what it can't work without, for people. With `stateful`
    a call leaves something in its session that later calls build on: where a run is resumed, its recorded calls are run
    again before the first new one.
    """

    name: str
    description: str
    parameters: type[BaseModel]
    function: Callable[..., Awaitable[Any]]
    takes_session: bool = False
    prepare: Callable[[], Awaitable["Tool | None"]] | None = None
    configure: Callable[[ToolOptions], Awaitable["Tool"]] | None = None
    policy: Policy = Policy()
    needs: str = ""
    stateful: bool = False

    @cached_property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, self.description, self.parameters.model_json_schema())

    async def call(self, call: ToolCall, session: Session) -> ToolResult:
        """Run one call under the policy. What goes wrong in it comes back as a result with status error (timeout for a
        TimeoutError), for the model to read; only UserError, BudgetExceeded and TraceError are raised."""
        started = time.monotonic()
        try:
            values = read(self.parameters, self.name, call.arguments)
        except ToolError as error:
            return ToolResult(call.id, call.name, str(error), "error", time.monotonic() - started)
        if self.takes_session:
            values["session"] = session
        tried = await run_under(self.policy, self._gate(), partial(self.function, **values))
        if tried.error is not None and ends_the_run(tried.error):
            raise tried.error
        reply = _reply(self.name, tried)
        content, left_out = self.policy.cut(reply.content)
        meta = dict(reply.meta)
        if tried.tries > 1:
            meta["attempts"] = tried.tries
        if left_out:
            meta["truncated"] = left_out
        return ToolResult(call.id, call.name, content, reply.status, time.monotonic() - started, meta)

    def _gate(self) -> asyncio.Semaphore | None:
        if self.policy.concurrency is None:
            return None
        return self._gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self.policy.concurrency))

    @cached_property
    def _gates(self) -> "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]":
        return WeakKeyDictionary()


def _reply(name: str, tried: Tried) -> Reply:
    """What the model reads of a call, and the facts of it as plain JSON, whatever the function made of them."""
    error = tried.error
    if error is None:
        reply = tried.value if isinstance(tried.value, Reply) else Reply(_written(name, tried.value))
        return Reply(_sayable(reply.content), reply.status, _plain(reply.meta))
    if isinstance(error, ToolError | ValueError) and _text(error):
        return Reply(_sayable(_text(error)), "error")
    status: ToolStatus = "timeout" if isinstance(error, TimeoutError) else "error"
    kind = "" if isinstance(error, Late) else type(error).__name__
    said = ": ".join(part for part in (kind, _text(error)) if part)
    tries = f" (tried {tried.tries} times)" if tried.tries > 1 else ""
    return Reply(_sayable(f"{name} failed: {said}{tries}"), status)


def _written(name: str, value: Any) -> str:
    """A function's result as text: JSON for everything else, and Python's own word for what JSON has none for."""
    if value is None:
        return f"[{name} returned nothing.]"
    if isinstance(value, str):
        return value
    try:
        return json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _plain(meta: dict[str, Any]) -> dict[str, Any]:
    """Facts as the trace can hold them."""
    try:
        plain: dict[str, Any] = to_jsonable_python(meta, fallback=str)
    except (TypeError, ValueError, RecursionError):
        return {"meta": repr(meta)}
    return plain


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "the error can't be shown"


def _sayable(text: Any) -> str:
    """Text that can be sent: half of a surrogate pair can't."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    timeout: float | None = ...,
    retries: int = ...,
    wait: float = ...,
    concurrency: int | None = ...,
    max_result_chars: int = ...,
    approval: bool = ...,
    needs: str = "",
    stateful: bool = False,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, needs: str = "", stateful: bool = False, **policy: Any
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a typed function: its name, docstring and annotations are what the model is told.

    A function that is not async runs in a thread of its own. A parameter named `session` receives the branch's
    `Session` and is not shown to the model. A result that is neither text nor `Reply` is given to the model as JSON.
    As `@tool(timeout=…)` it takes the fields of `Policy`, `needs` and `stateful`. Raises UserError for a function that
    can't be a tool.
    """
    rules = Policy(**policy)

    def make(function: Callable[..., Any]) -> Tool:
        _refuse(function)
        takes_session = "session" in inspect.signature(function).parameters
        about = inspect.getdoc(function) or ""
        run = function if inspect.iscoroutinefunction(function) else _in_thread(function)
        schema = model_of(function)
        return Tool(function.__name__, about, schema, run, takes_session, policy=rules, needs=needs, stateful=stateful)

    return make if function is None else make(function)


def _refuse(function: Any) -> None:
    name = getattr(function, "__name__", None)
    if not inspect.isroutine(function) or name is None:
        raise UserError(f"{function!r} can't be a tool: give a function made with def.")
    if not _NAME.fullmatch(name):
        raise UserError(f"A tool can't be named {name!r}: begin with a letter, and use only letters, digits, _ and -.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UserError(f"The tool {name} yields its result in parts: return it whole instead.")


def _in_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def run(**values: Any) -> Any:
        result = await in_thread(partial(function, **values))
        return await result if inspect.isawaitable(result) else result

    return run
