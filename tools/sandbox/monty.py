"""Sandbox tier 4, for every operating system: pydantic-monty, a small Python of its own that has no way out.

It isn't CPython: what it lacks (numpy, most of the standard library, files) can't be reached because it isn't there.
The interpreter runs in a process of its own, which is killed where it doesn't keep to its limits.
"""

import ast
import asyncio
import os
import re
import signal
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maieutic.tools.sandbox.tier import NO_BINDS, STATE_KEPT, Binds, Execution, ExitReason, Limits, WorkerFailed
from maieutic.tools.sandbox.worker_process import cut

if TYPE_CHECKING:
    from pydantic_monty import AsyncMonty, AsyncMontySession, MountDir

_ABOUT = (
    "This is a small Python: of the standard library only math, re, json, datetime, random and a few more are there, "
    "and neither numpy nor any other package; there is no network, and no file but those in the folder in."
)
_ECHO = "{head}_ = ({last}\n)\nif _ is not None: print(repr(_))\nNone"
_ERRORS_SHOWN = 4000
_INPUT = re.compile(r'File "<python-input-(\d+)>"')


class Monty:
    """The tier."""

    name = "monty"
    about = _ABOUT

    async def probe(self) -> str | None:
        try:
            worker = await self.start(Limits())
        except WorkerFailed as error:
            return str(error)
        try:
            execution = await worker.run("open('/etc/hosts')")
            if execution.exit != "exception":
                return "the isolation does not hold: a file could be opened"
            execution = await worker.run("6 * 7")
        finally:
            worker.kill()
        return None if execution.output == "42\n" else f"it does not compute: {execution.output.strip()}"

    async def start(self, limits: Limits, preload: Sequence[str] = (), binds: Binds = NO_BINDS) -> "MontyWorker":
        try:
            from pydantic_monty import AsyncMonty, MontyError, MountDir
        except ImportError as error:
            raise WorkerFailed("pydantic-monty is not installed (pip install 'maieutic[monty]')") from error
        seconds = limits.seconds
        pool = AsyncMonty(min_processes=1, max_processes=1, request_timeout=seconds + limits.grace, checkout_timeout=30)
        try:
            await pool.__aenter__()
            session = pool.checkout(
                script_name="cell.py",
                limits={
                    "max_feed_duration_secs": seconds,
                    "max_total_sleep_secs": seconds,
                    "max_memory": limits.memory,
                },
                print_flush_interval=0.005,
            )
            await session.__aenter__()
        except (OSError, RuntimeError, TimeoutError, MontyError) as error:
            raise WorkerFailed(f"The sandbox could not be started: {error}.") from error
        mounts = [MountDir(host_path=out, virtual_path=inside, mode="read-only") for inside, out in binds.items()]
        return MontyWorker(pool, session, limits, mounts)


class MontyWorker:
    """One session in an interpreter process of its own."""

    scratch = None

    def __init__(
        self, pool: "AsyncMonty", session: "AsyncMontySession", limits: Limits, mounts: "list[MountDir]"
    ) -> None:
        self._mounts = mounts
        self._pool: Any = pool
        self._session: Any = session
        self._limits = limits

    @property
    def alive(self) -> bool:
        return self._session is not None

    async def run(self, code: str) -> Execution:
        from pydantic_monty import CollectString

        if not self.alive:
            raise WorkerFailed("The worker has ended.")
        printed, started = CollectString(self._limits.file), time.monotonic()
        exit_: ExitReason | None = None
        try:
            exit_, said = await self._feed(_with_echo(code), printed)
            said = _INPUT.sub(lambda match: f'File "<cell {int(match[1]) + 1}>"', said)
            output = cut((printed.output + said).encode("utf-8", "replace"), self._limits.output)
            return Execution(exit_, output, time.monotonic() - started)
        finally:
            if exit_ not in STATE_KEPT:
                self.kill()

    def kill(self) -> None:
        session, self._session, self._pool = self._session, None, None
        for mount in self._mounts:
            mount.close()
        pid = session.worker_pid if session is not None else None
        if pid is not None:
            try:
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            except OSError:  # it has ended already
                pass

    async def _feed(self, code: str, printed: Any) -> tuple[ExitReason, str]:
        from pydantic_monty import MontyCrashedError, MontyError, MontyRuntimeError, MontySyntaxError

        try:
            async with asyncio.timeout(2 * self._limits.seconds + 2 * self._limits.grace):
                await self._session.feed_run(code, print_callback=printed, mount=self._mounts, cwd="/")
        except TimeoutError:
            return "killed", ""
        except MontyCrashedError as error:
            return "killed" if error.timed_out else "died", ""
        except (MontyRuntimeError, MontySyntaxError) as error:
            inner = error.exception()
            if isinstance(inner, TimeoutError):
                return "killed", ""  # its heap is not to be trusted after that
            said = error.display()[-_ERRORS_SHOWN:] + "\n"
            return "memory" if isinstance(inner, MemoryError) else "exception", said
        except MontyError:
            return "protocol", ""
        return "ok", ""


def _with_echo(code: str) -> str:
    """The code, printing the value of a last expression. Its value is never handed over: it may be of any size."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about the model's code, not ours
            last = ast.parse(code).body[-1]
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return code + "\nNone"  # what is wrong with it is for the sandbox to say
    if not isinstance(last, ast.Expr):
        return code + "\nNone"
    source = code.encode("utf-8", "surrogatepass")
    lines = source.splitlines(keepends=True)
    at = sum(len(line) for line in lines[: last.lineno - 1]) + last.col_offset
    head, tail = (part.decode("utf-8", "surrogatepass") for part in (source[:at], source[at:]))
    return _ECHO.format(head=head, last=tail)
