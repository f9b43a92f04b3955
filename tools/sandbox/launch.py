"""Starting a worker process: its connection, the file that takes what it prints, and what it is told to give up.

Every worker is started by one thread that ends with this process, never before: being killed with one's parent is, on
Linux, about the parent *thread*, and those of an executor end earlier.
"""

import asyncio
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from maieutic.tools.sandbox.scratch import Scratch
from maieutic.tools.sandbox.tier import Limits, WorkerFailed
from maieutic.tools.sandbox.worker_process import OpenScratch, WorkerProcess, frame

T = TypeVar("T")


class _Starter:
    """The thread, and the jobs that wait for it."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="sandbox-start", daemon=True).start()

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return future

    def _work(self) -> None:
        while True:
            future, job = self._jobs.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:
                    future.set_exception(error)
            del future, job  # a result that nobody waits for any more ends here


_starter = cache(_Starter)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_starter.cache_clear)


async def start_worker(job: Callable[[], WorkerProcess]) -> WorkerProcess:
    """Let the thread do `job` and wait until the worker serves. Raises WorkerFailed.

    A start that nobody waits for any more ends when its worker is collected.
    """
    try:
        process = await asyncio.wrap_future(_starter().submit(job))
    except OSError as error:  # no descriptors left, no room for a folder
        raise WorkerFailed(f"The sandbox could not be started: {error}.") from error
    await process.ready()
    return process


@dataclass(frozen=True, slots=True)
class Launch:
    """How one worker is started: its command, what it inherits, and how its scratch folder is looked into.

    `config` is what it is told once it runs. `piped` says that the two are joined by pipes and not by a socket, so
    that replies come on the standard output and what is printed on the standard error. `on_end` cleans up after it.
    """

    command: Sequence[str]
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    pass_fds: tuple[int, ...] = ()
    open_scratch: OpenScratch | None = None
    piped: bool = False
    on_end: Callable[[], None] | None = None


def launch(how: Launch, limits: Limits, config: Callable[[int], dict[str, Any]]) -> WorkerProcess:
    """Start the process; `config` makes, of its pid, what it is told. Raises WorkerFailed."""
    ours, theirs = socket.socketpair()
    capture = capture_file()
    try:
        process = subprocess.Popen(
            how.command,
            stdin=theirs.fileno(),
            stdout=theirs.fileno() if how.piped else capture,
            stderr=capture,
            pass_fds=how.pass_fds,
            env=how.env,  # never the host's: it is readable in a sandbox that has a /proc
            cwd=how.cwd,
            start_new_session=True,  # Ctrl-C at the terminal is the host's to handle
        )
    except OSError as error:
        ours.close()
        os.close(capture)
        if how.on_end is not None:
            how.on_end()
        raise WorkerFailed(f"The sandbox could not be started: {error}.") from error
    finally:
        theirs.close()
    started = WorkerProcess(process, ours, capture, limits, how.open_scratch, how.on_end, how.piped)
    try:
        ours.send(frame(config(process.pid)))  # a few kB into an empty socket: never blocks
    except OSError:
        pass  # it is dead already, and `ready` says why
    return started


def capture_file() -> int:
    """A file without a name, opened to append: what is printed goes there, and the host reads it with a cap."""
    flags = os.O_APPEND
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("capture", os.MFD_CLOEXEC)
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
        return fd
    with tempfile.TemporaryFile(mode="a+b") as file:
        return os.dup(file.fileno())


def open_folder(folder: Path, process: "subprocess.Popen[bytes]") -> Scratch:
    """A worker's scratch folder that lies in the host's own file system."""
    fd = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    return Scratch(fd, own_mount=False, pid=process.pid)


def rlimits(limits: Limits) -> dict[str, int]:
    """The limits that a worker takes on, by their names in `resource`."""
    return {
        "RLIMIT_AS": limits.memory,
        "RLIMIT_FSIZE": limits.file,
        "RLIMIT_NPROC": limits.threads,
        "RLIMIT_CPU": limits.cpu_seconds,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
    }


def python_command(python: str, script: str) -> list[str]:
    """The command line of a worker: an interpreter that reads nothing of the user's but what it is given."""
    return [python, "-I", "-S", "-B", "-X", "utf8", script]


def host_python() -> str:
    """The interpreter of this process, not the link to it in a virtual environment."""
    return str(os.path.realpath(sys._base_executable))  # type: ignore[attr-defined]
