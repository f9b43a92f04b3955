"""CPU time that a graph adds to a model call: runs with their trace on, against the bare HTTP client.

    python benchmarks/orchestration.py [--calls 800] [--rounds 7] [--tokens 64]

A server in another process answers at once, so that what is measured is the client's own work, of all its threads.
Every way of calling takes its turn in each round; the table gives medians over the rounds, and their range. Each
answer carries `--tokens` tokens with ids and log-probabilities, as vLLM sends them.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

import aiohttp
import httpx
import models_graph
import orjson
from langgraph.graph import END, START, StateGraph
from models_servers import answer

from maieutic.collector import collect
from maieutic.graphs.graph import Graph
from maieutic.llm.server.net import aiohttp_transport
from maieutic.runner import open_runner
from maieutic.tasks.task import Task
from maieutic.types import Message, Request, Sampling

IN_FLIGHT = 16
SAMPLES = 8
BARE = "bare httpx over aiohttp"
TARGET_MS = 1.0
QUESTION = "What is 4 + 3? " * 20
MESSAGES: list[Message] = [{"role": "system", "content": "You solve tasks."}, {"role": "user", "content": QUESTION}]
BODY = {"model": "m", "messages": MESSAGES, "temperature": 1.0, "seed": 1, "logprobs": True, "return_token_ids": True}


@dataclass(frozen=True, slots=True)
class Way:
    """A way of calling: `turn(calls)` makes that many model calls. `ours` has to keep the target."""

    name: str
    turn: Callable[[int], Awaitable[None]]
    ours: bool = False


async def serve(tokens: int) -> None:
    """Answer everything at once, with as little HTTP as will do; prints the port."""
    body = answer(tokens)
    reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                headers = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(headers.split(b"content-length:")[1].split(b"\r\n")[0]))
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def at_once(one: Callable[[], Awaitable[object]], times: int, width: int) -> None:
    """`one` so many times, at most `width` of them at once."""
    left = iter(range(times))

    async def work() -> None:
        for _ in left:
            await one()

    await asyncio.gather(*(work() for _ in range(width)))


class State(TypedDict, total=False):
    x: str


def empty_nodes(number: int) -> Any:
    """A compiled graph of so many nodes in a row that do nothing: what LangGraph itself costs a run."""

    async def node(state: State) -> dict[str, str]:
        return {"x": "1"}

    graph = StateGraph(State)
    names = [f"node-{i}" for i in range(number)]
    for name in names:
        graph.add_node(name, node)
    for before, after in pairwise([START, *names, END]):
        graph.add_edge(before, after)
    return graph.compile()


async def ways(base_url: str, folder: Path, stack: AsyncExitStack) -> list[Way]:
    url, model = f"{base_url}/chat/completions", f"vllm/m@{base_url}"
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    transport = aiohttp_transport(httpx.URL(base_url))
    client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, timeout=60))
    content = {"content-type": "application/json"}
    task = Task(question=QUESTION, gold="7")
    request = Request((*MESSAGES,), Sampling(temperature=1.0, seed=1))
    nothing, five = empty_nodes(1), empty_nodes(models_graph.NODES)
    walked = Graph.of("five nodes", models_graph, {})
    all_samples = {"samples": SAMPLES, "early_stop": False}
    direct = await stack.enter_async_context(open_runner("direct", model=model, traces=folder / "direct"))
    voting = await stack.enter_async_context(
        open_runner("self_consistency", model=model, traces=folder / "voting", graph_settings=all_samples)
    )

    async def with_aiohttp() -> object:
        async with session.post(url, data=orjson.dumps(BODY), headers=content) as response:
            return orjson.loads(await response.read())

    async def with_httpx() -> object:
        return orjson.loads((await client.post(url, content=orjson.dumps(BODY), headers=content)).content)

    async def client_alone() -> object:
        return await direct.models[""].model.sample(request)

    nodes = await stack.enter_async_context(open_runner(walked, model=model, traces=folder / "nodes"))

    async def empty_graph() -> object:
        return await nothing.ainvoke({}, {"recursion_limit": 64}, context={})

    async def empty_five() -> object:
        return await five.ainvoke({}, {"recursion_limit": 64}, context={})

    collections = iter(range(10**6))

    async def collected(calls: int) -> None:
        tasks = [Task(id=str(i), question=QUESTION, gold="7") for i in range(calls)]
        out = folder / f"collect-{next(collections)}"
        report = await collect(tasks, out=out, model=model, concurrency=IN_FLIGHT)
        assert report.summary.correct == calls

    return [
        Way("bare aiohttp", lambda n: at_once(with_aiohttp, n, IN_FLIGHT)),
        Way(BARE, lambda n: at_once(with_httpx, n, IN_FLIGHT)),
        Way("model client alone", lambda n: at_once(client_alone, n, IN_FLIGHT)),
        Way("LangGraph alone: one empty node, no call", lambda n: at_once(empty_graph, n, IN_FLIGHT)),
        Way(
            "LangGraph alone: five empty nodes, by node",
            lambda n: at_once(empty_five, n // models_graph.NODES, IN_FLIGHT),
        ),
        Way("direct", lambda n: at_once(lambda: direct.run(task), n, IN_FLIGHT), ours=True),
        Way(
            "a graph of five nodes",
            lambda n: at_once(lambda: nodes.run(task), n // models_graph.NODES, IN_FLIGHT),
            ours=True,
        ),
        Way(
            f"self_consistency, {SAMPLES} samples",
            lambda n: at_once(lambda: voting.run(task), n // SAMPLES, IN_FLIGHT // SAMPLES),
            ours=True,
        ),
        Way("collect, direct", collected, ours=True),
    ]


async def measure(base_url: str, rounds: int, calls: int) -> tuple[list[Way], dict[str, list[float]]]:
    """Milliseconds of CPU a call, by way and round."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            found = await ways(base_url, Path(folder), stack)
            spent: dict[str, list[float]] = {way.name: [] for way in found}
            for way in found:
                await way.turn(10 * SAMPLES)  # connections, caches, imports
            for _ in range(rounds):
                for way in found:
                    start = time.process_time()
                    await way.turn(calls)
                    spent[way.name].append((time.process_time() - start) / calls * 1000)
    return found, spent


def table(found: list[Way], spent: dict[str, list[float]], title: str) -> str:
    lines = [title, "", "| way of calling | CPU ms a call, median (range) | over the bare client | target |"]
    lines.append("|---|---|---|---|")
    for way in found:
        each = spent[way.name]
        shown = f"{statistics.median(each):.2f} ({min(each):.2f}-{max(each):.2f})"
        if not way.ours:
            lines.append(f"| {way.name} | {shown} | | |")
            continue
        over = [a - b for a, b in zip(each, spent[BARE], strict=True)]
        middle = statistics.median(over)
        kept = "kept" if middle <= TARGET_MS else "missed"
        lines.append(f"| {way.name} | {shown} | {middle:.2f} ({min(over):.2f}-{max(over):.2f}) | {kept} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=800, help=f"calls of each way in a round, by {SAMPLES}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.tokens))
        return
    command = [sys.executable, __file__, "--serve", "--tokens", str(options.tokens)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            found, spent = asyncio.run(measure(f"http://127.0.0.1:{port}/v1", options.rounds, options.calls))
        finally:
            server.terminate()
    title = (
        f"CPU of one model call, {options.tokens} tokens with ids and log-probabilities an answer, {IN_FLIGHT} in "
        f"flight; n = {options.rounds} rounds of {options.calls} calls; target: at most {TARGET_MS:g} ms over the bare "
        "client, trace on."
    )
    text = table(found, spent, title)
    print(text)
    record: dict[str, Any] = {"command": " ".join(sys.argv), "python": sys.version.split()[0], "ms_a_call": spent}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "orchestration.md").write_text(text)
    (options.out / "orchestration.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
