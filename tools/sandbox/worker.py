"""What runs inside the sandbox: one interpreter that keeps its variables from cell to cell.

Started as a script, on the standard library alone, with a connected socket as standard input and the capture file as
standard output and error. The host sends frames (4-byte big-endian length, marshalled value); the worker answers each
with one fixed-size record, a nonce and a status byte. Text never travels in a reply: it goes to the capture file,
which the host reads with a cap. Nothing here is a barrier: model-written code can reach every object of this process,
and the host believes it nothing. Imports are few or late, because every session pays for them.
"""

import _ast
import builtins
import io
import marshal
import os
import resource
import signal
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OK, EXCEPTION, TIMEOUT, MEMORY = range(4)
REPLY = struct.Struct("!16sB")
FRAME = struct.Struct("!I")
READY = bytes(16)


class TimeLimit(BaseException):
    """Raised by the soft timer; not an Exception, so that ordinary handlers in a cell let it pass."""


class Capture(io.FileIO):
    """The capture file. Text beyond its size limit is dropped, not an error of the cell."""

    def write(self, data: "Any", /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class Interpreter:
    """The namespace of one session, and how a cell is run in it."""

    def __init__(self) -> None:
        self._module = type(sys)("__main__")
        self._module.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self._module
        self._sources: dict[str, str] = {}
        self._seconds = 0.0
        self._armed = False
        self._output = self._open_output()

    def run(self, code: str, seconds: float) -> int:
        """Run one cell under the soft timer; returns its status."""
        name = f"<cell {len(self._sources) + 1}>"
        self._sources[name] = code
        self._seconds = seconds
        self._redirect()
        signal.signal(signal.SIGALRM, self._alarm)  # each time, because a cell may take it over
        try:
            try:
                self._armed = True
                # The timer repeats, because a cell may swallow the first exception.
                signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
                return self._execute(code, name)
            finally:
                self._disarm()
                self._redirect()
        except TimeLimit:  # it came too late, while the cell was ending
            self._disarm()
            return TIMEOUT

    def _execute(self, code: str, name: str) -> int:
        try:
            self._evaluate(code, name)
        except SystemExit as stop:
            if isinstance(stop.code, str):
                print(stop.code)
        except TimeLimit as stop:
            self._disarm()
            self._redirect()
            _print_traceback(stop, self._sources)
            return TIMEOUT
        except MemoryError as error:
            error.__traceback__ = None  # frees what the frames hold
            os.write(1, f"{type(error).__name__}: {error}".rstrip(": ").encode(errors="replace") + b"\n")
            return MEMORY
        except BaseException as error:
            self._redirect()
            _print_traceback(error, self._sources)
            return EXCEPTION
        return OK

    def _evaluate(self, code: str, name: str) -> None:
        namespace = self._module.__dict__
        tree = compile(code, name, "exec", _ast.PyCF_ONLY_AST)
        assert isinstance(tree, _ast.Module)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _ast.Expr) else None
        exec(compile(tree, name, "exec"), namespace)
        if isinstance(last, _ast.Expr):
            value = eval(compile(_ast.Expression(last.value), name, "eval"), namespace)
            if value is not None:
                namespace["_"] = value
                self._redirect()
                print(repr(value))

    def _disarm(self) -> None:
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _alarm(self, *_: object) -> None:
        if self._armed:
            raise TimeLimit(f"stopped after {self._seconds:g} s")

    def _open_output(self) -> io.TextIOWrapper:
        buffer = io.BufferedWriter(Capture(1, "w", closefd=False))
        return io.TextIOWrapper(buffer, "utf-8", "backslashreplace", line_buffering=True)

    def _redirect(self) -> None:
        sys.stdout = sys.stderr = self._output  # first: a wrapper that the cell had put around it now closes it
        if self._output.closed:
            sys.stdout = sys.stderr = self._output = self._open_output()
        self._output.flush()


def _print_traceback(error: BaseException, sources: dict[str, str]) -> None:
    """Print an exception with the frames of the session's own cells only, at most the last 20 of each."""
    import linecache
    import traceback

    for name, code in sources.items():
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    report = traceback.TracebackException.from_exception(error, compact=True)
    summaries: list[traceback.TracebackException | None] = [report]
    while summaries:
        summary = summaries.pop()
        if summary is not None:
            own = [frame for frame in summary.stack if frame.filename.startswith("<cell ")]
            summary.stack = traceback.StackSummary.from_list(own[-20:])
            summaries += [summary.__cause__, summary.__context__, *(summary.exceptions or ())]
    print("".join(report.format()), end="")


def receive(connection: int) -> "Any":
    """The next frame's value; EOFError when the host has gone."""
    (length,) = FRAME.unpack(_exactly(connection, FRAME.size))
    return marshal.loads(_exactly(connection, length))


def _exactly(connection: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = os.read(connection, size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


def _settle(config: "dict[str, Any]") -> None:
    """Give up root where there is any, take on the limits, tighten the system call filter; none can be undone.

    What the config leaves out is not done: the host knows which tier this is.
    """
    libc = _c_library()
    if config.get("landlock") or config.get("filter"):
        _call(libc.prctl, 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    if config.get("landlock"):
        _restrict_paths(libc, *config["landlock"])
    if config.get("uid") is not None:
        _drop_root(libc, config["uid"], config.get("read_all", False))
    if config.get("parent"):
        _call(libc.prctl, 1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG; changing the uid had cleared it
        if os.getppid() != config["parent"]:
            raise OSError("the parent has gone")
    for name, value in config["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if config.get("filter"):
        _filter(libc, config["filter"])


def _c_library() -> "Any":
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "mallopt"):  # glibc: each further arena reserves 64 MB of address space, which is limited
        libc.mallopt(-8, 2)  # M_ARENA_MAX
    return libc


def _call(function: "Any", *arguments: "Any") -> int:
    import ctypes

    result: int = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{function.__name__}{arguments[:1]}: {os.strerror(ctypes.get_errno())}")
    return result


def _restrict_paths(libc: "Any", attributes: bytes, paths: "list[tuple[str, int]]") -> None:
    """Landlock: only these paths from now on."""
    import ctypes

    ruleset = _call(libc.syscall, 444, attributes, ctypes.c_size_t(len(attributes)), 0)  # landlock_create_ruleset
    for path, rights in paths:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        _call(libc.syscall, 445, ruleset, 1, struct.pack("=Qi", rights, fd), 0)  # landlock_add_rule, for what is below
        os.close(fd)
    _call(libc.syscall, 446, ruleset, 0)  # landlock_restrict_self
    os.close(ruleset)


def _drop_root(libc: "Any", uid: int, read_all: bool) -> None:
    """Become `uid`. With `read_all` the modes of files don't keep it from reading, as they don't keep root: needed
    where the interpreter lies in root's own folder; which files these may be is then up to Landlock alone."""
    if read_all:
        _call(libc.prctl, 8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if read_all:
        only = 1 << 2  # CAP_DAC_READ_SEARCH
        _call(libc.capset, struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", only, only, 0, 0, 0, 0))


def _filter(libc: "Any", program: bytes) -> None:
    import ctypes

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    _call(libc.prctl, 22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0)  # PR_SET_SECCOMP, filter mode


def _prepare(config: "dict[str, Any]") -> None:
    if not config.get("keep_environment"):
        os.environ.clear()
    os.environ.update(config.get("environment", {}))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # a thread's stack and arena count against the memory limit
    os.environ["MPLBACKEND"] = "Agg"  # there is no screen
    sys.path += config["path"]
    if config.get("image_packages"):
        import sysconfig

        sys.path.append(sysconfig.get_path("platlib"))
    sys.argv = [""]
    sys.set_int_max_str_digits(100_000)
    # normally added by the site module
    vars(builtins).update(exit=sys.exit, quit=sys.exit, help=lambda *about: __import__("pydoc").help(*about))
    for name in config["preload"]:
        __import__(name)


def _take_pipes() -> "tuple[int, int]":
    """Where there are pipes and no socket: requests on 0, replies on what was the standard output."""
    requests, replies = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    return requests, replies


def main() -> None:
    """Serve cells until the host closes the connection."""
    piped = sys.argv[1:] == ["piped"]
    requests, replies = _take_pipes() if piped else (os.dup(0), -1)
    connection = replies if piped else requests
    os.close(0)
    os.open("/dev/null", os.O_RDONLY)  # takes the lowest free number, 0
    config = receive(requests)
    _settle(config)
    _prepare(config)
    interpreter = Interpreter()
    os.write(connection, REPLY.pack(READY, OK))
    while True:
        try:
            request = receive(requests)
        except EOFError:
            return
        status = interpreter.run(request["code"], request["seconds"])
        if piped:
            os.write(2, request["nonce"])
        os.write(connection, REPLY.pack(request["nonce"], status))


if __name__ == "__main__":
    main()
