"""The `python` tool as a model and a run meet it."""

import asyncio
import json
from ast import literal_eval
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools.python import python, python_tool
from maieutic.tools.sandbox.pool import Pool
from maieutic.tools.sandbox.tier import NO_BINDS, Binds, Limits, Tier, Worker, WorkerFailed
from maieutic.tools.tool import Session
from maieutic.types import ToolCall, ToolResult
from tests.conftest import Ask as RunAsk
from tests.tools.conftest import best_tier

BRIEF = Limits(seconds=0.3, grace=0.3)
STOPPED = Limits(seconds=0.3, grace=30)  # the soft time limit alone, however busy the machine
Ask = Callable[..., Coroutine[Any, Any, ToolResult]]
MakePool = Callable[..., Pool]


@pytest.fixture
async def call(make_pool: MakePool) -> AsyncIterator[Ask]:
    """Call the tool; all calls of one test are of one session, unless it names others."""
    pools: dict[Limits, Pool] = {}
    sessions: dict[Any, Session] = {}

    async def call_(code: str, limits: Limits = Limits(), session: str = "") -> ToolResult:  # noqa: B008
        pool = pools.get(limits) or pools.setdefault(limits, make_pool(limits))

        async def current() -> Pool:
            return pool

        kept = sessions.setdefault((limits, session), Session())
        return await python_tool(current).call(ToolCall("1", "python", json.dumps({"code": code})), kept)

    yield call_
    for kept in sessions.values():
        await kept.close()


async def test_what_the_model_is_told() -> None:
    assert python.name == "python"
    assert list(python.spec.parameters["properties"]) == ["code"]
    assert "Variables, functions and imports stay" in python.spec.description
    assert "10 seconds" in python.spec.description and Limits().seconds == 10


async def test_state_is_kept(call: Ask) -> None:
    await call("import math\ndef area(r):\n    return math.pi * r**2\nradius = 2")
    assert (await call("round(area(radius), 2)")).content == "12.57"
    assert (await call("_ * 2")).content == "25.14"


@pytest.mark.parametrize(
    ("code", "content"),
    [
        ("1 + 1", "2"),
        ("print('a')\n'b'", "a\n'b'"),
        ("x = 3", "[The code ran and printed nothing.]"),
        ("None", "[The code ran and printed nothing.]"),
        ("", "[The code ran and printed nothing.]"),
        ("# only a comment", "[The code ran and printed nothing.]"),
        ("for i in range(2): print(i)", "0\n1"),
        ("import sys; print('e', file=sys.stderr); print('o')", "e\no"),
        ("import os; os.write(1, b'raw')", "raw3"),
        ("if __name__ == '__main__': print('main')", "main"),
        ("```python\n2 * 3\n```", "6"),
        ("exit()", "[The code ran and printed nothing.]"),
        ("print('no newline', end='')", "no newline"),
        ("'größer ∑ 😀'", "'größer ∑ 😀'"),
        ("print('\\udcff')", "\\udcff"),
        ("import asyncio\nasync def f(): return 7\nasyncio.run(f())", "7"),
        ("len(str(7**10000))", "8451"),
        ("from concurrent.futures import ThreadPoolExecutor as T\nlist(T(2).map(abs, [-1, 2]))", "[1, 2]"),
    ],
)
async def test_output_and_echo(call: Ask, code: str, content: str) -> None:
    result = await call(code)
    assert (result.content, result.status) == (content, "ok")


async def test_a_wrapped_standard_output_is_no_error(call: Ask) -> None:
    result = await call("import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8')\nprint('a')\n2")
    assert (result.content, result.status) == ("a\n2", "ok")
    assert (await call("3")).content == "3"


async def test_numpy_and_sympy(call: Ask) -> None:
    patient = Limits(seconds=60)  # importing sympy takes long where its bytecode is missing
    matrix = "import numpy as np\nfloat(np.linalg.det(np.array([[1., 2.], [3., 4.]])).round(6))"
    assert (await call(matrix, patient)).content == "-2.0"
    solved = await call("from sympy import *\nx = Symbol('x')\nsolve(x**2 - 2)", patient)
    assert solved.content == "[-sqrt(2), sqrt(2)]"
    assert (await call("integrate(sin(x)**2, (x, 0, pi))", patient)).content == "pi/2"


async def test_tracebacks_show_only_the_models_own_frames(call: Ask) -> None:
    await call("import json\ndef parse(text):\n    return json.loads(text)")
    result = await call("parse('{')")
    assert result.status == "error"
    lines = result.content.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.strip() for line in lines if "File" in line] == [
        'File "<cell 2>", line 1, in <module>',
        'File "<cell 1>", line 3, in parse',
    ]
    assert "    return json.loads(text)" in result.content
    assert lines[-1].startswith("json.decoder.JSONDecodeError: Expecting property name")


async def test_causes_are_trimmed_too(call: Ask) -> None:
    result = await call("try:\n    int('x')\nexcept ValueError as e:\n    raise KeyError('y') from e")
    assert "ValueError: invalid literal" in result.content and "KeyError: 'y'" in result.content
    group = await call("import json\nraise ExceptionGroup('many', [ValueError(1), TypeError(2)])")
    assert "ValueError: 1" in group.content and "TypeError: 2" in group.content
    deep = await call("def f(n): return f(n + 1)\nf(0)")
    assert "RecursionError" in deep.content and len(deep.content) < 3000
    assert "worker.py" not in result.content + group.content + deep.content


async def test_a_syntax_error_names_the_place(call: Ask) -> None:
    result = await call("x = 1\ny = = 2")
    assert result.status == "error"
    assert 'File "<cell 1>", line 2' in result.content
    assert result.content.endswith("SyntaxError: invalid syntax")
    assert "null byte" in (await call("x = '\0'")).content


async def test_a_time_out_keeps_state(call: Ask) -> None:
    await call("x = 41", STOPPED)
    result = await call("x += 1\nwhile True: pass", STOPPED)
    assert result.status == "timeout"
    assert 'File "<cell 2>", line 2, in <module>' in result.content
    assert result.content.endswith("[Stopped at the limit of 0.3 s. Variables are kept.]")
    assert (await call("x", STOPPED)).content == "42"


async def test_a_kill_loses_state_and_says_so(call: Ask) -> None:
    await call("x = 41", BRIEF)
    result = await call("print('so far')\nsum(range(10**10))", BRIEF)
    assert result.status == "timeout"
    assert result.content == "so far\n[Killed: it did not stop at the limit of 0.3 s. All variables are lost.]"
    after = await call("x", BRIEF)
    assert after.content.startswith("[A new interpreter: the variables and imports of earlier calls are gone.]\n")
    assert "NameError" in after.content
    assert "new interpreter" not in (await call("1", BRIEF)).content


@pytest.mark.parametrize(
    ("code", "exit_", "sentence"),
    [
        ("import os; os._exit(3)", "died", "[The interpreter died. All variables are lost.]"),
        ("[0] * 10**10", "memory", "[The limit of 1 GiB of memory was reached. All variables are lost.]"),
    ],
)
async def test_a_lost_interpreter_is_an_error(call: Ask, code: str, exit_: str, sentence: str) -> None:
    result = await call(code)
    assert (result.status, result.meta["exit"]) == ("error", exit_)
    assert result.content.endswith(sentence)
    assert (await call("1 + 1")).content.endswith("\n2")


async def test_a_death_between_two_calls_is_told(call: Ask) -> None:
    await call("import threading, os\nx = 1\nthreading.Timer(0.1, os._exit, (0,)).start()")
    await asyncio.sleep(0.5)
    assert (await call("'x' in globals()")).content.endswith("gone.]\nFalse")


async def test_meta_is_for_the_trace(call: Ask) -> None:
    meta = (await call("1")).meta
    assert 0 < meta.pop("seconds") < 10
    assert meta.pop("tier") in ("bubblewrap", "landlock")
    assert meta == {"exit": "ok", "fresh": False}


async def test_sessions_share_nothing(call: Ask) -> None:
    await call("x = 1; open('x', 'w').write('1')", session="a")
    result = await call("import os\n'x' in globals(), os.path.exists('x')", session="b")
    assert result.content == "(False, False)"


async def test_calls_of_one_session_take_turns(call: Ask) -> None:
    await call("log = []")
    code = "import time\nlog.append('in'); time.sleep(0.05); log.append('out')"
    await asyncio.gather(*[call(code) for _ in range(3)])
    assert (await call("log")).content == str(["in", "out"] * 3)


async def test_cancelling_a_call_ends_the_interpreter(call: Ask) -> None:
    await call("x = 1")
    task = asyncio.create_task(call("while True: pass"))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await call("'x' in globals()")).content.endswith("gone.]\nFalse")


async def test_many_sessions_at_once(make_pool: MakePool) -> None:
    pool = make_pool(Limits(seconds=20))

    async def session(number: int) -> str:
        interpreter = pool.interpreter()
        await interpreter.run(f"x = {number}")
        ran = await interpreter.run("x + 1")
        await interpreter.close()
        return ran.execution.output

    assert await asyncio.gather(*map(session, range(24))) == [f"{n + 1}\n" for n in range(24)]


async def test_more_sessions_than_workers_keep_their_state(make_pool: MakePool) -> None:
    pool = make_pool(Limits(seconds=20), live=2)
    interpreters = [pool.interpreter() for _ in range(5)]
    for number, interpreter in enumerate(interpreters):
        await interpreter.run(f"x = {number}")
    assert sum(interpreter.has_worker for interpreter in interpreters) == 2
    for number, interpreter in enumerate(interpreters):
        ran = await interpreter.run("x")
        assert (ran.execution.output, ran.fresh) == (f"{number}\n", False)
    for interpreter in interpreters:
        await interpreter.close()
    assert sum(interpreter.has_worker for interpreter in interpreters) == 0


async def test_state_that_cannot_be_had_again_is_reported(make_pool: MakePool) -> None:
    pool = make_pool(STOPPED, live=1)
    first, second = pool.interpreter(), pool.interpreter()
    await first.run("x = 1\nwhile True: x += 1")
    await second.run("1")
    ran = await first.run("'x' in globals()")
    assert (ran.execution.output, ran.fresh) == ("False\n", True)
    await first.close()
    await second.close()


async def test_no_more_cells_run_at_a_time_than_allowed(make_pool: MakePool) -> None:
    pool = make_pool(Limits(seconds=20), running=1)
    interpreters = [pool.interpreter() for _ in range(3)]
    stamp = "import time\nstart = time.monotonic(); time.sleep(0.1); print((start, time.monotonic()))"
    ran = await asyncio.gather(*[interpreter.run(stamp) for interpreter in interpreters])
    spans = sorted(literal_eval(one.execution.output) for one in ran)
    assert all(earlier[1] <= later[0] for earlier, later in zip(spans, spans[1:], strict=False))
    for interpreter in interpreters:
        await interpreter.close()


async def test_a_spare_worker_comes_with_what_sessions_used(make_pool: MakePool) -> None:
    pool = make_pool(Limits(seconds=20))
    for _ in range(2):
        interpreter = pool.interpreter()
        await interpreter.run("import numpy")
        await interpreter.close()
    last = pool.interpreter()
    await last.run("1")
    await last.close()
    warmed = pool.interpreter()
    assert (await warmed.run("import sys; 'numpy' in sys.modules, 'sympy' in sys.modules")).execution.output == (
        "(True, False)\n"
    )
    await warmed.close()


async def test_a_worker_that_cannot_be_started_in_a_run_is_text_for_the_model(ask: RunAsk) -> None:
    pool = Pool(Exhausted(await best_tier(), starts=1))

    async def current() -> Pool:
        return pool

    model = ScriptedModel(
        [call_tool("python", code="1 + 1"), call_tool("python", code="import os; os._exit(1)"),
         call_tool("python", code="2 + 2"), "Answer: 4"]
    )  # fmt: skip
    result = await ask(model, "tool_loop", tools=[replace(python_tool(current), prepare=None)])
    said = [request.messages[-1]["content"] for request in model.requests[1:]]
    assert said[0] == "2" and "died" in str(said[1])
    assert said[2] == "The sandbox could not be started: no room."
    assert (result.answer, result.partial) == ("4", False)
    pool.close()


class Exhausted:
    """A tier of a machine on which only so many workers can be started."""

    def __init__(self, tier: Tier, starts: int) -> None:
        self.name, self.about, self._tier, self._left = tier.name, tier.about, tier, starts

    async def probe(self) -> str | None:
        return None

    async def start(self, limits: Limits, preload: Sequence[str] = (), binds: Binds = NO_BINDS) -> Worker:
        self._left -= 1
        if self._left < 0:
            raise WorkerFailed("The sandbox could not be started: no room.")
        return await self._tier.start(limits, preload, binds)


async def test_the_first_session_finds_a_worker_with_numpy(make_pool: MakePool) -> None:
    pool = make_pool()

    async def current() -> Pool:
        return pool

    prepare = python_tool(current).prepare
    assert prepare is not None
    told = await prepare()
    assert told is not None and pool.tier.about in told.description
    interpreter = pool.interpreter()
    assert (await interpreter.run("import sys; 'numpy' in sys.modules")).execution.output == "True\n"
    await interpreter.close()
