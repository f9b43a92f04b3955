"""The `python` tool: model-written code in a sandboxed interpreter that keeps its variables between calls."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from maieutic.tools.artifacts import Artifact, Artifacts
from maieutic.tools.inputs import FOLDER
from maieutic.tools.options import ToolOptions
from maieutic.tools.policy import Policy
from maieutic.tools.sandbox.interpreter import Interpreter, Ran
from maieutic.tools.sandbox.pool import Pool, current_pool
from maieutic.tools.sandbox.tier import NO_BINDS, ExitReason, Limits
from maieutic.tools.tool import Reply, Session, Tool, tool

_STATUS: dict[ExitReason, Literal["ok", "error", "timeout"]] = {"ok": "ok", "timeout": "timeout", "killed": "timeout"}
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_LISTED = 20
_ABOUT = "numpy and sympy are there; there is no network, no other process, and no file but in /tmp."


def python_tool(pool: Callable[[], Awaitable[Pool]] = current_pool) -> Tool:
    """The tool over the workers of `pool`, one interpreter a session."""

    async def python(code: str, session: Session) -> Reply:
        """Run Python code and see what it prints; the value of a last expression is shown too.

        Variables, functions and imports stay for later calls. {about} A call may take {seconds:g} seconds.
        """
        here = await pool()
        interpreter = await interpreter_of(session, here)
        ran = await interpreter.run(_unfenced(code))
        return _reply(ran, here, await _kept(ran, interpreter, session.artifacts))

    async def prepare() -> Tool:
        here = await pool()
        here.warm()
        return replace(made, description=_describe(python, here.tier.about, here.limits))

    async def configure(options: ToolOptions) -> Tool:
        return python_tool(partial(current_pool, options.sandbox_name()))

    made = replace(
        tool(python),
        description=_describe(python, _ABOUT, Limits()),
        prepare=prepare,
        configure=configure if pool is current_pool else None,
        policy=Policy(timeout=None),  # its limits are the sandbox's, which count no time spent waiting for a worker
        needs="a sandbox: bubblewrap, Landlock, a container or pydantic-monty",
        stateful=True,
    )
    return made


async def interpreter_of(session: Session, pool: Pool) -> Interpreter:
    """The interpreter of a session, opened at its first use; its `snapshot` and `restore` let a search go back."""

    async def open_() -> Interpreter:
        inputs = session.inputs
        return pool.interpreter({f"/{FOLDER}": await asyncio.to_thread(inputs.folder)} if inputs else NO_BINDS)

    return await session.keep("python", open_, Interpreter.close)


def _describe(function: Callable[..., Any], about: str, limits: Limits) -> str:
    return (inspect.getdoc(function) or "").format(about=about, seconds=limits.seconds)


async def _kept(ran: Ran, interpreter: Interpreter, artifacts: Artifacts | None) -> list[Artifact]:
    """The files of a cell, copied out as far as there is room."""
    if not ran.files or artifacts is None:
        return []

    def keep() -> list[Artifact]:
        kept = (
            artifacts.keep(file.name, file.size, partial(interpreter.copy, file.name)) for file in ran.files[:_LISTED]
        )
        return [artifact for artifact in kept if artifact is not None]

    return await asyncio.to_thread(keep)


def _unfenced(code: str) -> str:
    """The code without a Markdown fence around the whole of it, which many models write out of habit."""
    lines = code.strip().splitlines()
    if len(lines) >= 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return code


def _reply(ran: Ran, pool: Pool, kept: list[Artifact]) -> Reply:
    execution = ran.execution
    parts = ["[A new interpreter: the variables and imports of earlier calls are gone.]"] if ran.fresh else []
    if execution.output.strip():
        parts.append(execution.output.rstrip("\n"))
    elif execution.exit == "ok":
        parts.append("[The code ran and printed nothing.]")
    if ran.files:
        parts.append(f"[Files: {_listed(ran)}]")
    sentence = _sentence(execution.exit, pool.limits)
    if sentence:
        parts.append(f"[{sentence}]")
    meta: dict[str, Any] = {
        "tier": pool.tier.name,
        "seconds": execution.seconds,
        "exit": execution.exit,
        "fresh": ran.fresh,
    }
    if kept:
        meta["files"] = [{"name": one.name, "path": str(one.path), "bytes": one.size} for one in kept]
        meta["images"] = [str(one.path) for one in kept if one.path.suffix.lower() in _IMAGES]
    return Reply("\n".join(parts), _STATUS.get(execution.exit, "error"), meta)


def _listed(ran: Ran) -> str:
    named = [f"{file.name} ({file.size:,} bytes)" for file in ran.files[:_LISTED]]
    if len(ran.files) > _LISTED:
        named.append(f"and {len(ran.files) - _LISTED} more")
    return ", ".join(named)


def _sentence(exit_: ExitReason, limits: Limits) -> str:
    return {
        "ok": "",
        "exception": "",
        "timeout": f"Stopped at the limit of {limits.seconds:g} s. Variables are kept.",
        "killed": f"Killed: it did not stop at the limit of {limits.seconds:g} s. All variables are lost.",
        "memory": f"The limit of {limits.memory / 2**30:g} GiB of memory was reached. All variables are lost.",
        "files": f"More than {limits.files:,} files, or {limits.scratch >> 20} MiB, were written. "
        "All variables are lost.",
        "died": "The interpreter died. All variables are lost.",
        "protocol": "The code interfered with the interpreter, which was ended. All variables are lost.",
    }[exit_]


python = python_tool()
