"""What model-written code may try, and what must come of it, in every tier that runs CPython and works here."""

import asyncio
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest

from maieutic.tools.sandbox.tier import Limits

only_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86_64")

BRIEF = Limits(seconds=0.2, grace=0.3)
STOPPED = Limits(seconds=0.2, grace=30)  # the soft time limit alone, however busy the machine
SYSCALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def syscall(number, *arguments):
    result = libc.syscall(number, *map(ctypes.c_long, arguments))
    return -ctypes.get_errno() if result == -1 else result
"""


async def test_host_files_are_not_there(start_isolated: Any, tmp_path: Path, tier: Any) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cret")
    hidden = ["/etc/passwd", "/etc/shadow", "/proc/1/environ", "/proc/self/root", "/sys", "/var", "/run", "/boot"]
    hidden += ["/usr/bin", "/dev/sda", "/dev/mem", str(secret), str(Path.home()), str(Path.cwd()), f"{sys.prefix}/bin"]
    worker = await start_isolated()
    if tier.name == "landlock":  # a path's existence may be asked there, but nothing opened
        opened = "opened = []\nfor p in paths:\n    for look in (open, os.listdir):\n"
        opened += "        try: opened.append((p, look(p)))\n        except OSError: pass\nopened"
        execution = await worker.run(f"import os\npaths = {[*hidden, '/', '/proc', '/tmp', '/home']!r}\n{opened}")
        assert execution.output == "[]\n"
        return
    execution = await worker.run(f"import os\n[p for p in {hidden!r} if os.path.lexists(p)]")
    assert execution.output == "[]\n"
    everywhere = await worker.run("[p for p in os.listdir('/')]")
    assert set(literal_eval(everywhere.output)) <= {"dev", "lib", "lib64", "python", "site", "tmp", "usr", "worker.py"}


async def test_descriptors_of_the_host_are_not_inherited(start_isolated: Any) -> None:
    with open(__file__):
        worker = await start_isolated()
        execution = await worker.run(
            "import os\nopen_ = []\nfor fd in range(64):\n"
            "    try: open_.append((fd, os.fstat(fd).st_mode & 0o170000))\n    except OSError: pass\nopen_"
        )
    kinds = dict(literal_eval(execution.output))
    assert [kinds.pop(fd) for fd in (0, 1, 2)] == [0o020000, 0o100000, 0o100000]  # /dev/null and the capture file
    assert list(kinds.values()) == [0o140000]  # the connection


async def test_no_environment(start_isolated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "s3cret")
    worker = await start_isolated()
    execution = await worker.run("import os\nsorted(os.environ)")
    names = {"MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MPLBACKEND", "HOME", "TMPDIR"}
    assert set(literal_eval(execution.output)) <= names
    assert "s3cret" not in (await worker.run("str(dict(os.environ))")).output
    stack = await worker.run(
        "import ctypes\nfrom ctypes import c_char_p\n[*ctypes.POINTER(c_char_p)"
        ".in_dll(ctypes.CDLL(None), 'environ')[0:3]]"
    )
    assert "s3cret" not in stack.output
    for pid in _descendants(os.getpid()):
        assert b"s3cret" not in _read(Path(f"/proc/{pid}/environ"))


async def test_no_socket_of_any_family(start_isolated: Any) -> None:
    worker = await start_isolated()
    execution = await worker.run(
        "import socket\nopened = []\nfor family in range(46):\n    for kind in (1, 2, 3, 5):\n"
        "        try: opened.append(socket.socket(family, kind))\n        except PermissionError: pass\nopened"
    )
    assert execution.output == "[]\n"


async def test_only_local_socket_pairs(start: Any) -> None:
    worker = await start()
    assert (await worker.run("import socket\nlen(socket.socketpair())")).output == "2\n"
    assert "PermissionError" in (await worker.run("socket.socketpair(socket.AF_INET)")).output
    assert "PermissionError" in (await worker.run("socket.socketpair()[0].connect('/tmp/x')")).output


async def test_no_processes(start_isolated: Any) -> None:
    worker = await start_isolated()
    for code in (
        "import os; os.fork()",
        "import subprocess; subprocess.run(['/python/bin/python3', '-c', '1'])",
        "os.posix_spawn('/python/bin/python3', ['python3'], {})",
        "os.execv('/python/bin/python3', ['python3'])",
        "import multiprocessing; multiprocessing.get_context('fork').Process(target=print).start()",
    ):
        execution = await worker.run(code)
        assert "PermissionError" in execution.output, code
    assert int((await worker.run("os.system('true')")).output) != 0


async def test_threads_work_and_are_bounded(start_isolated: Any, tier: Any) -> None:
    if _is_root_outside() and not getattr(tier, "drop_root", os.geteuid() == 0):
        pytest.skip("the kernel exempts root, even in a user namespace: its workers drop it")
    worker = await start_isolated()
    execution = await worker.run(
        "import threading, time\nthreading.stack_size(65536)\nstop, n = threading.Event(), 0\n"
        "try:\n    for _ in range(10_000): threading.Thread(target=stop.wait).start(); n += 1\n"
        "except RuntimeError as error: print(error)\nstop.set()\n0 < n < 64"
    )
    assert execution.output == "can't start new thread\nTrue\n"


@pytest.mark.parametrize("code", ["x = bytearray(10**10)", "import numpy; numpy.ones(10**10)", "x = [0] * 10**10"])
async def test_memory_is_bounded_and_the_worker_recycled(start: Any, code: str) -> None:
    worker = await start()
    execution = await worker.run(code)
    assert (execution.exit, worker.alive) == ("memory", False)
    assert "MemoryError" in execution.output


async def test_memory_out_of_the_limits_sight(start_isolated: Any) -> None:
    worker = await start_isolated()
    assert "Cannot allocate memory" in (await worker.run("import mmap; mmap.mmap(-1, 10**10)")).output
    assert "PermissionError" in (await worker.run("import os; os.memfd_create('x')")).output
    assert (
        await worker.run(f"{SYSCALL}\nsyscall(29 if {platform.machine() == 'x86_64'} else 194, 0, 4096, 0o1600)")
    ).output == "-1\n"  # shmget


@pytest.mark.parametrize(
    "code",
    [
        "sum(range(10**10))",
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass",
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass",
        "class Slow:\n    def __str__(self): sum(range(10**10))\nprint('before'); print(Slow())",
    ],
)
async def test_what_does_not_stop_is_killed(start: Any, code: str) -> None:
    worker = await start(BRIEF)
    execution = await worker.run(code)
    assert (execution.exit, worker.alive) == ("killed", False)
    assert 0.5 <= execution.seconds < 5
    assert ("before" in execution.output) == ("before" in code)


async def test_swallowing_the_time_limit_does_not_help(start: Any) -> None:
    worker = await start(BRIEF)
    execution = await worker.run("while True:\n    try:\n        while True: pass\n    except BaseException: pass")
    assert execution.exit in ("timeout", "killed") and execution.seconds < 5


async def test_huge_output_is_cut(start: Any) -> None:
    worker = await start()
    execution = await worker.run("print('a' + 'x' * 20_000_000 + 'z')")
    assert execution.exit == "ok"
    assert execution.output.startswith("axx") and execution.output.endswith("xxz\n")
    assert "[... 19,990,003 of 20,000,003 bytes cut ...]" in execution.output
    assert len(execution.output) < 11_000
    beyond = await worker.run("print('x' * 200_000_000); 1 + 1")
    assert beyond.exit == "ok" and len(beyond.output) < 11_000


async def test_endless_output_is_cut(start: Any) -> None:
    worker = await start(STOPPED)
    execution = await worker.run("while True: print('y' * 1000)")
    assert execution.exit == "timeout" and len(execution.output) < 11_000


@pytest.mark.parametrize("code", ["raise ValueError('x' * 10**8)", "raise type('E' * 10**6, (Exception,), {})()"])
async def test_huge_exception_is_cut(start: Any, code: str) -> None:
    worker = await start()
    execution = await worker.run(code)
    assert execution.exit == "exception" and len(execution.output) < 11_000


async def test_signals_hit_nobody_else(start_isolated: Any) -> None:
    bystander = await start_isolated()
    worker = await start_isolated()
    execution = await worker.run(
        f"import os, signal\nfor pid in (1, -1, {os.getpid()}):\n    for number in (9, 15, 19):\n"
        "        try: os.kill(pid, number)\n        except (PermissionError, ProcessLookupError): pass\n'still here'"
    )
    assert execution.output == "'still here'\n"
    assert (await bystander.run("1")).exit == "ok"


async def test_nothing_outside_scratch_can_be_written(start_isolated: Any) -> None:
    worker = await start_isolated()
    execution = await worker.run(
        "import os\nfor folder in ('', '/site', '/site/numpy', '/python', '/python/lib', '/dev', '/usr', '/lib64'):\n"
        "    try: print(open(folder + '/x', 'w'))\n    except OSError: pass\n"
        f"for folder in ({os.path.expanduser('~')!r}, {str(Path.cwd())!r}, {sys.prefix!r}, '/var', '/tmp/..'):\n"
        "    try: print(open(folder + '/x', 'w'))\n    except OSError: pass\n"
        "for change in (lambda: os.chmod('/worker.py', 0o777), lambda: open('/worker.py', 'a'),\n"
        "               lambda: os.unlink('/worker.py'), lambda: os.rename('/tmp', '/t'), lambda: os.mkdir('/m')):\n"
        "    try: print(change())\n    except OSError: pass"
    )
    assert execution.output == ""


async def test_scratch_is_bounded_in_bytes(start_isolated: Any, tier: Any) -> None:
    worker = await start_isolated()
    code = "n = 0\ntry:\n    while True: n += open(f'{n}', 'wb').write(bytes(2**20))\nexcept OSError: print(n >> 20)"
    execution = await worker.run(code)
    if tier.name == "landlock":  # it lies on the host's disk, and is watched
        assert (execution.exit, worker.alive) == ("files", False)
    else:
        assert 50 < int(execution.output) <= 64
    assert "File too large" in (await start_and_run(start_isolated, "open('x', 'wb').write(bytes(2**26))")).output


async def test_unlinked_files_count_too(start_isolated: Any) -> None:
    code = (
        "import os, time\nheld, n = [], 0\ntry:\n    while len(held) < 40:\n        held.append(open('x', 'wb'))\n"
        "        os.unlink('x'); n += held[-1].write(bytes(2**23)); held[-1].flush()\nexcept OSError: pass\n"
        "if n >> 20 > 64: time.sleep(20)\nn >> 20"
    )
    execution = await start_and_run(start_isolated, code)
    assert execution.exit == "files" or int(execution.output) <= 64


async def test_scratch_is_bounded_in_files(start_isolated: Any) -> None:
    execution = await start_and_run(start_isolated, "n = 0\nwhile True: open(f'{n}', 'w').close(); n += 1")
    assert execution.exit == "files"


@only_x86_64
async def test_system_calls_that_reach_the_kernel_are_refused(start_isolated: Any) -> None:
    refused = {
        "fork": 57, "vfork": 58, "ptrace": 101, "syslog": 103, "personality": 135, "pivot_root": 155, "chroot": 161,
        "mount": 165, "umount2": 166, "reboot": 169, "init_module": 175, "add_key": 248, "request_key": 249,
        "keyctl": 250, "inotify_init": 253, "unshare": 272, "vmsplice": 278, "timerfd_create": 283,
        "perf_event_open": 298, "fanotify_init": 300, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
        "kcmp": 312, "seccomp": 317, "memfd_create": 319, "kexec_file_load": 320, "bpf": 321, "execveat": 322,
        "userfaultfd": 323, "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429,
        "fsopen": 430, "pidfd_open": 434, "pidfd_getfd": 438, "landlock_create_ruleset": 444, "memfd_secret": 447,
        "setuid": 105, "setresuid": 117, "prctl": 157, "mknod": 133, "msgget": 68, "semget": 64, "shmget": 29,
        "mq_open": 240, "setxattr": 188, "mlockall": 151, "clone3": 435, "newer than the tables": 451,
        "x32 fork": 2**30 + 57,
    }  # fmt: skip
    execution = await start_and_run(
        start_isolated, f"{SYSCALL}\n{{n: syscall(k, 0, 0, 0, 0) for n, k in {refused!r}.items()}}"
    )
    results = literal_eval(execution.output)
    assert {name: result for name, result in results.items() if result not in (-1, -38)} == {}
    namespaces = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]
    flags = [17, 0, *namespaces, *(0x00010000 | flag for flag in namespaces)]
    execution = await start_and_run(start_isolated, f"{SYSCALL}\n{{syscall(56, f, 0, 0, 0, 0) for f in {flags!r}}}")
    assert execution.output == "{-1}\n"


@only_x86_64
async def test_the_32_bit_system_call_gate_kills(start: Any) -> None:
    worker = await start()
    execution = await worker.run(
        "import ctypes, mmap\npage = mmap.mmap(-1, 4096, prot=7)\n"
        "page.write(bytes.fromhex('b802000000cd80c3'))\n"  # mov eax, 2 (fork); int 0x80; ret
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()"
    )
    assert (execution.exit, worker.alive) == ("died", False)


@pytest.mark.parametrize(
    "code",
    [
        "import os; os._exit(0)",
        "import os; os.abort()",
        "import ctypes; ctypes.string_at(0)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.closerange(0, 64)",
        "import faulthandler; faulthandler._sigsegv()",
    ],
)
async def test_a_dead_worker_is_noticed_at_once(start: Any, code: str) -> None:
    worker = await start()
    execution = await worker.run(f"print('before', flush=True)\n{code}")
    assert (execution.exit, worker.alive) == ("died", False)
    assert execution.seconds < 3
    assert "before" in execution.output


FIND_CONNECTION = """
import os, stat, sys, time
connection = next(fd for fd in range(3, 64) if stat.S_ISSOCK(os.fstat(fd).st_mode))
def nonce():
    frame = sys._getframe()
    while "request" not in frame.f_locals: frame = frame.f_back
    return frame.f_locals["request"]["nonce"]
"""


async def test_a_forged_reply_is_refused(start: Any) -> None:
    execution = await start_and_run(start, f"{FIND_CONNECTION}\nos.write(connection, bytes(17)); time.sleep(9)")
    assert execution.exit == "protocol"
    execution = await start_and_run(
        start, f"{FIND_CONNECTION}\nos.write(connection, nonce() + b'\\xff'); time.sleep(9)"
    )
    assert execution.exit == "protocol"


async def test_a_reply_forged_with_the_nonce_gains_nothing(start: Any) -> None:
    worker = await start()
    early = await worker.run(f"{FIND_CONNECTION}\nos.write(connection, nonce() + b'\\0')")
    assert early.exit in ("ok", "protocol")
    await asyncio.sleep(0.1)  # the true reply arrives, and nobody has asked for it
    if worker.alive:
        assert (await worker.run("1")).exit == "protocol"
    assert not worker.alive


async def test_a_flood_of_replies_is_cut_off(start: Any) -> None:
    worker = await start()
    execution = await worker.run(f"{FIND_CONNECTION}\nwhile True: os.write(connection, bytes(2**20))")
    assert execution.exit == "protocol" and execution.seconds < 2
    worker = await start()
    forged = (
        f"{FIND_CONNECTION}\nos.write(connection, nonce() + b'\\0')\nwhile True: os.write(connection, bytes(2**16))"
    )
    await worker.run(forged)
    await asyncio.sleep(0.1)
    assert not worker.alive or (await worker.run("1")).exit == "protocol"


async def test_a_stolen_request_ends_the_worker(start: Any) -> None:
    worker = await start(BRIEF)
    thief = "import threading\nthreading.Thread(target=os.read, args=(connection, 10**6), daemon=True).start()"
    # The thread and the worker wait for the same bytes; whoever gets them, the host must come back in time.
    await worker.run(f"{FIND_CONNECTION}\n{thief}")
    execution = await worker.run("1")
    assert execution.exit in ("ok", "killed", "died") and execution.seconds < 5


async def test_standard_input_is_empty(start: Any) -> None:
    worker = await start()
    assert (await worker.run("__import__('os').read(0, 100)")).output == "b''\n"
    assert "EOFError" in (await worker.run("input()")).output


@pytest.mark.parametrize(
    "code",
    [
        "import sys, io; sys.stdout = sys.stderr = io.StringIO()",
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout = None; del sys.stderr",
        "import builtins; builtins.print = None; del builtins.repr",
        "import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN)",
        "import sys; sys.modules.clear()",
    ],
)
async def test_a_tampered_interpreter_stays_contained(start: Any, code: str) -> None:
    """It may break for its own session, but the host gets an answer in time, and the timer still works."""
    worker = await start(STOPPED)
    await worker.run(code)
    if worker.alive and "builtins" not in code and "modules" not in code:
        assert (await worker.run("x = 20 + 1; print(x)\nx")).output == "21\n21\n"
        assert (await worker.run("while True: pass")).exit == "timeout"


async def test_terminal_escapes_are_defused(start: Any) -> None:
    execution = await start_and_run(start, "print('\\x1b[2J\\x07 \\x9b31m \\x00 a\\tb\\r\\nc\\rd')")
    assert execution.output == "\ufffd[2J\ufffd \ufffd31m \ufffd a\tb\nc\nd\n"


async def test_no_root_inside(start_isolated: Any) -> None:
    execution = await start_and_run(
        start_isolated, "import os\nos.getuid() and os.getgid() and os.getgroups() in ([], [1000])"
    )
    uid = (await start_and_run(start_isolated, "import os\n0 in (*os.getresuid(), *os.getresgid())")).output
    assert uid == "False\n", execution
    assert "PermissionError" in (await start_and_run(start_isolated, "import os; os.setuid(0)")).output


async def test_workers_die_with_a_killed_host(own_tier: Any) -> None:
    host = f"""
import asyncio
from {type(own_tier).__module__} import {type(own_tier).__name__} as Tier
from maieutic.tools.sandbox.tier import Limits
async def main():
    worker = await Tier().start(Limits(seconds=60))
    print("ready", flush=True)
    await worker.run("while True: pass")
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        family = _descendants(process.pid)
        assert family
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(_running(pid) for pid in family) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in family if _running(pid)] == []


async def test_a_cancelled_start_leaves_nothing(own_tier: Any) -> None:
    tier = own_tier
    limits = Limits(scratch=(64 << 20) + 4096 * secrets.randbelow(10**6))  # a mark on the command line
    for milliseconds in range(0, 40, 2):
        starting = asyncio.create_task(tier.start(limits))
        await asyncio.sleep(milliseconds / 1000)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        if not starting.cancelled():
            starting.result().kill()
    mark, deadline = f"\0{limits.scratch}\0".encode(), time.monotonic() + 20

    def left() -> list[Path]:
        if tier.name == "landlock":
            return list(Path(tempfile.gettempdir()).glob(f"maieutic-sandbox-{os.getpid()}-*/work"))
        return [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark in _read(path)]

    while left() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert left() == []


def _is_root_outside() -> bool:
    """Whether this user is root for the kernel, whatever it is called in a user namespace."""
    maps = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(outside == 0 and inside == os.geteuid() for inside, outside, _ in maps)


async def start_and_run(start: Any, code: str) -> Any:
    return await (await start()).run(code)


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += map(int, _read(task).split())
    return children + [deeper for child in children for deeper in _descendants(child)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # a worker of an earlier test, on its way out
        return b""


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
