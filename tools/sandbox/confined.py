"""Sandbox tier 2, for Linux without bubblewrap: one process that Landlock, a system call filter and limits confine.

The worker has no namespaces of its own. It reads the interpreter, the C libraries and a few packages and writes one
scratch folder, as tier 1; it can't open anything else, make a socket or a process, or signal any other. What tier 1
hides and this one doesn't: whether a path exists, its size and its times can be asked, and process ids can be guessed
but not used. The scratch folder lies on the host's disk and is watched, so that it may briefly hold more than allowed.
"""

import atexit
import os
import platform
import secrets
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

from maieutic.tools.sandbox import landlock, scratch, seccomp, worker
from maieutic.tools.sandbox.bubblewrap import UNUSED_UIDS, can_drop_root
from maieutic.tools.sandbox.launch import (
    Launch,
    host_python,
    launch,
    open_folder,
    python_command,
    rlimits,
    start_worker,
)
from maieutic.tools.sandbox.root import about_packages, compile_packages, packages, system_libraries
from maieutic.tools.sandbox.tier import NO_BINDS, Binds, Limits, WorkerFailed
from maieutic.tools.sandbox.worker_process import WorkerProcess

_OLDEST = 3  # the first version of Landlock that keeps files from being truncated
_PROBE = """
import os, socket
for forbidden in (os.fork, socket.socket, lambda: open("/probe", "w"), lambda: open("/etc/passwd"),
                  lambda: os.listdir("/proc"), lambda: os.kill(os.getppid(), 0)):
    try:
        forbidden()
    except OSError:
        continue
    print("open:", forbidden)
if os.geteuid() == 0:
    print("still root")
open("probe", "w").close()
print(6 * 7)
"""


class Confined:
    """The tier. Root's workers change to an unused uid, as in tier 1; others stay what they are."""

    name = "landlock"

    @property
    def about(self) -> str:
        return about_packages("the working directory")

    async def probe(self) -> str | None:
        if sys.platform != "linux":
            return "it exists on Linux only"
        if platform.machine() not in seccomp.AUDIT_ARCH:
            return f"there is no system call table for {platform.machine()}"
        if landlock.abi() < _OLDEST:
            return "the kernel has no Landlock, or one from before Linux 6.2"
        if os.geteuid() == 0 and not can_drop_root():
            return "root can't be given up: the uids for it are not mapped"
        _remove_left_behind()
        try:
            process = await self.start(Limits())
        except (WorkerFailed, metadata.PackageNotFoundError) as error:
            return str(error)
        try:
            execution = await process.run(_PROBE)
        finally:
            process.kill()
        compile_packages()
        return None if execution.output == "42\n" else f"the isolation does not hold: {execution.output.strip()}"

    async def start(self, limits: Limits, preload: Sequence[str] = (), binds: Binds = NO_BINDS) -> WorkerProcess:
        return await start_worker(lambda: self._launch(limits, tuple(preload), binds))

    def _launch(self, limits: Limits, preload: tuple[str, ...], binds: Binds) -> WorkerProcess:
        uid = UNUSED_UIDS[secrets.randbelow(len(UNUSED_UIDS))] if os.geteuid() == 0 else None
        home = Path(tempfile.mkdtemp(prefix=_prefix()))
        work = home / "work"
        try:
            _furnish(home, work, uid, binds)
        except OSError:
            scratch.remove(home)
            raise
        how = Launch(
            python_command(host_python(), worker.__file__),
            cwd=str(work),
            open_scratch=partial(open_folder, work),
            on_end=partial(scratch.remove, home),
        )
        return launch(how, limits, partial(_config, uid, home, limits, preload, binds))


def _furnish(home: Path, work: Path, uid: int | None, binds: Binds) -> None:
    work.mkdir(0o700)
    if uid is not None:
        os.chmod(home, 0o711)
        os.chown(work, uid, uid)
    for inside, outside in binds.items():  # there is no mounting: they are found below the working directory
        link = work / inside.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside.absolute())


def _config(
    uid: int | None, home: Path, limits: Limits, preload: tuple[str, ...], binds: Binds, pid: int
) -> dict[str, Any]:
    folders = {str(path): landlock.READ for path in (*_interpreter(), _site(), home)}
    folders |= {str(home / "work"): landlock.WRITE}
    files = {str(path): landlock.READ for path in (*packages().values(), *binds.values()) if path.is_file()}
    folders |= {str(path): landlock.READ for path in (*packages().values(), *binds.values()) if path.is_dir()}
    limited = rlimits(limits)
    if uid is None:  # the limit counts all that the user runs
        limited["RLIMIT_NPROC"] += _threads_of(os.getuid())
    return {
        "uid": uid,
        "read_all": not _all_may_read(),
        "parent": os.getpid(),
        "landlock": landlock.rules(landlock.abi(), folders, {**files, "/dev/null": landlock.USE}),
        "filter": seccomp.compute_filter(platform.machine(), pid, owns_files=uid is None),
        "rlimits": limited,
        "path": [str(_site()), str(home / "work" / "site")],
        "environment": {"HOME": str(home / "work"), "TMPDIR": str(home / "work")},
        "preload": preload,
    }


@cache
def _interpreter() -> tuple[Path, ...]:
    stdlib = Path(sysconfig.get_path("stdlib"))
    own = stdlib if Path(sys.base_prefix) == Path("/usr") else Path(sys.base_prefix, "lib")
    return (own, *system_libraries())


@cache
def _all_may_read() -> bool:
    """Whether any user may read the interpreter and the packages."""
    places = [Path(host_python()), *_interpreter(), *packages().values()]
    ways = {folder for place in places for folder in (place, *place.parents)}
    return all(way.stat().st_mode & (0o1 if way.is_dir() else 0o4) for way in ways)


@cache
def _site() -> Path:
    """A folder of links to the packages that may be imported, made once for all workers of this process."""
    folder = Path(tempfile.mkdtemp(prefix=_prefix()))
    os.chmod(folder, 0o755)
    for name, place in packages().items():
        (folder / name).symlink_to(place)
    atexit.register(_remove_own, folder, os.getpid())
    return folder


def _remove_own(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # and not a copy of this process, made by fork
        scratch.remove(folder)


def _prefix() -> str:
    return f"maieutic-sandbox-{os.getpid()}-"


def _remove_left_behind() -> None:
    """Remove the folders of processes that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob("maieutic-sandbox-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not Path("/proc", owner).exists() and folder.lstat().st_uid == os.geteuid():
            scratch.remove(folder)


def _threads_of(uid: int) -> int:
    """How many threads all processes of a user have."""
    count = 0
    for task in Path("/proc").glob("[0-9]*/task"):
        try:
            if task.stat().st_uid == uid:
                count += len(os.listdir(task))
        except OSError:  # it has ended meanwhile
            continue
    return count
