"""The tier for machines without another one: what it computes, what it can't even express, how it ends."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from maieutic.tools.python import python_tool
from maieutic.tools.sandbox.monty import Monty, MontyWorker
from maieutic.tools.sandbox.pool import Pool
from maieutic.tools.sandbox.tier import Limits, WorkerFailed
from maieutic.tools.tool import Session
from maieutic.types import ToolCall

pytest.importorskip("pydantic_monty", reason="NOT CHECKED: the monty sandbox (pip install 'maieutic[monty]')")

Run = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    started: list[MontyWorker] = []

    async def run_(code: str, limits: Limits = Limits(seconds=20)) -> Any:  # noqa: B008
        if not started or not started[-1].alive:
            started.append(await Monty().start(limits))
        return await started[-1].run(code)

    yield run_
    for worker in started:
        worker.kill()


async def test_it_works_here() -> None:
    assert await Monty().probe() is None


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("1 + 1", "2\n"),
        ("print('a'); 'größe'", "a\n'größe'\n"),
        ("x = 3", ""),
        ("None", ""),
        ("", ""),
        ("[i * i for i in range(4)]  # squares", "[0, 1, 4, 9]\n"),
        ("'''a\nb'''", "'a\\nb'\n"),
        ("import math, re, json\nround(math.pi, 2), re.sub('a', 'b', 'aa'), json.dumps([1])", "(3.14, 'bb', '[1]')\n"),
    ],
)
async def test_output_and_echo(run: Run, code: str, output: str) -> None:
    execution = await run(code)
    assert (execution.exit, execution.output) == ("ok", output)


async def test_state_is_kept(run: Run) -> None:
    await run("def double(n):\n    return 2 * n\nx = 21")
    assert (await run("double(x)")).output == "42\n"


async def test_errors_name_cell_and_line(run: Run) -> None:
    await run("def f(a):\n    return a / 0")
    execution = await run("y = 1\nf(y)")
    assert execution.exit == "exception"
    assert 'File "<cell 2>", line 2' in execution.output and 'File "<cell 1>", line 2, in f' in execution.output
    assert execution.output.endswith("ZeroDivisionError: division by zero\n")
    assert "SyntaxError" in (await run("x = = 3")).output


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "open('/proc/1/environ').read()",
        "open('/tmp/x', 'w')",
        "import os\nos.environ['API_KEY']",
        "import os\nos.listdir('/')",
        "import os\nos.fork()",
        "import os\nos.kill(1, 9)",
        "import os\nos.system('id')",
        "import socket",
        "import ctypes",
        "import subprocess",
        "import signal",
        "import importlib",
        "__import__('os')",
        "().__class__.__base__.__subclasses__()",
        "(lambda: 0).__globals__",
        "from pathlib import Path\nPath('/etc/passwd').read_text()",
        "import sys\nsys._getframe().f_back.f_globals",
        "import sys\nsys.modules['os'].system('id')",
    ],
)
async def test_there_is_no_way_out(run: Run, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "s3cret")
    execution = await run(code)
    assert execution.exit == "exception", execution.output
    assert "root:" not in execution.output and "s3cret" not in execution.output


@pytest.mark.slow
@pytest.mark.parametrize("code", ["while True: pass", "sum(range(10**12))", "10**10**8", "import time\ntime.sleep(99)"])
async def test_what_does_not_stop_is_killed(run: Run, code: str) -> None:
    execution = await run(code, Limits(seconds=0.3, grace=0.5))
    assert execution.exit in ("killed", "memory", "exception")
    assert execution.seconds < 20


async def test_memory_is_bounded(run: Run) -> None:
    assert (await run("[0] * 10**10")).exit == "memory"
    small = Limits(seconds=20, memory=64 << 20)
    assert (await run("x = []\nwhile True: x.append('a' * 10**6 + str(len(x)))", small)).exit == "memory"


async def test_output_is_cut(run: Run) -> None:
    execution = await run("print('a' + 'x' * 300_000 + 'z')")
    assert execution.exit == "ok" and len(execution.output) < 11_000
    assert execution.output.startswith("axx") and "bytes cut ...]" in execution.output
    assert len((await run("'y' * 10**6")).output) < 11_000


async def test_endless_output_ends(run: Run) -> None:
    brief = Limits(seconds=0.5, grace=5)
    assert (await run("while True: print('y' * 1000)", brief)).exit in ("memory", "killed")


async def test_terminal_escapes_are_defused(run: Run) -> None:
    assert (await run("print('\\x1b[2J')")).output == "\ufffd[2J\n"


async def test_a_killed_worker_is_gone() -> None:
    worker = await Monty().start(Limits())
    pid = worker._session.worker_pid
    worker.kill()
    assert not worker.alive
    with pytest.raises(WorkerFailed):
        await worker.run("1")
    for _ in range(1000):
        if not _runs(pid):
            break
        await asyncio.sleep(0.02)
    assert not _runs(pid)


async def test_given_files_can_be_read_and_not_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    worker = await Monty().start(Limits(), binds={"/in": tmp_path})
    assert (await worker.run("open('in/a.txt').read()")).output == "'hello'\n"
    assert (await worker.run("open('in/a.txt', 'w').write('x')")).exit == "exception"
    assert (await worker.run("open('in/../../etc/passwd').read()")).exit == "exception"
    worker.kill()
    assert (tmp_path / "a.txt").read_text() == "hello"


async def test_the_model_is_told_what_is_not_there() -> None:
    pool = Pool(Monty())

    async def current() -> Pool:
        return pool

    tool = python_tool(current)
    assert tool.prepare is not None
    told = await tool.prepare()
    assert told is not None and "neither numpy" in told.description and "numpy and sympy" not in told.description
    session = Session()
    result = await told.call(ToolCall("1", "python", '{"code": "import numpy"}'), session)
    assert (result.status, result.meta["tier"]) == ("error", "monty")
    await session.close()
    await asyncio.sleep(0)
    pool.close()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
