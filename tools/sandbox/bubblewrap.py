"""Sandbox tier 1: CPython behind bubblewrap, a system call filter and resource limits.

The worker sees an empty root with the interpreter, its C libraries and a few packages, all read-only, a
small scratch /tmp, and nothing else: no /proc, no /etc, no devices but /dev/null, no network, no other process. An
ordinary user's worker lives in a user namespace of its own; root's worker gives up root for an unused uid instead,
because root inside a namespace is still root to the files and limits outside.
"""

import os
import platform
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from maieutic.tools.sandbox import landlock, seccomp
from maieutic.tools.sandbox.launch import Launch, launch, python_command, rlimits, start_worker
from maieutic.tools.sandbox.root import LIBRARIES, PYTHON, SITE, WORKER, about_packages, compile_packages, file_system
from maieutic.tools.sandbox.scratch import Scratch
from maieutic.tools.sandbox.tier import NO_BINDS, Binds, Limits, WorkerFailed
from maieutic.tools.sandbox.worker_process import WorkerProcess

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


class Bubblewrap:
    """The tier. With `drop_root` a worker changes to an unused uid, else it lives in a user namespace."""

    name = "bubblewrap"

    @property
    def about(self) -> str:
        return about_packages("/tmp")

    def __init__(self, drop_root: bool | None = None) -> None:
        self.drop_root = can_drop_root() if drop_root is None else drop_root

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
        return await start_worker(lambda: self._launch(limits, tuple(preload), binds))

    def _launch(self, limits: Limits, preload: tuple[str, ...], binds: Binds) -> WorkerProcess:
        rules = _memory_file(seccomp.startup_filter(platform.machine()))
        command = [*self._command(limits, binds), "--seccomp", str(rules), "--", *python_command(PYTHON, WORKER)]
        config = {
            "uid": UNUSED_UIDS[secrets.randbelow(len(UNUSED_UIDS))] if self.drop_root else None,
            "landlock": landlock.inside(landlock.abi()),
            "filter": seccomp.compute_filter(platform.machine()),
            "rlimits": rlimits(limits),
            "path": [SITE],
            "environment": {"HOME": "/tmp"},
            "preload": preload,
        }
        try:
            return launch(Launch(command, pass_fds=(rules,), open_scratch=_open_tmp), limits, lambda _: config)
        finally:
            os.close(rules)

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
        for first in sorted({Path(inside).parts[1] for inside in binds} - {"site", "tmp"}):
            command += ["--symlink", f"/{first}", f"/tmp/{first}"]  # found there too, as in tiers that can't mount
        return [*command, "--remount-ro", "/", "--chdir", "/tmp", "--setenv", "LD_LIBRARY_PATH", LIBRARIES]


def can_drop_root() -> bool:
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


def _open_tmp(process: subprocess.Popen[bytes]) -> Scratch:
    """The worker's /tmp, seen from outside through its first process."""
    pid = process.pid
    inner = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    return Scratch(os.open(f"/proc/{inner}/root/tmp", os.O_PATH | os.O_DIRECTORY), own_mount=True)
