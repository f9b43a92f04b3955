"""Sandbox tier 1: CPython behind bubblewrap, a system call filter and resource limits.

The worker sees an empty root with the interpreter, its C libraries and a few packages, all read-only, a
small scratch /tmp, and nothing else: no /proc, no /etc, no devices but /dev/null, no network, no other process. An
ordinary user's worker lives in a user namespace of its own; root's worker gives up root for an unused uid instead,
because root inside a namespace is still root to the files and limits outside.
"""

import asyncio
import fcntl
import os
import platform
import queue
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cache
from importlib import metadata
from pathlib import Path

from maieutic.tools.sandbox import seccomp
from maieutic.tools.sandbox.root import LIBRARIES, PYTHON, WORKER, compile_packages, file_system
from maieutic.tools.sandbox.tier import NO_BINDS, Binds, Limits, WorkerFailed
from maieutic.tools.sandbox.worker_process import WorkerProcess, frame

UNUSED_UIDS = range(61234, 65330)  # each of root's workers takes one: limits on threads count per uid

_NAMESPACES = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
_AS_ROOT = ("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_AS_USER = ("--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL")
_PROBE = """
import os, socket
for forbidden in (os.fork, socket.socket, lambda: open("/probe", "w")):
    try:
        forbidden()
    except OSError:
        continue
    print("open:", forbidden)
for path in ("/proc", "/etc", "/root", "/home"):
    if os.path.exists(path):
        print("visible:", path)
if os.geteuid() == 0:
    print("still root")
print(6 * 7)
"""


class _Starter:
    """One thread that starts every worker and ends with the process, never before: --die-with-parent is about the
    starting *thread*, and those of an executor end earlier."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[WorkerProcess], Callable[[], WorkerProcess]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="sandbox-start", daemon=True).start()

    def submit(self, job: Callable[[], WorkerProcess]) -> Future[WorkerProcess]:
        future: Future[WorkerProcess] = Future()
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
os.register_at_fork(after_in_child=_starter.cache_clear)


class Bubblewrap:
    """The tier. With `drop_root` a worker changes to an unused uid, else it lives in a user namespace."""

    name = "bubblewrap"

    def __init__(self, drop_root: bool | None = None) -> None:
        self.drop_root = _can_drop_root() if drop_root is None else drop_root

    async def probe(self) -> str | None:
        if platform.machine() not in seccomp.AUDIT_ARCH:
            return f"there is no system call table for {platform.machine()}"
        if shutil.which("bwrap") is None:
            return "bwrap is not installed"
        try:
            process = await self.start(Limits())
        except (WorkerFailed, metadata.PackageNotFoundError) as error:
            return f"{error} (0.8 or newer is needed)" if "Unknown option" in str(error) else str(error)
        try:
            execution = await process.run(_PROBE)
        finally:
            process.kill()
        compile_packages()
        return None if execution.output == "42\n" else f"the isolation does not hold: {execution.output.strip()}"

    async def start(self, limits: Limits, preload: Sequence[str] = (), binds: Binds = NO_BINDS) -> WorkerProcess:
        # A start that nobody waits for any more ends when its worker is collected.
        process = await asyncio.wrap_future(_starter().submit(lambda: self._launch(limits, tuple(preload), binds)))
        await process.ready()
        return process

    def _launch(self, limits: Limits, preload: tuple[str, ...], binds: Binds) -> WorkerProcess:
        command = self._command(limits, binds)
        ours, theirs = socket.socketpair()
        capture = os.memfd_create("capture", os.MFD_CLOEXEC)
        rules = _memory_file(seccomp.startup_filter(platform.machine()))
        try:
            _append_only(capture)
            process = subprocess.Popen(
                [*command, "--seccomp", str(rules), "--", PYTHON, "-I", "-S", "-B", "-X", "utf8", WORKER],
                stdin=theirs.fileno(),
                stdout=capture,
                stderr=capture,
                pass_fds=(rules,),
                env={},  # bubblewrap's own environment is readable in a sandbox that has a /proc
                cwd="/",
                start_new_session=True,  # Ctrl-C at the terminal is the host's to handle
            )
        except OSError as error:
            ours.close()
            os.close(capture)
            raise WorkerFailed(f"The sandbox could not be started: {error}.") from error
        finally:
            theirs.close()
            os.close(rules)
        started = WorkerProcess(process, ours, capture, limits)
        uid = UNUSED_UIDS[secrets.randbelow(len(UNUSED_UIDS))] if self.drop_root else None
        _configure(ours, uid, limits, preload)
        return started

    def _command(self, limits: Limits, binds: Binds) -> list[str]:
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise WorkerFailed("The sandbox could not be started: bwrap is not installed.")
        command = [bwrap, *_NAMESPACES, *(_AS_ROOT if self.drop_root else _AS_USER)]
        command += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
        command += file_system()
        command += ["--perms", "1777", "--size", str(limits.scratch), "--tmpfs", "/tmp"]
        command += ["--symlink", "/tmp", "/dev/shm"]  # where semaphores live
        for inside, outside in binds.items():
            for folder in reversed(Path(inside).parents[:-1]):
                command += ["--perms", "0755", "--dir", str(folder)]
            command += ["--ro-bind", str(outside), inside]
        return [*command, "--remount-ro", "/", "--chdir", "/tmp", "--setenv", "LD_LIBRARY_PATH", LIBRARIES]


def _can_drop_root() -> bool:
    """Whether the caller is root and the unused uids exist: a container's user namespace may not map them."""
    if os.geteuid() != 0:
        return False
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= UNUSED_UIDS.start and UNUSED_UIDS.stop <= first + count for first, _, count in ranges)


def _memory_file(data: bytes) -> int:
    fd = os.memfd_create("rules", os.MFD_CLOEXEC)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _append_only(fd: int) -> None:
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)


def _configure(connection: socket.socket, uid: int | None, limits: Limits, preload: tuple[str, ...]) -> None:
    config = {
        "uid": uid,
        "filter": seccomp.compute_filter(platform.machine()),
        "preload": preload,
        "rlimits": {
            "RLIMIT_AS": limits.memory,
            "RLIMIT_FSIZE": limits.file,
            "RLIMIT_NPROC": limits.threads,
            "RLIMIT_CPU": limits.cpu_seconds,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 0,
        },
    }
    try:
        connection.send(frame(config))  # a few kB into an empty socket: never blocks
    except OSError:
        pass  # it is dead already, and `ready` says why
