"""Sandbox tier 3 on macOS: `sandbox-exec` with a profile that denies whatever it doesn't name.

It keeps a worker from files, network and other processes. It has no limit on memory: macOS doesn't keep to any.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from maieutic.tools.sandbox import scratch, worker
from maieutic.tools.sandbox.launch import (
    Launch,
    host_python,
    launch,
    open_folder,
    python_command,
    rlimits,
    start_worker,
)
from maieutic.tools.sandbox.root import about_packages, packages
from maieutic.tools.sandbox.tier import NO_BINDS, Binds, Limits, WorkerFailed
from maieutic.tools.sandbox.worker_process import WorkerProcess

_SYSTEM = (
    "/usr/lib",
    "/System/Library",
    "/System/Volumes/Preboot",
    "/private/var/db/dyld",
    "/dev/null",
    "/dev/urandom",
)
_TAKEN_ON = ("RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_CORE", "RLIMIT_NOFILE")
_PROBE = """
import os, socket
for forbidden in (os.fork, lambda: open("/etc/hosts"), lambda: open("/tmp/probe", "w"),
                  lambda: socket.socket().connect(("127.0.0.1", 9))):
    try:
        forbidden()
    except PermissionError:
        continue
    except OSError:
        pass
    print("open:", forbidden)
open("probe", "w").close()
print(6 * 7)
"""


class Seatbelt:
    """The tier."""

    name = "sandbox-exec"

    @property
    def about(self) -> str:
        return about_packages("the working directory")

    async def probe(self) -> str | None:
        if sys.platform != "darwin":
            return "it exists on macOS only"
        if shutil.which("sandbox-exec") is None:
            return "sandbox-exec is not there"
        try:
            process = await self.start(Limits())
        except WorkerFailed as error:
            return str(error)
        try:
            execution = await process.run(_PROBE)
        finally:
            process.kill()
        return None if execution.output == "42\n" else f"the isolation does not hold: {execution.output.strip()}"

    async def start(self, limits: Limits, preload: Sequence[str] = (), binds: Binds = NO_BINDS) -> WorkerProcess:
        return await start_worker(lambda: self._launch(limits, tuple(preload), binds))

    def _launch(self, limits: Limits, preload: tuple[str, ...], binds: Binds) -> WorkerProcess:
        home = Path(tempfile.mkdtemp(prefix="maieutic-sandbox-")).resolve()
        work, site = home / "work", home / "site"
        work.mkdir()
        site.mkdir()
        for name, place in packages().items():
            (site / name).symlink_to(place)
        for inside, outside in binds.items():
            link = work / inside.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(outside.absolute())
        limited = rlimits(limits)
        config: dict[str, Any] = {
            "rlimits": {name: limited[name] for name in _TAKEN_ON},
            "path": [str(site)],
            "environment": {"HOME": str(work), "TMPDIR": str(work)},
            "preload": preload,
        }
        readable = [home, Path(sys.base_prefix), Path(worker.__file__), *packages().values(), *binds.values()]
        command = ["sandbox-exec", "-p", profile(readable, work), *python_command(host_python(), worker.__file__)]
        how = Launch(
            command,
            cwd=str(work),
            open_scratch=partial(open_folder, work),
            on_end=partial(scratch.remove, home),
        )
        return launch(how, limits, lambda _: config)


def profile(readable: Iterable[Path], writable: Path) -> str:
    """What `sandbox-exec` is told: these paths and what is below them, and nothing else."""
    read = " ".join(f"(subpath {_quoted(path)})" for path in [*map(Path, _SYSTEM), *readable])
    return "\n".join(
        [
            "(version 1)",
            "(deny default)",
            f"(allow process-exec (literal {_quoted(host_python())}))",
            f"(allow file-read* {read})",
            f'(allow file-write* (subpath {_quoted(writable)}) (literal "/dev/null"))',
            "(allow sysctl-read)",
            "(allow signal (target self))",
        ]
    )


def _quoted(path: Path | str) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
