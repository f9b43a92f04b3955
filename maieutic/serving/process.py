"""A server's processes, told apart from others that may have got the same number since.

A server is the leader of a session of its own, and vLLM's engine and workers stay in it: the session is what is ended.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from maieutic.errors import MaieuticError, UserError

PROC = Path("/proc")
ORPHAN_GRACE = 3.0  # for what is left once the leader has ended
KILLED_WITHIN = 10.0
POLL = 0.05


@dataclass(frozen=True, slots=True)
class Session:
    """The session of one server: its leader's number, when the leader began (in clock ticks), in which boot."""

    pid: int
    ticks: int
    boot: str

    def alive(self) -> bool:
        """Whether the leader runs."""
        return self.boot == boot_id() and _ticks(self.pid) == self.ticks

    def members(self) -> list[int]:
        """The processes of the session, the leader's children too where the leader has gone."""
        if self.boot != boot_id() or _ticks(self.pid) not in (None, self.ticks):
            return []  # another boot, or the number belongs to another process: nothing of this session is left
        numbers = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
        return [pid for pid in numbers if (stat := _stat(pid)) and stat[3] == str(self.pid)]

    def stop(self, grace: float) -> None:
        """End the session: the leader has `grace` seconds to end with its children, what is left then is killed.

        Raises MaieuticError if something can't be ended.
        """
        if self.alive():
            _signal(self.pid, signal.SIGTERM)
            _until(lambda: not self.alive(), grace)
        exit_code(self.pid)
        for number, seconds in ((signal.SIGTERM, min(grace, ORPHAN_GRACE)), (signal.SIGKILL, KILLED_WITHIN)):
            for pid in self.members():
                _signal(pid, number)
            if _until(lambda: not self.members(), seconds):
                exit_code(self.pid)
                return
        left = ", ".join(map(str, self.members()))
        raise MaieuticError(f"The processes {left} can't be ended: see what they wait for, then end them.")


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL)
    return True


def start(command: list[str], env: dict[str, str], log: Path) -> Session:
    """Start a command in a session of its own, its output in `log`; it outlives this process and its terminal."""
    if not (PROC / "self" / "stat").exists():
        raise UserError(
            "Servers are started on Linux only: start vLLM elsewhere and reach it with --model vllm/NAME@URL."
        )
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    defaults = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE]
    pid = os.posix_spawn(command[0], command, env, file_actions=actions, setsid=True, setsigdef=defaults)
    return Session(pid, _ticks(pid) or 0, boot_id())


def exit_code(pid: int) -> int | None:
    """The exit code of a child that has ended (negative: the signal); None while it runs or where it's no child."""
    with suppress(ChildProcessError):
        done, status = os.waitpid(pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if done else None
    return None


def boot_id() -> str:
    """What tells one boot of the machine from another."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _ticks(pid: int) -> int | None:
    stat = _stat(pid)
    return int(stat[19]) if stat else None


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; None where there is no process, or only what it leaves."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if not fields or fields[0] in "ZX" else fields


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
