"""What a worker without namespaces of its own may try on the machine that it shares, and what must come of it."""

import asyncio
import os
import resource
import socket
import sys
import tempfile
from ast import literal_eval
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from maieutic.tools.sandbox.confined import Confined
from tests.tools.conftest import AMPLE, _starting, working_tier
from tests.tools.test_attacks import SYSCALL, only_x86_64

TRY = """
import os
def attempt(act):
    try: return act()
    except OSError as error: return type(error).__name__
"""


@pytest.fixture
async def start() -> AsyncIterator[Any]:
    tier = await working_tier("landlock")
    async for start_ in _starting(tier):
        yield start_


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that the worker's user owns, with a file in it that everybody may read and write."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    folder.chmod(0o777)
    (folder / "mine.txt").write_text("s3cret")
    (folder / "mine.txt").chmod(0o666)
    return folder


async def test_files_that_its_user_may_write_stay_as_they_are(start: Any, outside: Path) -> None:
    worker, file = await start(), outside / "mine.txt"
    before = file.stat()
    for act in (
        f"open({str(file)!r}).read()",
        f"open({str(file)!r}, 'w')",
        f"os.truncate({str(file)!r}, 0)",
        f"os.unlink({str(file)!r})",
        f"os.rename({str(file)!r}, 'stolen')",
        f"os.rename('own', {str(outside / 'new')!r})",
        f"os.link({str(file)!r}, 'stolen')",
        f"os.mkdir({str(outside / 'new')!r})",
        f"os.symlink('/etc', {str(outside / 'new')!r})",
        f"os.mkfifo({str(outside / 'new')!r})",
        f"os.listdir({str(outside)!r})",
        f"os.setxattr({str(file)!r}, 'user.x', b'1')",
        f"os.chown({str(file)!r}, 1, 1)",
    ):
        execution = await worker.run(f"{TRY}\nopen('own', 'w').close()\nattempt(lambda: {act})")
        assert execution.output in ("'PermissionError'\n", "'FileNotFoundError'\n", "'OSError'\n"), act
    if os.geteuid() != 0:  # root's worker has become somebody else, whom the modes of files keep out
        for act in (f"os.chmod({str(file)!r}, 0)", f"os.utime({str(file)!r}, (0, 0))"):
            assert (await worker.run(f"{TRY}\nattempt(lambda: {act})")).output == "'PermissionError'\n", act
    assert (file.read_text(), file.stat().st_mode, os.listdir(outside)) == ("s3cret", before.st_mode, ["mine.txt"])


async def test_links_lead_nowhere(start: Any, outside: Path) -> None:
    worker = await start()
    execution = await worker.run(
        f"{TRY}\nos.symlink({str(outside)!r}, 'out'); os.symlink('/proc/self/root', 'root')\n"
        "[attempt(lambda: open(p).read()) for p in ('out/mine.txt', 'root/etc/passwd', '../../../etc/passwd')]"
    )
    assert set(literal_eval(execution.output)) <= {"PermissionError", "FileNotFoundError"}


async def test_what_it_may_read_it_can_not_change(start: Any) -> None:
    worker = await start()
    execution = await worker.run(
        f"{TRY}\nimport numpy, json\nfiles = [numpy.__file__, json.__file__]\n"
        "acts = [lambda f: open(f, 'a'), lambda f: open(f, 'r+'), lambda f: os.truncate(f, 0), os.unlink]\n"
        "[attempt(lambda: act(f)) for f in files for act in acts]"
    )
    assert set(literal_eval(execution.output)) == {"PermissionError"}


async def test_other_workers_are_out_of_reach(start: Any) -> None:
    victim, worker = await start(), await start()
    place = literal_eval((await victim.run("import os\nopen('mine', 'w').write('s3cret')\nos.getcwd()")).output)
    pid = literal_eval((await victim.run("os.getpid()")).output)
    execution = await worker.run(
        f"{TRY}\n[attempt(act) for act in (lambda: open({place + '/mine'!r}).read(), lambda: os.listdir({place!r}),"
        f" lambda: os.kill({pid}, 9), lambda: open('/proc/{pid}/mem'), lambda: open('/proc/{pid}/environ').read())]"
    )
    assert set(literal_eval(execution.output)) <= {"PermissionError", "ProcessLookupError"}
    assert (await victim.run("1")).output == "1\n"


async def test_other_processes_are_out_of_reach(start: Any) -> None:
    worker, pid = await start(), os.getpid()
    limits, processors = resource.getrlimit(resource.RLIMIT_CPU), os.sched_getaffinity(0)
    execution = await worker.run(
        f"{TRY}\nimport fcntl, resource, socket\npair = socket.socketpair()[0].fileno()\n"
        "[attempt(act) for act in ("
        f"lambda: os.kill({pid}, 0), lambda: os.kill(-1, 9), lambda: os.kill(-{pid}, 9), lambda: os.killpg({pid}, 9),"
        f"lambda: resource.prlimit({pid}, resource.RLIMIT_CPU, (1, 1)), lambda: os.sched_setaffinity({pid}, [0]),"
        f"lambda: fcntl.fcntl(pair, fcntl.F_SETOWN, {pid}), lambda: fcntl.fcntl(pair, fcntl.F_SETSIG, 9),"
        f"lambda: os.setpriority(os.PRIO_PROCESS, {pid}, 19), lambda: os.setpgid(0, {pid}))]"
    )
    assert set(literal_eval(execution.output)) <= {"PermissionError", "ProcessLookupError"}
    assert (resource.getrlimit(resource.RLIMIT_CPU), os.sched_getaffinity(0)) == (limits, processors)
    assert (await worker.run("os.kill(os.getpid(), 0), os.kill(0, 0)")).output == "(None, None)\n"


@only_x86_64
async def test_system_calls_on_other_processes_are_refused(start: Any) -> None:
    pid = os.getpid()
    calls = {"tgkill": (234, pid, pid, 9), "tkill": (200, pid, 9), "prlimit64": (302, pid, 0, 0, 0)}
    calls |= {"get_robust_list": (274, pid), "rt_sigqueueinfo": (129, pid, 9, 0), "process_madvise": (440, 0)}
    calls |= {"rt_tgsigqueueinfo": (297, pid, pid, 9, 0), "pidfd_open": (434, pid, 0), "ioprio_set": (251, 1, pid, 0)}
    execution = await (await start()).run(f"{SYSCALL}\n{{n: syscall(*c) for n, c in {calls!r}.items()}}")
    assert set(literal_eval(execution.output).values()) == {-1}, execution.output


async def test_no_socket_of_the_machine_can_be_reached(start: Any, outside: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as named, socket.socket(socket.AF_UNIX) as abstract:
        named.bind(str(outside / "log"))
        os.chmod(outside / "log", 0o777)
        abstract.bind(f"\0maieutic-test-{os.getpid()}")
        named.setblocking(False)
        execution = await (await start()).run(
            f"{TRY}\nimport socket\npair = attempt(lambda: socket.socketpair(type=socket.SOCK_DGRAM))\n"
            f"stream = socket.socketpair()[0]\n"
            f"[str(pair), attempt(lambda: stream.sendto(b'x', {str(outside / 'log')!r})),"
            f" attempt(lambda: stream.sendmsg([b'x'], [], 0, {str(outside / 'log')!r})),"
            f" attempt(lambda: stream.connect('\\0maieutic-test-{os.getpid()}'))]"
        )
        said = literal_eval(execution.output)
        assert said[0] == "PermissionError" and all(isinstance(one, str) for one in said), said
        with pytest.raises(BlockingIOError):
            named.recv(1)


async def test_nothing_is_left_behind() -> None:
    tier = await working_tier("landlock")
    worker = await tier.start(AMPLE)
    place = Path(literal_eval((await worker.run("import os\nos.mkdir('d', 0o0)\nos.getcwd()")).output)).parent
    assert place.is_dir() and place.name.startswith(f"maieutic-sandbox-{os.getpid()}-")
    worker.kill()
    for _ in range(1000):
        if not place.exists():
            break
        await asyncio.sleep(0.02)
    assert not place.exists()


async def test_what_a_killed_host_leaves_is_removed_later() -> None:
    await working_tier("landlock")
    left = Path(tempfile.mkdtemp(prefix=f"maieutic-sandbox-{2**22 + 1}-"))  # no process has such a number
    (left / "work").mkdir()
    assert await Confined().probe() is None
    assert not left.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="NOT CHECKED: Landlock's own words; it exists on Linux only")
async def test_the_probe_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    reason = await Confined().probe()
    assert reason is not None and "nowhere" in reason
