"""Rollouts a second at a server with a fixed latency law: ours, in one process and on Ray, plain asyncio, Ray Data.

    python benchmarks/collect.py [--in-flight 64 512] [--rounds 3] [--median 2.0] [--ray-data .venv-ray/bin/python]

A rollout is one model call. How long its answer takes is drawn from a lognormal law by the rollout's number alone, so
that every side waits for exactly the same; the server is a process of its own. Plain asyncio is the least that could be
called a collection: a bare client, a worker for each rollout in flight, one JSON line a rollout, no trace, no resume.
Every side takes its turn in each round; times are wall-clock and include everything but the start of Ray itself.
Ray Data (`ray[data]` and aiohttp, in a Python of its own) is left out where `--ray-data` is not given. The target is at
least 0.95 of plain asyncio.
"""

import argparse
import asyncio
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from models_servers import answer

from maieutic.collector import collect
from maieutic.tasks.task import Task

TARGET = 0.95
SIGMA = 0.5
PLAIN, OURS, ON_RAY, RAY_DATA = "plain asyncio", "collect", "collect --engine ray", "Ray Data"
HERE = Path(__file__).parent

Side = Callable[[str, int, int], Awaitable[float]]  # url, rollouts, in flight: seconds


def latency(number: int, median: float) -> float:
    """Seconds that the answer to this rollout takes."""
    return median * math.exp(random.Random(number).gauss(0.0, SIGMA))


async def serve(tokens: int, median: float) -> None:
    """Answer each rollout after its time, with as little HTTP as will do; prints the port."""
    body = answer(tokens)
    reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                headers = (await reader.readuntil(b"\r\n\r\n")).lower()
                asked = b""
                if headers.startswith(b"post"):
                    asked = await reader.readexactly(int(headers.split(b"content-length:")[1].split(b"\r\n")[0]))
                    number = int(asked.partition(b"Rollout ")[2].partition(b":")[0])
                    await asyncio.sleep(latency(number, median))
                    writer.write(reply)
                else:  # no metrics here
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def question(number: int) -> str:
    return f"Rollout {number}: what is 4 + 3?"


def body_of(number: int) -> dict[str, Any]:
    messages = [{"role": "system", "content": "You solve tasks."}, {"role": "user", "content": question(number)}]
    return {"model": "m", "messages": messages, "seed": number, "logprobs": True, "return_token_ids": True}


async def plain(url: str, rollouts: int, width: int) -> float:
    """Workers that take the next number, ask, and write a line."""
    left = iter(range(rollouts))
    started = time.perf_counter()
    with tempfile.NamedTemporaryFile("wb", dir=".") as file:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def work() -> None:
                for number in left:
                    sent = orjson.dumps(body_of(number))
                    headers = {"content-type": "application/json"}
                    async with session.post(f"{url}/chat/completions", data=sent, headers=headers) as response:
                        found = orjson.loads(await response.read())
                    file.write(orjson.dumps({"task": number, "completion": found}) + b"\n")

            await asyncio.gather(*(work() for _ in range(width)))
    return time.perf_counter() - started


async def ours(url: str, rollouts: int, width: int, **options: Any) -> float:
    tasks = [Task(id=str(i), question=question(i), gold="7") for i in range(rollouts)]
    with tempfile.TemporaryDirectory(dir=".") as out:
        started = time.perf_counter()
        report = await collect(tasks, out=out, model=f"vllm/m@{url}", concurrency=width, **options)
        seconds = time.perf_counter() - started
    assert report.summary.correct == rollouts
    return seconds


async def on_ray(url: str, rollouts: int, width: int) -> float:
    return await ours(url, rollouts, width, engine="ray", actors=2)


def ray_data(python: str) -> Side:
    async def side(url: str, rollouts: int, width: int) -> float:
        command = [python, str(HERE / "collect_ray_data.py"), url, str(rollouts), str(width)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        if process.returncode:
            raise SystemExit("Ray Data's side failed: see above.")
        return float(said.split()[-1])

    return side


def ray_session() -> Any:
    """Ray, started before anything is timed; nothing where it is not installed."""
    try:
        import ray
    except ImportError:
        return None
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")  # pyright: ignore[reportArgumentType]
    return ray


async def measure(url: str, sides: dict[str, Side], options: argparse.Namespace) -> dict[int, dict[str, list[float]]]:
    """Rollouts a second by rollouts in flight, side and round."""
    found: dict[int, dict[str, list[float]]] = {}
    for width in options.in_flight:
        rollouts = options.each * width
        found[width] = {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, side in sides.items():
                rate = rollouts / await side(url, rollouts, width)
                found[width][name].append(rate)
                print(f"{width} in flight, {name}: {rate:.1f}/s", file=sys.stderr, flush=True)
    return found


def table(found: dict[int, dict[str, list[float]]], options: argparse.Namespace) -> str:
    lines = [
        f"Rollouts a second; answers take a lognormal time, median {options.median:g} s, sigma {SIGMA:g}; "
        f"{options.tokens} tokens with ids and log-probabilities each; n = {options.rounds} rounds of {options.each} "
        f"rollouts for each in flight. Median (range); beside plain asyncio in the same round.",
        "",
        "| in flight | side | rollouts/s | of plain asyncio | target |",
        "|---|---|---|---|---|",
    ]
    for width, sides in found.items():
        for name, rates in sides.items():
            shown = f"{statistics.median(rates):.1f} ({min(rates):.1f}-{max(rates):.1f})"
            shares = [a / b for a, b in zip(rates, sides[PLAIN], strict=True)]
            middle = statistics.median(shares)
            kept = ("kept" if middle >= TARGET else "missed") if name == OURS else ""
            beside = "" if name == PLAIN else f"{middle:.2f} ({min(shares):.2f}-{max(shares):.2f})"
            lines.append(f"| {width} | {name} | {shown} | {beside} | {kept} |")
    return "\n".join(lines) + "\n"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", type=int, default=8, help="rollouts for each one in flight")
    parser.add_argument("--median", type=float, default=2.0, help="seconds of an answer")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--ray-data", metavar="PYTHON", help="a Python that has ray[data] and aiohttp")
    parser.add_argument("--no-ray", action="store_true", help="leave --engine ray out")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    if options.serve:
        asyncio.run(serve(options.tokens, options.median))
        return
    sides: dict[str, Side] = {PLAIN: plain, OURS: ours}
    ray = None if options.no_ray else ray_session()
    if ray is not None:
        sides[ON_RAY] = on_ray
    if options.ray_data:
        sides[RAY_DATA] = ray_data(options.ray_data)
    command = [sys.executable, __file__, "--serve", "--tokens", str(options.tokens), "--median", str(options.median)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            found = asyncio.run(measure(url, sides, options))
        finally:
            server.terminate()
            if ray is not None:
                ray.shutdown()
    text = table(found, options)
    print(text)
    versions = {"python": sys.version.split()[0], "aiohttp": aiohttp.__version__}
    versions |= {"ray": ray.__version__} if ray is not None else {}
    record = {"command": " ".join(sys.argv), "versions": versions, "rollouts_a_second": found}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "collect.md").write_text(text)
    (options.out / "collect.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
