"""Sandbox tier 3: a container of Docker or podman, without network, capabilities or a writable root.

Nothing is pulled: the image must be there (`docker pull python:3.13-slim`). MAIEUTIC_SANDBOX_IMAGE names another one,
such as one with numpy. Inside, the worker takes on its own limits and system call filter too. Files that cells write
are not copied out, because the container's /tmp is memory that is gone with it.
"""

import os
import platform
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from maieutic.tools.sandbox import seccomp, worker
from maieutic.tools.sandbox.launch import Launch, launch, rlimits, start_worker
from maieutic.tools.sandbox.root import WORKER
from maieutic.tools.sandbox.tier import NO_BINDS, Binds, Limits, WorkerFailed
from maieutic.tools.sandbox.worker_process import WorkerProcess

IMAGE = "python:3.13-slim"

_MACHINES = {"arm64": "aarch64", "AMD64": "x86_64"}
# What the client prints goes to a file of ours: it may not grow without end.
_BOUNDED = ("/bin/sh", "-c", 'ulimit -f 65536; exec "$@"', "sh")
_SECONDS = 20.0
_PROBE = """
import os, socket
for forbidden in (os.fork, socket.socket, lambda: open("/probe", "w")):
    try:
        forbidden()
    except OSError:
        continue
    print("open:", forbidden)
print(6 * 7)
"""


class Container:
    """The tier, for one of the two programs."""

    about = (
        "Of packages, count on the standard library alone, and try numpy and sympy; there is no network, no other "
        "process, and no file but in /tmp."
    )

    def __init__(self, program: str, env: Mapping[str, str] = os.environ) -> None:
        self.name = program
        self._image = env.get("MAIEUTIC_SANDBOX_IMAGE") or IMAGE

    async def probe(self) -> str | None:
        if shutil.which(self.name) is None:
            return f"{self.name} is not installed"
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

    def command(self, name: str, limits: Limits, binds: Binds) -> list[str]:
        """The command line that runs one worker in a container of this name."""
        mounts = {WORKER: os.path.abspath(worker.__file__), **{inside: str(path) for inside, path in binds.items()}}
        mounts |= {f"/tmp{inside}": str(path) for inside, path in binds.items()}
        megabytes = limits.memory >> 20
        command = [self.name, "run", "--rm", "--interactive", "--pull", "never", "--name", name]
        command += ["--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        command += ["--user", "65534:65534", "--ipc", "none", "--pids-limit", str(limits.threads)]
        command += ["--memory", f"{megabytes}m", "--memory-swap", f"{megabytes}m", "--log-driver", "none"]
        command += ["--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.scratch},mode=1777", "--workdir", "/tmp"]
        for inside, outside in mounts.items():
            command += ["--mount", f"type=bind,source={outside},target={inside},readonly"]
        return [*command, self._image, "python3", "-I", "-S", "-B", "-X", "utf8", WORKER, "piped"]

    def _launch(self, limits: Limits, preload: tuple[str, ...], binds: Binds) -> WorkerProcess:
        name = f"maieutic-{secrets.token_hex(8)}"
        machine = _MACHINES.get(platform.machine(), platform.machine())
        config: dict[str, Any] = {
            "filter": seccomp.compute_filter(machine) if machine in seccomp.AUDIT_ARCH else None,
            "rlimits": rlimits(limits),
            "image_packages": True,
            "path": [],
            "environment": {"HOME": "/tmp"},
            "preload": preload,
        }
        how = Launch(
            [*_BOUNDED, *self.command(name, limits, binds)],
            env={
                key: os.environ[key] for key in ("PATH", "HOME", "DOCKER_HOST", "XDG_RUNTIME_DIR") if key in os.environ
            },
            piped=True,
            on_end=partial(self._remove, name),
        )
        return launch(how, limits, lambda _: config)

    def _remove(self, name: str) -> None:
        """Killing the client leaves the container running."""
        command = [self.name, "rm", "--force", name]
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            pass  # the limit on its processor time ends it
