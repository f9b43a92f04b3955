"""The near end of the reasoning-gym worker: starts it, asks it, kills it when it takes too long."""

import json
from importlib.util import find_spec
from threading import Lock
from typing import Any

from maieutic.errors import MissingExtra
from maieutic.tools.child import Child

START_SECONDS = 60.0


class WorkerTimeout(Exception):
    """The worker did not answer in time, and was killed."""


class GymProcess:
    """A reasoning-gym worker, started when it is first asked. Calls from several threads take turns."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: Child | None = None

    def ask(self, *request: Any, seconds: float) -> tuple[str, Any]:
        """The worker's (kind, value); `seconds` is the time-out. Raises WorkerTimeout, and MissingExtra."""
        with self._lock:
            try:
                return self._ask(json.dumps(request).encode(), seconds)
            except BaseException:  # an unread reply must not become the answer to the next request
                self._stop()
                raise

    def close(self) -> None:
        """End the worker. The next `ask` starts another."""
        with self._lock:
            self._stop()

    def _ask(self, request: bytes, seconds: float) -> tuple[str, Any]:
        if self._child is None:
            self._child = _start()
            seconds += START_SECONDS
        try:
            self._child.requests.send_bytes(request)
            if not self._child.replies.poll(seconds):
                raise WorkerTimeout(f"no reply in {seconds:g} s")
            kind, value = json.loads(self._child.replies.recv_bytes())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._stop()
            return "error", "the reasoning-gym worker ended (out of memory, perhaps)"
        return kind, value

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def _start() -> Child:
    if find_spec("reasoning_gym") is None:
        raise MissingExtra("env:rg/…", "envs")
    return Child("-P", "-W", "ignore", "-m", "maieutic.tasks.gym_worker", env={"PYTHONHASHSEED": "0"})
