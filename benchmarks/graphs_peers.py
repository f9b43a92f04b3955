"""Graphs beside what optillm and its_hub have for the same purpose: calls, tokens, seconds, and failures under errors.

    python benchmarks/graphs_peers.py --peers DIR [--rounds 5] [--questions 12] [--width 4] [--write]

All sides ask one server, which answers each request after 0.3 s with as many tokens as to any other, and counts. It
is asked in three ways: without errors; with 5 % of the requests failing, half of them with HTTP 500 and half with an
answer that is cut off, where every client repeats requests as it does by default; and with 5 % of HTTP 500 where none
repeats any, as with an error that stays. `--peers DIR` makes a venv for each peer in DIR, or takes those that are
there (see `models.py`).

All sides take turns within each round, in an order that is shuffled anew, with so many questions at once. A question
has failed where no answer came back: an exception, an HTTP error, an empty text, or one that says "Error:". Peers are
run as they are shipped, with their default sizes; ours are set to sizes like theirs. What is compared is what a
strategy costs and bears, not how good its answers are: the methods of one group are alike in purpose and not the
same.
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
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import aiohttp
from graphs_peers_server import MODEL, Counted, Remote, Told, served
from models_servers import PEERS, ItsHub, Server, install, optillm, python_of

from maieutic.runner import open_runner
from maieutic.stats import wilson
from maieutic.tasks.task import Task
from maieutic.types import Message

RESULTS = Path(__file__).parent / "results"
WAITS, TOKENS, SHARE = 0.3, 64, 0.05
QUESTION = "A shop sells pens at 4 for 3 coins. What do 12 pens cost, in coins?"
MESSAGES: list[Message] = [
    {"role": "system", "content": "Solve the problem. End with a line that holds only the result:\nAnswer: <result>"},
    {"role": "user", "content": QUESTION},
]
NO_ERRORS, REPEATED, FINAL = "no errors", "errors, repeated", "errors, not repeated"
WAYS = {
    NO_ERRORS: Told(),
    REPEATED: Told(SHARE),
    FINAL: Told(SHARE, cut=False, repeat=False),
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of some questions: the seconds of each, why some failed, and what the server counted meanwhile."""

    seconds: list[float]
    failures: list[str]
    counted: Counted = field(default_factory=Counted)


Ask = Callable[[str], Awaitable[Turn]]  # by the way of asking


@dataclass(frozen=True, slots=True)
class Side:
    group: str
    name: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Job:
    """How many questions a turn asks, and how many of them at once."""

    questions: int
    width: int

    async def each(self, one: Callable[[], Awaitable[str]]) -> Turn:
        """Ask them; `one` returns the answer's text, or raises."""
        turn, left = Turn([], []), iter(range(self.questions))

        async def work() -> None:
            for _ in left:
                started = time.perf_counter()
                try:
                    text = await one()
                    if not text.strip() or text.startswith("Error:"):
                        turn.failures.append(text[:200] or "an empty answer")
                except Exception as error:  # they are counted, whatever they are
                    turn.failures.append(f"{type(error).__name__}: {error}"[:200])
                turn.seconds.append(time.perf_counter() - started)

        await asyncio.gather(*(work() for _ in range(self.width)))
        return turn


OURS: Mapping[str, list[tuple[str, dict[str, Any]]]] = {
    "self-consistency of 5": [
        ("self_consistency", {"samples": 5, "schedule": "all", "early_stop": False}),
        ("self_consistency", {"samples": 5}),
    ],
    "best of 3, rated": [("self_consistency", {"samples": 3, "weights": "confidence"})],
    "candidates, critique, synthesis": [("debate", {"debaters": 3, "rounds": 1})],
    "tree search": [
        (
            "tree",
            {"steps": 1, "evaluations": 3, "samples": 3, "judges": 1, "depth": 2, "debate": False, "reflect": False},
        )
    ],
    "plan, solve, repair": [("planner", {"trajectory": "decompose/cot/verify"})],
}
OPTILLM = {
    "self-consistency of 5": "self_consistency",
    "best of 3, rated": "bon",
    "candidates, critique, synthesis": "moa",
    "tree search": "mcts",
    "plan, solve, repair": "plansearch",
}
ITS_HUB = {
    "self-consistency of 5": [("self-consistency", 5), ("adaptive self-consistency", 5)],
    "best of 3, rated": [("best of n", 3)],
}


@dataclass(frozen=True)
class Bench:
    """All sides at one server."""

    remote: Remote
    job: Job
    folder: Path
    stack: AsyncExitStack
    proxy: str | None
    hub: ItsHub | None

    async def sides(self) -> list[Side]:
        found = []
        for group, graphs in OURS.items():
            for graph, settings in graphs:
                found.append(await self._ours(group, graph, settings))
            if self.proxy is not None:
                found.append(self._optillm(group, self.proxy, OPTILLM[group]))
            if self.hub is not None:
                for algorithm, budget in ITS_HUB.get(group, []):
                    found.append(self._its_hub(group, self.hub, algorithm, budget))
        return found

    async def _ours(self, group: str, graph: str, settings: dict[str, Any]) -> Side:
        runners = {}
        for way, told in WAYS.items():
            folder = self.folder / f"{graph}-{len(settings)}-{way.replace(' ', '-')}"
            opened = open_runner(graph, model=self._profile(told), traces=folder, graph_settings=settings)
            runners[way] = await self.stack.enter_async_context(opened)

        async def ask(way: str) -> Turn:
            async def one() -> str:
                return (await runners[way].run(Task(question=QUESTION))).text

            return await self.job.each(one)

        said = ", ".join(f"{key}={value}" for key, value in settings.items())
        return Side(group, f"maieutic {graph}: {said}", ask)

    def _profile(self, told: Told) -> str:
        """A profile of the server as a file; with its own retries, or none where errors stay."""
        path = self.folder / f"profile-{told.repeat}.yaml"
        retries = "" if told.repeat else "retries: 0\n"
        limits = f"sampling: {{temperature: 1.0, max_tokens: {2 * TOKENS}}}\n"
        path.write_text(f"kind: vllm\nmodel: {MODEL}\nbase_url: {self.remote.url}\n{retries}{limits}")
        return str(path)

    def _optillm(self, group: str, proxy: str, approach: str) -> Side:
        body = {"model": f"{approach}-{MODEL}", "messages": MESSAGES, "max_tokens": 2 * TOKENS}

        async def one() -> str:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as session:
                async with session.post(f"{proxy}/chat/completions", json=body) as reply:
                    if reply.status != 200:
                        raise RuntimeError(f"HTTP {reply.status}: {await reply.text()}")
                    return str((await reply.json())["choices"][0]["message"]["content"] or "")

        async def ask(way: str) -> Turn:  # the server tells its client whether to repeat
            return await self.job.each(one)

        return Side(group, f"optillm {approach}", ask)

    def _its_hub(self, group: str, hub: ItsHub, algorithm: str, budget: int) -> Side:
        job = {"url": self.remote.url, "model": MODEL, "messages": MESSAGES, "algorithm": algorithm, "budget": budget}
        job |= {**asdict(self.job), "max_tokens": 2 * TOKENS}

        async def ask(way: str) -> Turn:
            tries = {"tries": 3 if WAYS[way].repeat else 1}  # 3 is its default
            return Turn(**await asyncio.to_thread(hub.run, {**job, **tries}))

        return Side(group, f"its_hub {algorithm}", ask)


Found = dict[str, dict[str, list[Turn]]]  # by side and way


async def measure(bench: Bench, rounds: int) -> tuple[list[Side], Found]:
    sides = await bench.sides()
    bench.remote.tell(Told())
    for side in sides:  # connections, caches, imports
        await side.ask(NO_ERRORS)
    found: Found = {side.name: {way: [] for way in WAYS} for side in sides}
    for number in range(rounds):
        for way, told in WAYS.items():
            for side in random.sample(sides, len(sides)):
                bench.remote.tell(Told(told.share, told.cut, told.repeat, seed=number + 1))
                turn = await side.ask(way)
                found[side.name][way].append(Turn(turn.seconds, turn.failures, bench.remote.counted()))
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return sides, found


def a_question(turns: Sequence[Turn], what: str) -> float:
    """The mean of a counted figure over all questions."""
    return float(sum(getattr(t.counted, what) for t in turns) / sum(len(t.seconds) for t in turns))


def seconds(turns: Sequence[Turn]) -> str:
    medians = [statistics.median(turn.seconds) for turn in turns]
    return f"{statistics.median(medians):.2f} ({min(medians):.2f}-{max(medians):.2f})"


def failed(turns: Sequence[Turn]) -> str:
    n, k = sum(len(turn.seconds) for turn in turns), sum(len(turn.failures) for turn in turns)
    interval = wilson(k, n)
    return f"{k} of {n} ({100 * interval.low:.0f}-{100 * interval.high:.0f} %)" if k else f"0 of {n}"


def row(side: Side, ways: dict[str, list[Turn]], first: bool) -> str:
    plain, repeated, final = (ways[way] for way in (NO_ERRORS, REPEATED, FINAL))
    cells = [f"{a_question(plain, what):.1f}" for what in ("requests", "choices")]
    cells += [f"{a_question(plain, 'tokens'):.0f}", seconds(plain)]
    cells += [seconds(repeated), f"{a_question(repeated, 'requests'):.1f}", failed(repeated), failed(final)]
    return f"| {side.group if first else ''} | {side.name} | {' | '.join(cells)} |"


def report(sides: Sequence[Side], found: Found, options: argparse.Namespace) -> Iterator[str]:
    command = " ".join(["benchmarks/graphs_peers.py", *(a if "/" not in a else "DIR" for a in sys.argv[1:])])
    peers = ", ".join(peer for name, peer in PEERS.items() if python_of(options.peers, name)) or "none"
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    asked = options.rounds * options.questions
    yield "# Graphs beside their peers\n"
    yield (
        f"`{command}`; n = {options.rounds} rounds of {options.questions} questions, {options.width} at once; a server "
        f"that answers after {WAITS:g} s with {TOKENS} tokens; Python {platform.python_version()}, langgraph "
        f"{metadata.version('langgraph')}; peers: {peers}. {os.cpu_count()} cores, one of them busy with other work "
        f"(load {load} in the end): client, server and proxy share the other one.\n"
    )
    yield (
        "Requests, choices (a request may ask for several) and completion tokens are means a question, without errors. "
        "Seconds are medians a question, over the rounds, with the range of the rounds' medians. Then 5 % of the "
        "requests fail: half with HTTP 500, half with an answer that is cut, and each client repeats requests as it "
        f"does by default; at last 5 % fail with HTTP 500 and nobody repeats any. Of {asked} questions each, those "
        "that got no answer are counted, with Wilson's interval of 95 %.\n"
    )
    heads = ["", "side", "requests", "choices", "tokens", "s", "s, with errors", "requests", "failed"]
    yield f"| {' | '.join([*heads, 'failed, not repeated'])} |"
    yield "|---" * (len(heads) + 1) + "|"
    groups: set[str] = set()
    for side in sides:
        yield row(side, found[side.name], side.group not in groups)
        groups.add(side.group)
    yield "\nWhat failures said, each once:\n"
    for side in sides:
        said = {text for turns in found[side.name].values() for turn in turns for text in turn.failures}
        if said:
            others = f" and {len(said) - 1} others" if len(said) > 1 else ""
            yield f"- {side.name}: {min(said, key=len)[:160]!r}{others}"


async def run(options: argparse.Namespace, remote: Remote, proxy: str | None, hub: ItsHub | None) -> str:
    job = Job(options.questions, options.width)
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            bench = Bench(remote, job, Path(folder), stack, proxy, hub)
            sides, found = await measure(bench, options.rounds)
    if options.write:
        raw = {
            name: {way: [asdict(turn) for turn in turns] for way, turns in ways.items()} for name, ways in found.items()
        }
        (RESULTS / "graphs_peers.json").write_text(json.dumps(raw) + "\n")
    return "\n".join(report(sides, found, options)) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=12, help="in each turn of a side")
    parser.add_argument("--width", type=int, default=4, help="questions at once")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results/")
    options = parser.parse_args()
    if options.peers:
        options.peers = options.peers.resolve()
        install(options.peers)
    for name in PEERS:
        if python_of(options.peers, name) is None:
            print(f"NOT MEASURED: {name}, which is not installed; give --peers DIR", file=sys.stderr)
    with ExitStack() as stack:
        remote = stack.enter_context(served(TOKENS, WAITS))
        proxy, hub = None, None
        if (python := python_of(options.peers, "optillm")) is not None:
            server = Server("the server", remote.url, MODEL, real=False, fixed=True, waits=WAITS)
            proxy = stack.enter_context(optillm(python, server))
        if (python := python_of(options.peers, "its_hub")) is not None:
            hub = ItsHub(python, "graphs_peers_its_hub.py")
            stack.callback(hub.close)
        text = asyncio.run(run(options, remote, proxy, hub))
    print(text)
    if options.write:
        (RESULTS / "graphs_peers.md").write_text(text)


if __name__ == "__main__":
    main()
