"""The python tool's speed: a warm cell, a session's first cell and a whole session, in every tier, beside others.

    python benchmarks/python_tool.py [--n 50] [--rivals PYTHON] [--write]

Beside it bare CPython (`exec` in this process, a new `python -I -S -c pass`) and, with `--rivals`, a Jupyter kernel and
smolagents' LocalPythonExecutor, run by the Python of a venv of theirs:

    python -m venv /tmp/rivals && /tmp/rivals/bin/pip install -r benchmarks/python_tool_rivals.txt
    python benchmarks/python_tool.py --rivals /tmp/rivals/bin/python --write

Prints p50 with its 95 % interval and p95 in milliseconds of wall-clock, with n; `--write` keeps them in results/. Run
it on an idle machine.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import metadata
from pathlib import Path

from maieutic.tools.sandbox.pool import Pool
from maieutic.tools.sandbox.tier import TIERS, NoSandbox, Tier, ensure_sandbox

RESULTS = Path(__file__).parent / "results"
RIVALS = Path(__file__).with_name("python_tool_rivals.py")
WARM = "warm cell: x = 2 * 21"
COLD = "cold: start, first cell"

Rows = dict[tuple[str, str], list[float]]


async def measure(n: int, action: Callable[[], Awaitable[object]]) -> list[float]:
    times = []
    for _ in range(n):
        started = time.perf_counter()
        await action()
        times.append((time.perf_counter() - started) * 1000)
    return times


async def cold(tier: Tier, pool: Pool, code: str) -> None:
    worker = await tier.start(pool.limits)
    await worker.run(code)
    worker.kill()


async def with_spare(pool: Pool, n: int) -> list[float]:
    """First cells of sessions that come when a spare worker has long been ready."""
    times = []
    for _ in range(n):
        pool.warm()
        await asyncio.sleep(0.5)
        interpreter = pool.interpreter()
        times += await measure(1, lambda one=interpreter: one.run("1"))  # type: ignore[misc]
        await interpreter.close()
    return times


async def session(pool: Pool) -> None:
    interpreter = pool.interpreter()
    await interpreter.run("x = 2")
    await interpreter.run("x * 21")
    await interpreter.close()


async def sessions_at_once(pool: Pool, count: int) -> None:
    await asyncio.gather(*[session(pool) for _ in range(count)])


async def bare_exec() -> None:
    exec("x = 2 * 21", {})


async def bare_start() -> None:
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)


async def of_tier(tier: Tier, n: int) -> Rows:
    pool, name, rows = Pool(tier), tier.name, Rows()
    interpreter = pool.interpreter()
    await interpreter.run("x = 1")
    rows[WARM, name] = await measure(20 * n, lambda: interpreter.run("x = 2 * 21"))
    rows["warm cell: an exception", name] = await measure(20 * n, lambda: interpreter.run("1 / 0"))
    rows[COLD, name] = await measure(n, lambda: cold(tier, pool, "1"))
    rows["first cell of a session, a spare worker waiting", name] = await with_spare(pool, n)
    if name != "monty":
        rows["cold: start, first cell imports numpy", name] = await measure(n, lambda: cold(tier, pool, "import numpy"))
        rows["cold: start, first cell imports sympy", name] = await measure(
            max(n // 5, 1), lambda: cold(tier, pool, "import sympy")
        )
    rows["session of two cells, one after the other", name] = await measure(n, lambda: session(pool))
    rows["16 sessions of two cells at once", name] = await measure(max(n // 10, 1), lambda: sessions_at_once(pool, 16))
    await interpreter.close()
    await asyncio.sleep(0.5)
    pool.close()
    return rows


def of_rivals(python: str, n: int) -> Rows:
    done = subprocess.run([python, str(RIVALS), str(n)], check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    labels = {"warm": WARM, "cold": COLD}
    return {(label, name): times[key] for name, times in found.items() for key, label in labels.items()}


async def rows_of(n: int, rivals: str | None) -> Rows:
    rows: Rows = {
        (WARM, "exec in this process"): await measure(20 * n, bare_exec),
        (COLD, "python -I -S -c pass"): await measure(n, bare_start),
    }
    for name in TIERS:
        try:
            rows |= await of_tier(await ensure_sandbox(name), n)
        except NoSandbox as error:
            print(f"not measured: {error}", file=sys.stderr)
    return rows | (of_rivals(rivals, n) if rivals else {})


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def interval(times: list[float]) -> tuple[float, float]:
    """A 95 % interval of the median, from the ranks it may have."""
    ranked, spread = sorted(times), 0.98 * len(times) ** 0.5
    middle = len(times) / 2
    return ranked[max(0, int(middle - spread))], ranked[min(len(times) - 1, int(middle + spread))]


def table(rows: Rows) -> str:
    lines = ["| | | p50 ms (95 % interval) | p95 ms | n |", "|---|---|---|---|---|"]
    for what in dict.fromkeys(what for what, _ in rows):
        for (which, who), times in rows.items():
            if which == what:
                low, high = interval(times)
                p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
                lines.append(f"| {what} | {who} | {p50:.3f} ({low:.3f}-{high:.3f}) | {p95:.3f} | {len(times)} |")
    return "\n".join(lines)


def versions(rivals: str | None) -> str:
    said = [f"Python {platform.python_version()}", f"numpy {metadata.version('numpy')}"]
    if rivals:
        code = "from importlib.metadata import version as v\n"
        code += "print(*[f'{n} {v(n)}' for n in ('ipykernel', 'jupyter_client', 'smolagents')], sep=', ')"
        said.append(subprocess.run([rivals, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    return ", ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--rivals", metavar="PYTHON")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    busy = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start"
    rows = asyncio.run(rows_of(given.n, given.rivals))
    command = f"benchmarks/python_tool.py --n {given.n}" + (" --rivals PYTHON" if given.rivals else "")
    text = f"`{command}`, wall-clock; {busy}; {versions(given.rivals)}.\n\n{table(rows)}\n"
    print(text)
    if given.write:
        (RESULTS / "python_tool.md").write_text(text)
        raw = {what: {who: times for (which, who), times in rows.items() if which == what} for what, _ in rows}
        (RESULTS / "python_tool.json").write_text(json.dumps({"command": command, "ms": raw}) + "\n")


if __name__ == "__main__":
    main()
