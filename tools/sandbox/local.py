"""No sandbox at all: an ordinary process of the user's own, for who has said `--unsafe-local` and means it.

It is never chosen, neither by itself nor by a setting in a file. The worker has the user's rights and packages, and a
working directory of its own. It is given no environment but PATH, HOME and LANG, so that keys don't leak by accident.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from maieutic.tools.sandbox import scratch, worker
from maieutic.tools.sandbox.launch import Launch, launch, open_folder, rlimits, start_worker
from maieutic.tools.sandbox.tier import NO_BINDS, UNSAFE, Binds, Limits, WorkerFailed
from maieutic.tools.sandbox.worker_process import WorkerProcess

_NEEDED = ("PATH", "HOME", "LANG", "SYSTEMROOT")
_TAKEN_ON = ("RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_CORE")


class Local:
    """The absence of a tier."""

    name = UNSAFE
    about = (
        "All packages of the machine are there, and its files and its network; write files to the working directory."
    )

    async def probe(self) -> str | None:
        try:
            (await self.start(Limits())).kill()
        except WorkerFailed as error:
            return str(error)
        return None

    async def start(self, limits: Limits, preload: Sequence[str] = (), binds: Binds = NO_BINDS) -> WorkerProcess:
        return await start_worker(lambda: self._launch(limits, tuple(preload), binds))

    def _launch(self, limits: Limits, preload: tuple[str, ...], binds: Binds) -> WorkerProcess:
        home = Path(tempfile.mkdtemp(prefix="maieutic-local-"))
        work = home / "work"
        work.mkdir()
        for inside, outside in binds.items():
            link = work / inside.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(outside.absolute())
        limited = rlimits(limits)
        config: dict[str, Any] = {
            "rlimits": {name: limited[name] for name in _TAKEN_ON},
            "path": [],
            "preload": preload,
            "keep_environment": True,
        }
        how = Launch(
            [sys.executable, "-P", "-B", "-X", "utf8", worker.__file__],
            env={name: os.environ[name] for name in _NEEDED if name in os.environ},
            cwd=str(work),
            open_scratch=partial(open_folder, work),
            on_end=partial(scratch.remove, home),
        )
        return launch(how, limits, lambda _: config)
