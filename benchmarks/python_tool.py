"""The python tool's speed: a warm cell, a session's first cell, and a whole session, cold, spare and preloaded.

    python benchmarks/python_tool.py [n]

Prints p50 and p95 in milliseconds with n, and beside them bare CPython: `exec` in this process, and a new
interpreter (`python -I -S -c pass`). Run it on an idle machine; every figure is wall-clock.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from maieutic.tools.sandbox.pool import Pool
from maieutic.tools.sandbox.tier import Tier, ensure_sandbox


async def measure(name: str, n: int, action: Callable[[], Awaitable[object]]) -> None:
    times = []
    for _ in range(n):
        started = time.perf_counter()
        await action()
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    print(f"{name:<52} p50 {times[n // 2]:9.3f} ms   p95 {times[int(n * 0.95)]:9.3f} ms   n={n}")


async def cold(tier: Tier, pool: Pool, preload: tuple[str, ...], code: str) -> None:
    worker = await tier.start(pool.limits, preload)
    await worker.run(code)
    worker.kill()


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


async def main(n: int) -> None:
    tier = await ensure_sandbox()
    pool = Pool(tier)
    interpreter = pool.interpreter()
    await interpreter.run("import numpy")
    print(f"sandbox tier: {tier.name}")
    await measure("exec in this process (no sandbox)", 20 * n, bare_exec)
    await measure("warm cell: x = 2 * 21", 20 * n, lambda: interpreter.run("x = 2 * 21"))
    await measure("warm cell: an exception", 20 * n, lambda: interpreter.run("1 / 0"))
    await measure("new bare interpreter (no sandbox)", n, bare_start)
    await measure("cold: start, first cell", n, lambda: cold(tier, pool, (), "1"))
    await measure("cold: start, first cell imports numpy", n, lambda: cold(tier, pool, (), "import numpy"))
    await measure("cold: start, first cell imports sympy", max(n // 5, 1), lambda: cold(tier, pool, (), "import sympy"))
    await measure("session of two cells, one after the other", n, lambda: session(pool))
    await measure("16 sessions of two cells at once", max(n // 10, 1), lambda: sessions_at_once(pool, 16))
    await interpreter.close()
    pool.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
