"""Choosing a tier, the system call filter on both architectures, and workers as the host sees them."""

import asyncio
import os
import py_compile
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.tools.sandbox import seccomp
from maieutic.tools.sandbox.bubblewrap import Bubblewrap
from maieutic.tools.sandbox.root import uncompiled
from maieutic.tools.sandbox.tier import NO_BINDS, Binds, Limits, NoSandbox, Worker, WorkerFailed, choose_tier

ALLOWED, REFUSED, MISSING, KILLED = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


class FakeTier:
    def __init__(self, name: str, reason: str | None) -> None:
        self.name, self.about, self.reason, self.probes = name, "", reason, 0

    async def probe(self) -> str | None:
        self.probes += 1
        return self.reason

    async def start(self, limits: Limits, preload: Sequence[str] = (), binds: Binds = NO_BINDS) -> Worker:
        raise WorkerFailed("not meant to start")


async def test_the_first_tier_that_works_is_chosen() -> None:
    tiers = [FakeTier("a", "no kernel"), FakeTier("b", None), FakeTier("c", None)]
    assert await choose_tier(tiers) is tiers[1]
    assert [tier.probes for tier in tiers] == [1, 1, 0]


async def test_without_a_tier_one_sentence_says_what_to_do() -> None:
    with pytest.raises(NoSandbox) as caught:
        await choose_tier([FakeTier("bubblewrap", "bwrap is not installed."), FakeTier("landlock", "old kernel")])
    assert isinstance(caught.value, UserError)
    assert str(caught.value) == (
        "The python tool needs a sandbox, and none works here: install one with `apt-get install bubblewrap` "
        "or `pip install 'maieutic[monty]'` (tried bubblewrap: bwrap is not installed; landlock: old kernel)."
    )


async def test_the_probe_says_that_bubblewrap_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await Bubblewrap().probe() == "bwrap is not installed"


async def test_the_probe_runs_bubblewrap_for_real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = await Bubblewrap().probe()
    assert reason == "The sandbox could not be started: bwrap: setting up uid map: Permission denied."


@pytest.mark.parametrize(
    ("machine", "calls"),
    [
        ("x86_64", {"read": 0, "socket": 41, "clone": 56, "fork": 57, "execve": 59, "ioctl": 16, "socketpair": 53}),
        ("aarch64", {"read": 63, "socket": 198, "clone": 220, "ptrace": 117, "execve": 221, "ioctl": 29}),
    ],
)
def test_the_filter_decides_by_call_and_argument(machine: str, calls: dict[str, int]) -> None:
    def decide(name: str, *arguments: int) -> int:
        return _run_filter(seccomp.compute_filter(machine), seccomp.AUDIT_ARCH[machine], calls[name], *arguments)

    assert decide("read") == ALLOWED
    assert {decide(name) for name in calls if name in ("socket", "fork", "ptrace", "execve")} == {REFUSED}
    assert decide("clone", 0x003D0F00) == ALLOWED  # a thread, as the C library makes it
    assert decide("clone", 0x01200011) == REFUSED  # fork
    assert decide("clone", 0x00010000 | 0x10000000) == REFUSED  # a thread in a user namespace of its own
    assert decide("ioctl", 1, 0x5401) == ALLOWED
    assert decide("ioctl", 1, 0x5412) == REFUSED  # TIOCSTI types into a terminal
    if "socketpair" in calls:
        assert (decide("socketpair", 1, 0x80001), decide("socketpair", 2, 1)) == (ALLOWED, REFUSED)
        assert decide("socketpair", 1, 2) == REFUSED  # a datagram socket may send to any other by its name
    start = seccomp.startup_filter(machine)
    assert _run_filter(start, seccomp.AUDIT_ARCH[machine], calls["execve"]) == ALLOWED
    assert _run_filter(start, seccomp.AUDIT_ARCH[machine], calls["socket"]) == REFUSED


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_knows_its_architecture(machine: str) -> None:
    program, here = seccomp.compute_filter(machine), seccomp.AUDIT_ARCH[machine]
    assert _run_filter(program, 0x40000003, 0) == KILLED  # 32-bit x86
    assert _run_filter(program, here, 451) == MISSING
    assert _run_filter(program, here, 0x40000000) == MISSING  # x32
    assert _run_filter(program, here, 435, 0) == MISSING  # clone3


def test_packages_without_bytecode_are_found(tmp_path: Path) -> None:
    for name in ("bare", "compiled"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    py_compile.compile(str(tmp_path / "compiled" / "__init__.py"))
    assert uncompiled([tmp_path / "bare", tmp_path / "compiled", tmp_path / "absent"]) == ["bare"]


async def test_preloaded_modules_are_there(start: Any) -> None:
    worker = await start(preload=("numpy",))
    assert (await worker.run("import sys; 'numpy' in sys.modules, 'np' in globals()")).output == "(True, False)\n"


async def test_a_bound_file_can_be_read_and_not_written(tier: Bubblewrap, tmp_path: Path) -> None:
    given = tmp_path / "given.csv"
    given.write_text("a,b")
    worker = await tier.start(Limits(), binds={"/in/data.csv": given})
    try:
        assert (await worker.run("open('in/data.csv').read()")).output == "'a,b'\n"
        assert "Error: [Errno" in (await worker.run("open('in/data.csv', 'w')")).output
    finally:
        worker.kill()
    assert given.read_text() == "a,b"


async def test_a_module_that_cannot_be_preloaded_is_named(start: Any) -> None:
    with pytest.raises(WorkerFailed, match="No module named 'nonsense'"):
        await start(preload=("nonsense",))


async def test_cancelling_a_cell_kills_the_worker(start: Any) -> None:
    worker = await start()
    cell = asyncio.create_task(worker.run("while True: pass"))
    await asyncio.sleep(0.1)
    cell.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cell
    assert not worker.alive
    with pytest.raises(WorkerFailed):
        await worker.run("1")


async def test_killing_a_worker_ends_its_cell(start: Any) -> None:
    worker = await start()
    cell = asyncio.create_task(worker.run("while True: pass"))
    await asyncio.sleep(0.1)
    worker.kill()
    assert not worker.alive
    assert (await asyncio.wait_for(cell, 60)).exit == "died"


async def test_starting_and_killing_leaks_no_descriptor(start: Any) -> None:
    (await start()).kill()
    before, workers = len(os.listdir("/proc/self/fd")), 6
    for worker in [await start() for _ in range(workers)]:
        await worker.run("1")
        worker.kill()
    async with asyncio.timeout(60):  # others in this process open and close theirs; one a worker would stay
        while len(os.listdir("/proc/self/fd")) >= before + workers:
            await asyncio.sleep(0.05)


async def test_the_event_loop_goes_on_meanwhile(start: Any) -> None:
    worker = await start()
    cell = asyncio.create_task(worker.run("import time; time.sleep(0.3); 'done'"))
    ticks = 0
    while not cell.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert (await cell).output == "'done'\n"
    assert ticks >= 5


def _run_filter(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the kernel would make of it: an interpreter of the few instructions that the filter uses."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *words)
    steps = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += if_true if holds else if_false
