"""A Python program of our own in a process of its own, asked over pipes, which can be killed at any moment."""

import atexit
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection

# It deals with what models or strangers wrote: it gets no keys or tokens.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")


class Child:
    """A running program, `arguments` of this Python; `requests` and `replies` carry messages of bytes."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(env or {}),
            start_new_session=True,  # Ctrl-C is for the run, which then ends the process
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self.requests = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self.replies = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        self._process.stdin.close()
        self._process.stdout.close()
        atexit.register(self.kill)

    def kill(self) -> None:
        """End it at once; it is asked only once."""
        atexit.unregister(self.kill)
        self.requests.close()
        self.replies.close()
        self._process.kill()
        self._process.wait()
