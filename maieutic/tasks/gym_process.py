"""The near end of the reasoning-gym worker: starts it, asks it, kills it when it takes too long."""

import atexit
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

from maieutic.errors import MissingExtra

START_SECONDS = 60.0
# The worker evaluates what models wrote: it gets no keys or tokens.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")


class WorkerTimeout(Exception):
    """The worker did not answer in time, and was killed."""


class GymProcess:
    """A reasoning-gym worker, started when it is first asked. Calls from several threads take turns."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: Connection | None = None
        self._requests: Connection | None = None

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
        if self._process is None:
            self._start()
            seconds += START_SECONDS
        assert self._requests is not None and self._replies is not None
        try:
            self._requests.send_bytes(request)
            if not self._replies.poll(seconds):
                raise WorkerTimeout(f"no reply in {seconds:g} s")
            kind, value = json.loads(self._replies.recv_bytes())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._stop()
            return "error", "the reasoning-gym worker ended (out of memory, perhaps)"
        return kind, value

    def _start(self) -> None:
        if find_spec("reasoning_gym") is None:
            raise MissingExtra("env:rg/…", "envs")
        command = [sys.executable, "-P", "-W", "ignore", "-m", "maieutic.tasks.gym_worker"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _INHERITED if name in os.environ} | {"PYTHONHASHSEED": "0"},
            start_new_session=True,  # Ctrl-C is for the run, which then closes the worker
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._replies = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        self._process.stdin.close()
        self._process.stdout.close()
        atexit.register(self._stop)

    def _stop(self) -> None:
        if self._process is None:
            return
        atexit.unregister(self._stop)
        for connection in (self._requests, self._replies):
            if connection is not None:
                connection.close()
        self._process.kill()
        self._process.wait()
        self._process = self._requests = self._replies = None
