"""The host's half of a worker process: sends cells, believes nothing that comes back.

A reply is 17 bytes, a nonce and a status; whatever else arrives ends the worker. What a cell prints goes to a memory
file that the host holds too, so that it can be read, capped, even after the worker was killed.
"""

import asyncio
import atexit
import marshal
import os
import secrets
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from maieutic.tools.sandbox import worker as protocol
from maieutic.tools.sandbox.scratch import Scratch
from maieutic.tools.sandbox.tier import STATE_KEPT, Execution, ExitReason, Limits, WorkerFailed

_EXITS: dict[int, ExitReason] = {
    protocol.OK: "ok",
    protocol.EXCEPTION: "exception",
    protocol.TIMEOUT: "timeout",
    protocol.MEMORY: "memory",
}
_START_SECONDS = 60.0  # importing sympy without compiled bytecode takes some
_WATCH_SECONDS = 0.05
_TEXT_SECONDS = 2.0  # how long a pipe may lag behind the other
_LAST_WAIT_SECONDS = 2.0
_UNPRINTABLE = {code: "\ufffd" for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160))}

OpenScratch = Callable[[subprocess.Popen[bytes]], Scratch]


@dataclass
class _Held:
    """What a worker holds of the host's, ended with it. `settled` says that it may be killed without leaving a trace:
    bubblewrap's second process is orphaned where the first is killed before it has set up the second."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    fds: list[int]
    on_end: Callable[[], None] | None = None
    settled: bool = False

    def end(self) -> None:
        """End it without waiting for that: the event loop is not held up. One that is starting ends by itself, at
        its first look at the connection."""
        if self.settled:
            self.process.kill()
        _dying[:] = [process for process in (*_dying, self.process) if process.poll() is None]
        self.connection.close()
        for fd in self.fds:
            os.close(fd)
        if self.on_end is not None:
            _afterwards(self.process, self.on_end)


def _afterwards(process: subprocess.Popen[bytes], act: Callable[[], None]) -> None:
    """Act once the process is dead, without waiting here."""

    def wait() -> None:
        try:
            process.wait(_LAST_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        act()

    thread = threading.Thread(target=wait, name="sandbox-end")  # not a daemon: the interpreter waits for it
    try:
        thread.start()
    except RuntimeError:  # the interpreter is on its way out
        wait()


_dying: list[subprocess.Popen[bytes]] = []


@atexit.register
def _wait_for_the_dying() -> None:
    for process in _dying:
        try:
            process.wait(_LAST_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class WorkerProcess:
    """A worker behind `connection`, printing to the file `capture`; owns all three and ends them.

    `open_scratch` opens its scratch folder once it serves, `on_end` is called when it is dead. `piped` says that what
    is printed comes another way than replies do, and may come later.
    """

    scratch: Scratch | None = None

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        capture: int,
        limits: Limits,
        open_scratch: OpenScratch | None,
        on_end: Callable[[], None] | None = None,
        piped: bool = False,
    ) -> None:
        connection.setblocking(False)
        self._process = process
        self._connection = connection
        self._capture = capture
        self._limits = limits
        self._open_scratch = open_scratch
        self._piped = piped
        self._mark = b""
        self._watch: asyncio.TimerHandle | None = None
        self._too_many_files = False
        self._busy = self._killed = False
        self._held = _Held(process, connection, [capture], on_end)
        self._end = weakref.finalize(self, self._held.end)

    @property
    def alive(self) -> bool:
        return not self._killed and self._process.poll() is None

    def kill(self) -> None:
        """End it at once. A cell under way then comes back as died."""
        self._killed = True
        if self._busy:  # the event loop is still waiting for the connection
            self._process.kill()
        else:
            self._end()

    async def ready(self) -> None:
        """Wait until it serves. Raises WorkerFailed with what it said instead."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                exit_ = await self._reply(protocol.READY)
        except TimeoutError:
            self._held.settled = True
            reason = f"it was not ready after {_START_SECONDS:g} s"
        except OSError:
            lines = [line for line in self._read().splitlines() if line.strip() and not line.startswith("Run '")]
            reason = lines[-1].rstrip(".") if lines else "it ended at once without a word"
        except BaseException:
            self.kill()
            raise
        else:
            failed = self._settle() if exit_ == "ok" else "it did not keep to the protocol"
            if failed is None:
                return
            reason = failed
        self.kill()
        raise WorkerFailed(f"The sandbox could not be started: {reason}.")

    async def run(self, code: str) -> Execution:
        if not self.alive:
            raise WorkerFailed("The worker has ended.")
        started, exit_ = time.monotonic(), None
        self._busy = True
        try:
            exit_ = await self._exchange(code)
            return Execution(exit_, self._read(), time.monotonic() - started)
        finally:
            self._busy = False
            if exit_ not in STATE_KEPT or self._killed:
                self.kill()

    async def _exchange(self, code: str) -> ExitReason:
        stray = self._stray()
        if stray is not None:
            return "protocol" if stray else "died"
        os.ftruncate(self._capture, 0)
        self._mark = b""
        nonce = secrets.token_bytes(16)
        request = {"nonce": nonce, "seconds": self._limits.seconds, "code": code}
        try:
            if self.scratch is not None:
                self._watch_files(self.scratch)
            async with asyncio.timeout(self._limits.seconds + self._limits.grace):
                await send(self._connection, request)
                exit_ = await self._reply(nonce)
                if self._piped:
                    await self._text(nonce)
        except TimeoutError:
            exit_ = "killed"
        except OSError:
            exit_ = "died"
        finally:
            if self._watch is not None:
                self._watch.cancel()
        return "files" if self._too_many_files else exit_

    def _settle(self) -> str | None:
        """Hold its scratch folder open from now on; says why where that can't be."""
        self._held.settled = True
        if self._open_scratch is None:
            return None
        try:
            self.scratch = self._open_scratch(self._process)
        except (OSError, IndexError) as error:
            return f"its scratch folder can't be watched ({error})"
        self._held.fds.append(self.scratch.fd)
        return None

    def _watch_files(self, scratch: Scratch) -> None:
        """Look how full the scratch folder is, now and again."""
        started = time.monotonic()
        if scratch.is_over(self._limits):
            self._too_many_files = True
            self._process.kill()  # the connection then ends
        pause = max(_WATCH_SECONDS, 10 * (time.monotonic() - started))
        self._watch = asyncio.get_running_loop().call_later(pause, self._watch_files, scratch)

    async def _text(self, nonce: bytes) -> None:
        """Wait, not for ever, until what was printed has come too: it ends in the nonce."""
        for _ in range(int(_TEXT_SECONDS * 200)):
            size = os.fstat(self._capture).st_size
            if size >= len(nonce) and os.pread(self._capture, len(nonce), size - len(nonce)) == nonce:
                self._mark = nonce
                return
            await asyncio.sleep(0.005)

    def _stray(self) -> bytes | None:
        """What has come though nothing was asked: None where nothing has, empty at the connection's end."""
        try:
            return self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    async def _reply(self, nonce: bytes) -> ExitReason:
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < protocol.REPLY.size:
            chunk = await loop.sock_recv(self._connection, protocol.REPLY.size + 1 - len(data))
            if not chunk:
                raise ConnectionResetError
            data += chunk
        if len(data) > protocol.REPLY.size:
            return "protocol"
        answered, status = protocol.REPLY.unpack(data)
        return _EXITS.get(status, "protocol") if answered == nonce else "protocol"

    def _read(self) -> str:
        """What the cell printed: head and tail, and between them how much was cut."""
        size, cap = os.fstat(self._capture).st_size - len(self._mark), self._limits.output
        if size <= cap:
            return printable(os.pread(self._capture, size, 0))
        head, tail = os.pread(self._capture, cap // 2, 0), os.pread(self._capture, cap // 2, size - cap // 2)
        return _joined(head, tail, size)


async def send(connection: socket.socket, value: Any) -> None:
    """Send one frame to a worker."""
    await asyncio.get_running_loop().sock_sendall(connection, frame(value))


def frame(value: Any) -> bytes:
    data = marshal.dumps(value, 4)  # what every supported Python reads
    return protocol.FRAME.pack(len(data)) + data


def cut(data: bytes, cap: int) -> str:
    """Text for a model to read, head and tail of it where it is longer than `cap` bytes."""
    return printable(data) if len(data) <= cap else _joined(data[: cap // 2], data[-(cap // 2) :], len(data))


def printable(data: bytes) -> str:
    """Untrusted bytes as text without control characters, which a terminal would obey."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.translate(_UNPRINTABLE)


def _joined(head: bytes, tail: bytes, size: int) -> str:
    left_out = size - len(head) - len(tail)
    return f"{printable(head)}\n[... {left_out:,} of {size:,} bytes cut ...]\n{printable(tail)}"
