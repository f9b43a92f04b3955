"""The boundary between the host and model-written code: what a sandbox tier is, and which one works here.

A tier starts workers; a worker runs one session's cells. Whatever comes out of a worker is untrusted, and where no
tier works nothing runs: there is no silent step down to less isolation.
"""

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from maieutic.errors import ToolError, UnknownName, UserError

if TYPE_CHECKING:
    from maieutic.tools.sandbox.scratch import Scratch

# Best first. A user may demand one by its name.
TIERS = {
    "bubblewrap": "bubblewrap:Bubblewrap",
    "landlock": "confined:Confined",
    "docker": "container:Container",
    "podman": "container:Container",
    "sandbox-exec": "seatbelt:Seatbelt",
    "monty": "monty:Monty",
}
UNSAFE = "unsafe-local"
_ON_LINUX = ("bubblewrap", "landlock")

ExitReason = Literal["ok", "exception", "timeout", "memory", "files", "killed", "died", "protocol"]
Binds = Mapping[str, Path]  # absolute path inside the sandbox -> file or folder of the host, read-only
NO_BINDS: Binds = MappingProxyType({})
STATE_KEPT: tuple[ExitReason, ...] = ("ok", "exception", "timeout")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use: `seconds` a cell (stopped, state kept), `grace` seconds more until it is killed;
    `memory` (address space), `scratch` (the folder /tmp) and `file` (one file, and the printed text) in bytes;
    `files` is how many there may be in /tmp; `output` in bytes is what of the printed text is shown; `cpu_seconds`
    is over a worker's life."""

    seconds: float = 10.0
    grace: float = 1.0
    memory: int = 1 << 30
    scratch: int = 64 << 20
    file: int = 32 << 20
    files: int = 10_000
    output: int = 10_000
    threads: int = 64
    cpu_seconds: int = 600


@dataclass(frozen=True, slots=True)
class Execution:
    """How one cell went.

    `exit` is ok, exception (the cell's own), timeout (stopped, state kept), or, with the worker gone: memory, files
    (more than there may be), killed (did not stop in time), died, protocol (it sent what it may not). `output` is
    what the cell printed, capped.
    """

    exit: ExitReason
    output: str
    seconds: float


class Worker(Protocol):
    """One isolated interpreter, for one session, killed when that session ends and never used again."""

    @property
    def alive(self) -> bool: ...

    @property
    def scratch(self) -> "Scratch | None":
        """Its scratch folder, None where that can't be looked into."""
        ...

    async def run(self, code: str) -> Execution:
        """Run one cell. Cancelling the call kills the worker."""
        ...

    def kill(self) -> None: ...


class Tier(Protocol):
    """A way of isolating workers."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """What a model has to know of it, in a sentence or two."""
        ...

    async def probe(self) -> str | None:
        """Try it out for real: None where it works, else the reason why not."""
        ...

    async def start(self, limits: Limits, preload: Sequence[str] = (), binds: Binds = NO_BINDS) -> Worker:
        """A worker that is ready, with the modules of `preload` imported and `binds` to be read.

        A bound file must be readable for everyone: the worker may run as another user. Raises WorkerFailed."""
        ...


class WorkerFailed(ToolError):
    """A worker could not be started."""


class NoSandbox(UserError):
    """No tier works on this machine."""

    def __init__(self, reasons: dict[str, str]) -> None:
        tried = "; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in reasons.items())
        super().__init__(
            "The python tool needs a sandbox, and none works here: install one with "
            f"`apt-get install bubblewrap` or `pip install 'maieutic[monty]'` (tried {tried or 'nothing'})."
        )


class UnknownTier(UnknownName):
    """A sandbox was demanded that there isn't."""

    def __init__(self, name: str) -> None:
        super().__init__("sandbox", name, TIERS)


async def choose_tier(tiers: Iterable[Tier]) -> Tier:
    """The first tier that works, found out by running it. Raises NoSandbox with every tier's reason."""
    reasons: dict[str, str] = {}
    for tier in tiers:
        reason = await tier.probe()
        if reason is None:
            return tier
        reasons[tier.name] = reason
    raise NoSandbox(reasons)


_chosen: dict[str | None, Tier] = {}


async def ensure_sandbox(name: str | None = None) -> Tier:
    """The tier in force in this process, probed at the first call; with `name` that one or none.

    Raises NoSandbox, and UnknownTier for a name that isn't in `TIERS`. `UNSAFE` is never chosen, only named: who
    passes it on must have it from the user, for this very run.
    """
    if name not in _chosen:
        if name is not None and name not in (*TIERS, UNSAFE):
            raise UnknownTier(name)
        wanted = [name] if name else [tier for tier in TIERS if sys.platform == "linux" or tier not in _ON_LINUX]
        _chosen[name] = await choose_tier(_make(one) for one in wanted)
    return _chosen[name]


def _make(name: str) -> Tier:
    module, _, kind = {**TIERS, UNSAFE: "local:Local"}[name].partition(":")
    made = getattr(importlib.import_module(f"maieutic.tools.sandbox.{module}"), kind)
    tier: Tier = made(name) if kind == "Container" else made()
    return tier
