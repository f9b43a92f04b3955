"""The model layer beside bare HTTP clients and named peers, at a real vLLM server and at servers that take no CPU.

    python benchmarks/models.py (--start | --vllm URL) [--peers DIR] [--rounds 5] [--tokens 64] [--write]

`--start` runs the in-box model in vLLM's CPU build (`maieutic model install --cpu`) with answers of one length;
`--vllm` takes a server that is up, without the peers, whose answers would have other lengths. `--peers DIR` makes a
venv for optillm and for its_hub in DIR, or takes those that are there; they need uv, and 3 GB with torch's CPU build,
which uv has to be told of (UV_FIND_LINKS or UV_EXTRA_INDEX_URL). `--local` leaves vLLM out.

All sides take turns within each round, in an order that is shuffled anew; ratios are taken within a round. Given are
the median over the rounds and the range. Bare clients send and read the same JSON with orjson, log-probabilities and
token ids included, but keep nothing of it; graphs run with their trace on.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
from models_servers import PEERS, ItsHub, Server, install, instant, optillm, python_of, real
from models_sides import QUESTIONS, VOTERS, Bench, Group, Side, messages_of_solver

RESULTS = Path(__file__).parent / "results"
WAITS = 0.3
AIOHTTP, HTTPX, OURS = "bare aiohttp", "bare httpx", "maieutic"
NODES = "graph of five nodes, 64 in flight"
ONE_BY_ONE = [f"self_consistency, {n} samples" for n in (5, 8, 64)]
MANY = f"self_consistency, {QUESTIONS} questions at once, {VOTERS} samples"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side took in one round."""

    seconds: float
    cpu: float
    tokens: int
    calls: int


Found = dict[str, dict[str, list[Turn]]]  # by group and side


@dataclass(frozen=True, slots=True)
class Bound:
    """A promise: `what` of a side, in relation to another's, is at most (or at least) `limit`."""

    group: str
    side: str
    other: str
    what: str
    limit: float
    at_most: bool = True

    def applies_to(self, server: Server) -> bool:
        """Wall-clock says nothing where the server takes no time, and CPU little where few calls are made."""
        return server.real or (self.what == "cpu") == (server.waits == 0)


BOUNDS = [
    *(Bound(f"calls, {c} in flight", OURS, AIOHTTP, "cpu", 2.0) for c in (16, 64)),
    *(Bound(f"calls, {c} in flight", OURS, HTTPX, "cpu", 1 / 3) for c in (16, 64)),
    Bound("calls, 64 in flight", OURS, AIOHTTP, "rate", 0.95, at_most=False),
    Bound(NODES, "maieutic, the graph", "maieutic, the client alone", "rate", 0.95, at_most=False),
    *(Bound(group, OURS, AIOHTTP, "seconds", 1.1) for group in ONE_BY_ONE),
    Bound(MANY, OURS, AIOHTTP, "rate", 0.95, at_most=False),
]
WORDS = {"cpu": "CPU", "rate": "tokens a second", "seconds": "wall-clock"}


def value(turn: Turn, what: str) -> float:
    if what == "rate":
        return turn.tokens / turn.seconds
    return turn.cpu / turn.calls if what == "cpu" else turn.seconds


def ratios(sides: dict[str, list[Turn]], side: str, other: str, what: str) -> list[float]:
    return [value(a, what) / value(b, what) for a, b in zip(sides[side], sides[other], strict=True)]


def spread(values: list[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


async def take(side: Side) -> Turn:
    if side.timed is not None:
        found = await asyncio.to_thread(side.timed)
        return Turn(found["seconds"], found["cpu"], 0, side.calls)
    assert side.turn is not None
    started, cpu = time.perf_counter(), time.process_time()
    tokens = await side.turn()
    return Turn(time.perf_counter() - started, time.process_time() - cpu, tokens, side.calls)


async def measure(bench: Bench, rounds: int) -> Found:
    groups = await bench.groups()
    for group in groups:
        for side in group.sides:  # connections, caches, imports
            check_length(side, group, await take(side), bench.tokens)
    found: Found = {group.name: {side.name: [] for side in group.sides} for group in groups}
    for number in range(rounds):
        for group in groups:
            for side in random.sample(group.sides, len(group.sides)):
                found[group.name][side.name].append(check_length(side, group, await take(side), bench.tokens))
        print(f"{bench.server.title}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found


def check_length(side: Side, group: Group, turn: Turn, tokens: int) -> Turn:
    """Sides are only comparable where they got equally long answers."""
    if side.timed is not None:  # it doesn't say, and has no way of asking for another length
        return replace(turn, tokens=turn.calls * tokens)
    if "early stop" not in side.name and turn.tokens != turn.calls * tokens:
        raise SystemExit(f"{side.name}, {group.name}: answers of {turn.tokens / turn.calls:g} tokens, not {tokens}.")
    return turn


def kept(bound: Bound, found: Found) -> str:
    values = ratios(found[bound.group], bound.side, bound.other, bound.what)
    middle = statistics.median(values)
    fulfilled = middle <= bound.limit if bound.at_most else middle >= bound.limit
    limit = f"{'at most' if bound.at_most else 'at least'} {bound.limit:.2f}"
    what = f"{bound.group}: {WORDS[bound.what]} of {bound.side} by that of {bound.other}"
    return f"| {what} | {limit} | {spread(values)} | {'kept' if fulfilled else 'missed'} |"


def section(server: Server, found: Found) -> Iterator[str]:
    yield f"## At {server.title}\n"
    yield "| | side | ms, wall | by the first's | tokens/s | by the first's | CPU ms a call | by the first's |"
    yield "|---|---|---|---|---|---|---|---|"
    for group, sides in found.items():
        first = next(iter(sides))
        for name, turns in sides.items():
            cells = [spread([t.seconds * 1000 for t in turns], 0), spread(ratios(sides, name, first, "seconds"))]
            cells += [spread([value(t, "rate") for t in turns], 0), spread(ratios(sides, name, first, "rate"))]
            cells += [spread([value(t, "cpu") * 1000 for t in turns]), spread(ratios(sides, name, first, "cpu"))]
            if name == "optillm":  # works in a process that isn't watched
                cells[4:] = ["", ""]
            yield f"| {group if name == first else ''} | {name} | {' | '.join(cells)} |"
    bounds = [kept(bound, found) for bound in BOUNDS if bound.applies_to(server)]
    yield "\n| bound | | median (range) of the ratio | |\n|---|---|---|---|"
    yield from bounds
    yield ""


async def at(server: Server, options: argparse.Namespace, hub: ItsHub | None) -> Found:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as outer:
        messages = await messages_of_solver(Path(folder) / "scripted")
        proxy = None
        if server.fixed and (python := python_of(options.peers, "optillm")) is not None:
            proxy = outer.enter_context(optillm(python, server))
        async with AsyncExitStack() as stack:
            size = options.size if server.waits or server.real else 16 * options.size
            hub = hub if server.fixed else None
            bench = Bench(server, options.tokens, size, Path(folder), stack, messages, hub, proxy)
            return await measure(bench, options.rounds)


def servers(options: argparse.Namespace) -> Iterator[Any]:
    yield instant(options.tokens, 0)
    yield instant(options.tokens, WAITS)
    if options.start:
        yield real(options.tokens)


def given(url: str) -> Server:
    root = url.rstrip("/")
    name = httpx.get(f"{root}/models").json()["data"][0]["id"]
    return Server(f"the vLLM server of {name}", root, name, real=True, fixed=False)


def header(options: argparse.Namespace) -> str:
    command = " ".join(["benchmarks/models.py", *(a if "/" not in a else "DIR" for a in sys.argv[1:])])
    names = ("aiohttp", "httpx", "langgraph", "orjson")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    peers = ", ".join(peer for name, peer in PEERS.items() if python_of(options.peers, name)) or "none"
    return (
        f"# The model layer, measured\n\n`{command}`; n = {options.rounds} rounds, answers of {options.tokens} tokens; "
        f"Python {platform.python_version()}, {versions}; peers: {peers}; {os.cpu_count()} cores shared by client and "
        "server. Medians over the rounds, and their range; ratios are taken within a round.\n"
    )


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    parts, raw = [header(options)], dict[str, Any]()
    with ExitStack() as stack:
        hub = None
        if (python := python_of(options.peers, "its_hub")) is not None:
            hub = ItsHub(python)
            stack.callback(hub.close)
        for opened in servers(options):
            with opened as server:
                found = asyncio.run(at(server, options, hub))
            parts.append("\n".join(section(server, found)))
            raw[server.title] = {g: {s: [vars_of(t) for t in ts] for s, ts in v.items()} for g, v in found.items()}
        if options.vllm:
            server = given(options.vllm)
            found = asyncio.run(at(server, options, None))
            parts.append("\n".join(section(server, found)))
            raw[server.title] = {g: {s: [vars_of(t) for t in ts] for s, ts in v.items()} for g, v in found.items()}
    return "\n".join(parts), raw


def vars_of(turn: Turn) -> list[float]:
    return [round(turn.seconds, 5), round(turn.cpu, 5), turn.tokens, turn.calls]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--start", action="store_true")
    where.add_argument("--vllm", metavar="URL")
    where.add_argument("--local", action="store_true")
    parser.add_argument("--peers", type=Path, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--size", type=int, default=4, help="calls of a turn for each one in flight")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results/")
    options = parser.parse_args()
    if options.peers:
        install(options.peers.resolve())
        options.peers = options.peers.resolve()
    for name in PEERS:
        if python_of(options.peers, name) is None:
            print(f"NOT MEASURED: {name}, which is not installed; give --peers DIR", file=sys.stderr)
    text, raw = run(options)
    print(text)
    if options.write:
        (RESULTS / "models.md").write_text(text)
        (RESULTS / "models.json").write_text(json.dumps({"seconds, cpu, tokens, calls": raw}) + "\n")


if __name__ == "__main__":
    main()
