"""The python tool's benchmark, the other side: a Jupyter kernel and smolagents' LocalPythonExecutor, in their own venv.

Started by `python_tool.py --rivals PYTHON`; prints one JSON object of lists of milliseconds. Neither isolates code.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable


def timed(n: int, action: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(n):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return times


def jupyter(n: int) -> dict[str, list[float]]:
    from jupyter_client.manager import start_new_kernel

    def cold() -> None:
        manager, client = start_new_kernel(kernel_name="python3")
        client.execute_interactive("1", output_hook=lambda _: None)
        client.stop_channels()
        manager.shutdown_kernel(now=True)

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        warm = timed(20 * n, lambda: client.execute_interactive("x = 2 * 21", output_hook=lambda _: None))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return {"warm": warm, "cold": timed(max(n // 10, 3), cold)}


def smolagents(n: int) -> dict[str, list[float]]:
    start = "from smolagents.local_python_executor import LocalPythonExecutor as E\ne = E([]); e.send_tools({}); e('1')"
    cold = timed(max(n // 10, 3), lambda: subprocess.run([sys.executable, "-c", start], check=True))
    from smolagents.local_python_executor import LocalPythonExecutor

    executor = LocalPythonExecutor([])
    executor.send_tools({})
    return {"warm": timed(20 * n, lambda: executor("x = 2 * 21")), "cold": cold}


if __name__ == "__main__":
    count = int(sys.argv[1])
    print(json.dumps({"Jupyter kernel": jupyter(count), "smolagents LocalPythonExecutor": smolagents(count)}))
