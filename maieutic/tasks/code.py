"""The verifier `code`: a program is right when its tests pass, which are run in the sandbox.

The program is one cell, each test another, in one interpreter that nothing else uses. The tests are Python with plain
`assert`; where there are several, the score is the share that passed. A program can read the tests' names and meddle
with what they call, as any tested program can: it can't reach outside the sandbox.
"""

import ast
import asyncio
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from maieutic.errors import TaskError
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.tools.sandbox.tier import STATE_KEPT, Execution, Limits, WorkerFailed, ensure_sandbox
from maieutic.types import Outcome, Verdict

LONGEST = 100_000  # characters of a program
LIMITS = Limits()
_SLOW = ("timeout", "killed")


def parses(program: str) -> bool:
    """Whether a text is a Python program, and no empty one."""
    if len(program) > LONGEST:
        return False
    try:
        return bool(ast.parse(program).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def unfenced(program: str) -> str:
    """The program without a Markdown fence around the whole of it."""
    lines = program.strip().splitlines()
    if len(lines) >= 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return program.strip("\n").rstrip()


def checks_of(task: Task) -> list[str]:
    """The tests that a program has to pass, from the gold answer or, where they are no secret, the inputs: text, a list
    of texts, or an object with `tests`. Raises TaskError where there are none that can be run."""
    tests: Any = task.gold if task.gold is not None else task.inputs.get("tests")
    if isinstance(tests, dict):
        tests = tests.get("tests")
    listed = [tests] if isinstance(tests, str) else tests
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) and parses(one) for one in listed):
        raise TaskError(f'Task {task.id!r} has no tests that Python can read: give it gold {{"tests": "assert …"}}.')
    return listed


def to_its_end(test: str, mark: str) -> str:
    """A cell that shows `mark` where it was run to its end: one that was left by SystemExit ends well, too."""
    return f"{test}\n{mark!r}"


def ended_well(execution: Execution, mark: str) -> bool:
    """Whether a cell made with `to_its_end` got there."""
    return execution.exit == "ok" and mark in execution.output


def run_cells(cells: Sequence[str], limits: Limits = LIMITS) -> list[Execution]:
    """What became of each cell, run one after another in a fresh interpreter of the sandbox, up to one that ends it.

    For code that is not async; the caller may be inside an event loop. Raises NoSandbox, and WorkerFailed.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_run(cells, limits))).result()


async def _run(cells: Sequence[str], limits: Limits) -> list[Execution]:
    worker = await (await ensure_sandbox()).start(limits)
    try:
        done: list[Execution] = []
        for cell in cells:
            done.append(await worker.run(cell))
            if done[-1].exit not in STATE_KEPT:
                break
        return done
    finally:
        worker.kill()


def code(task: Task, answer: str) -> bool | float | Verdict:
    """The answer is a Python program; it is right when all tests pass. One that doesn't parse is a format error, one
    that takes too long is not scored."""
    tests, program, mark = checks_of(task), unfenced(answer), secrets.token_hex(8)
    if not parses(program):
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not a Python program")
    try:
        first, *others = run_cells([program, *(to_its_end(test, mark) for test in tests)])
    except WorkerFailed as error:
        return Verdict(Outcome.TOOL_ERROR, None, reason=str(error))
    slow = next((one for one in (first, *others) if one.exit in _SLOW), None)
    if slow is not None:
        return Verdict(Outcome.TIMEOUT, None, reason=_last_line(slow) or "stopped at the limit of time")
    if first.exit != "ok":
        return Verdict(Outcome.WRONG, 0.0, reason=f"the program failed: {_last_line(first) or first.exit}")
    passed = sum(ended_well(one, mark) for one in others)
    if passed == len(tests):
        return True
    failed = next((one for one in others if not ended_well(one, mark)), None)
    why = "" if failed is None else f": {_last_line(failed) or 'a test was left before its end'}"
    return Verdict(Outcome.WRONG, passed / len(tests), reason=f"{passed} of {len(tests)} tests passed{why}")


def _last_line(execution: Execution) -> str:
    lines = execution.output.strip().splitlines()
    return lines[-1][:300] if lines else ""


verifier("code", answer_type="text")(code)
