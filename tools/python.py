"""The `python` tool: model-written code in a sandboxed interpreter that keeps its variables between calls."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

from maieutic.tools.sandbox.pool import Interpreter, Pool, Ran, current_pool
from maieutic.tools.sandbox.tier import ExitReason, Limits
from maieutic.tools.tool import Reply, Session, Tool, tool

_STATUS: dict[ExitReason, Literal["ok", "error", "timeout"]] = {"ok": "ok", "timeout": "timeout", "killed": "timeout"}


def python_tool(pool: Callable[[], Awaitable[Pool]] = current_pool) -> Tool:
    """The tool over the workers of `pool`, one interpreter a session."""

    async def python(code: str, session: Session) -> Reply:
        """Run Python code and see what it prints; the value of a last expression is shown too.

        Variables, functions and imports stay for later calls. numpy and sympy are there; there is no network, no
        other process, and no file but in /tmp. A call may take 10 seconds.
        """
        here = await pool()

        async def open_() -> Interpreter:
            return here.interpreter()

        interpreter = await session.keep("python", open_, Interpreter.close)
        return _reply(await interpreter.run(_unfenced(code)), here)

    async def prepare() -> None:
        await pool()

    return replace(tool(python), prepare=prepare)


def _unfenced(code: str) -> str:
    """The code without a Markdown fence around the whole of it, which many models write out of habit."""
    lines = code.strip().splitlines()
    if len(lines) >= 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return code


def _reply(ran: Ran, pool: Pool) -> Reply:
    execution = ran.execution
    parts = ["[A new interpreter: the variables and imports of earlier calls are gone.]"] if ran.fresh else []
    if execution.output.strip():
        parts.append(execution.output.rstrip("\n"))
    elif execution.exit == "ok":
        parts.append("[The code ran and printed nothing.]")
    sentence = _sentence(execution.exit, pool.limits)
    if sentence:
        parts.append(f"[{sentence}]")
    meta = {"tier": pool.tier.name, "seconds": execution.seconds, "exit": execution.exit, "fresh": ran.fresh}
    return Reply("\n".join(parts), _STATUS.get(execution.exit, "error"), meta)


def _sentence(exit_: ExitReason, limits: Limits) -> str:
    return {
        "ok": "",
        "exception": "",
        "timeout": f"Stopped at the limit of {limits.seconds:g} s. Variables are kept.",
        "killed": f"Killed: it did not stop at the limit of {limits.seconds:g} s. All variables are lost.",
        "memory": f"The limit of {limits.memory / 2**30:g} GiB of memory was reached. All variables are lost.",
        "files": f"More than {limits.files:,} files were made in /tmp. All variables are lost.",
        "died": "The interpreter died. All variables are lost.",
        "protocol": "The code interfered with the interpreter, which was ended. All variables are lost.",
    }[exit_]


python = python_tool()
