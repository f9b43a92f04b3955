"""Whether graphs keep a model waiting: a run's wall-clock over its critical path, the longest chain of dependent calls.

    python benchmarks/critical_path.py [--rounds 7] [--latency 0.05 0.3] [--graph NAME] [--control] [--write]

Every shipped graph runs with a scripted model and scripted tools, each call of which takes the same time. The chain
is read from the trace: a call waits for the calls that it names as its parents, for those before it in its own branch
or in one that holds it, for those of the graph's other nodes, and, where a decision was recorded between (a gate, a
vote, a node of a tree), for what was known then. What is left out is what a graph must not do: branches one after
another, and long work of its own between calls. The chain by parents alone says how short a run could be if nothing
but those were needed; where it is shorter, the pairs of roles are named that follow each other for another reason.

A run is timed from the question to the result, its trace on, after a first run that is not timed.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from critical_path_cases import CASES, CONTROL, TASK, Case, model, tools

from maieutic.graphs.registry import SHIPPED, load_graph
from maieutic.runner import Runner, open_runner
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord

RESULTS = Path(__file__).parent / "results"
BOUND = 1.15
DECISIONS = ("gate", "vote", "tree", "verdict")
SEED = 3


@dataclass(frozen=True, slots=True)
class Step:
    """A call, a tool's call or a decision: where it was made, from when to when, and the steps that it names."""

    id: str
    what: str
    branch: str
    node: str
    begun: float
    ended: float
    takes: float
    named: frozenset[str] = frozenset()


@dataclass(slots=True)
class Chain:
    """For each step the earliest end there could be, and the step it waited for."""

    ends: dict[str, float] = field(default_factory=dict)
    after: dict[str, Step | None] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return max(self.ends.values(), default=0.0)

    def peak(self, steps: Iterable[Step]) -> int:
        """The most steps that would be under way at once if each began as early as it could."""
        marks = [mark for s in steps if s.takes for mark in ((self.ends[s.id] - s.takes, 1), (self.ends[s.id], -1))]
        marks = sorted((round(at, 6), change) for at, change in marks)
        height = most = 0
        for _, change in marks:
            height += change
            most = max(most, height)
        return most


def steps_of(run: RunRecord, latency: float) -> list[Step]:
    """What took time in a run, and what was decided, in the order in which it ended."""
    calls = {call.call_id: call for call in run.calls}
    used: dict[str, set[str]] = {}
    steps = []
    for number, event in enumerate(run.events):
        fields = event.fields
        parent, branch = str(fields.get("call_id") or ""), str(fields.get("branch") or "")
        if event.kind == "tool_result" and fields["name"] != "browse":  # which is made of calls itself
            before = [call for call in run.calls if call.branch == branch and call.t1 <= event.time]
            node = calls[parent].node if parent in calls else before[-1].node if before else ""
            begun = event.time - float(fields["seconds"])
            name = f"t{number}"
            used.setdefault(parent, set()).add(name)
            steps.append(Step(name, str(fields["name"]), branch, node, begun, event.time, latency, frozenset({parent})))
        elif event.kind in DECISIONS:
            steps.append(Step(f"d{number}", event.kind, branch, str(fields["node"]), event.time, event.time, 0.0))
    for call in run.calls:
        parents = {parent.call_id for parent in call.parents}
        named = frozenset(parents.union(*(used.get(parent, set()) for parent in parents)))
        steps.append(Step(call.call_id, call.role, call.branch, call.node, call.t0, call.t1, latency, named))
    return sorted(steps, key=lambda step: (step.ended, step.takes))


def waits(later: Step, earlier: Step) -> bool:
    """Whether the later step had to wait for the earlier one, as the trace tells it."""
    if earlier.id in later.named:
        return True
    a, b = later.branch, earlier.branch
    within = a == b or not a or not b or a.startswith(f"{b}/") or b.startswith(f"{a}/")
    return within or bool(later.node and earlier.node and later.node != earlier.node)


def chain_of(steps: Sequence[Step], by_parents: bool = False) -> Chain:
    """The chain of what waits for what; `by_parents` by nothing but the parents that calls name."""
    chain = Chain()
    for i, step in enumerate(steps):
        earlier = [one for one in steps[:i] if one.ended <= step.begun + 1e-3 and one.ended < step.ended + 1e-9]
        found = [one for one in earlier if (one.id in step.named if by_parents else waits(step, one))]
        last = max(found, key=lambda one: chain.ends[one.id], default=None)
        chain.after[step.id] = last
        chain.ends[step.id] = step.takes + (chain.ends[last.id] if last else 0.0)
    return chain


def unnamed(steps: Sequence[Step], chain: Chain) -> Counter[str]:
    """The pairs on the longest chain of which the later one doesn't name the earlier one."""
    found: Counter[str] = Counter()
    step: Step | None = max(steps, key=lambda one: chain.ends[one.id])
    while step is not None:
        before = chain.after[step.id]
        while before is not None and not before.takes:
            before = chain.after[before.id]
        if before is not None and before.id not in step.named and step.takes:
            found[f"{step.what} after {before.what}"] += 1
        step = before
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """One case at one latency: each round's ratio, the chains in calls, and how many calls were under way at once."""

    case: Case
    ratios: list[float]
    cpu: list[float]
    calls: int
    tools: int
    path: int
    named: int
    peak: int
    could: int
    pairs: Counter[str]

    @property
    def kept(self) -> bool:
        return statistics.median(self.ratios) <= BOUND


async def measure(case: Case, rounds: int, latency: float, folder: Path) -> Measured:
    main, others = model(latency), {role: model(latency, role) for role in case.models}
    known = tools(latency)
    names = dict.fromkeys([*(need.split("|")[0] for need in load_graph(case.graph).needs), *case.tools])
    opened = open_runner(
        case.graph,
        model=main,
        models=others,
        traces=folder,
        tools=[known[name] for name in names],
        graph_settings=case.settings,
    )
    ratios, cpu = [], []
    async with opened as runner:
        _, _, run = await _run(runner)
        steps = steps_of(run, latency)
        chain = chain_of(steps)
        for _ in range(rounds):
            took, used, run = await _run(runner)
            cpu.append(used)
            steps = steps_of(run, latency)
            chain = chain_of(steps)
            ratios.append(took / chain.seconds)
    named = chain_of(steps, by_parents=True)
    calls = [step for step in steps if step.id.startswith("c")]
    return Measured(
        case,
        ratios,
        cpu,
        len(calls),
        sum(step.id.startswith("t") for step in steps),
        round(chain.seconds / latency),
        round(named.seconds / latency),
        main.peak,
        chain.peak(calls),
        unnamed(steps, chain) if named.seconds < chain.seconds else Counter(),
    )


async def _run(runner: Runner) -> tuple[float, float, RunRecord]:
    """Seconds of wall-clock and of CPU, and what was recorded."""
    started, cpu = time.perf_counter(), time.process_time()
    result = await runner.run(TASK, seed=SEED)
    took, used = time.perf_counter() - started, time.process_time() - cpu
    if result.partial:
        raise SystemExit(f"A run did not end by itself: {result.reason}")
    with TraceReader(result.trace) as reader:
        return took, used, reader.run(result.run_id)


def spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def row(found: Sequence[Measured]) -> str:
    """A case at every latency; what is a matter of the graph and not of the clock is that of the longest one."""
    last = found[-1]
    ratios = [spread(one.ratios) if one.kept or one.case.waits else f"**{spread(one.ratios)}**" for one in found]
    pairs = [f"{pair}{f' ({times} times)' if times > 1 else ''}" for pair, times in last.pairs.most_common()]
    remarks = ", ".join([*([last.case.waits] if last.case.waits else []), *pairs])
    cpu = statistics.median(last.cpu) / (last.calls + last.tools) * 1000
    cells = [last.case.name, f"{last.calls} + {last.tools}", str(last.path), *ratios, f"{cpu:.1f}"]
    return f"| {' | '.join([*cells, f'{last.peak} of {last.could}', str(last.named), remarks])} |"


def report(all_found: Sequence[Sequence[Measured]], rounds: int, latencies: Sequence[float]) -> Iterator[str]:
    command = " ".join(["benchmarks/critical_path.py", *sys.argv[1:]])
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    held = [found for found in all_found if not found[0].case.waits]
    kept = [sum(found[i].kept for found in held) for i in range(len(latencies))]
    named = [f"{latency * 1000:g} ms" for latency in latencies]
    counts = " and ".join(f"{count} of {len(held)} at {name}" for count, name in zip(kept, named, strict=True))
    yield "# Runs over their critical path\n"
    yield (
        f"`{command}`; n = {rounds} runs of each, median and range; Python {platform.python_version()}, langgraph "
        f"{metadata.version('langgraph')}; {os.cpu_count()} cores that other work shared (load {load} in the end), of "
        "which a run's one thread had one at best.\n"
    )
    yield (
        "`path` is the longest chain of calls that depend on each other, in calls of a model or a tool. Then comes "
        f"wall-clock by the path's seconds, where a call takes {' or '.join(named)}; the bound of {BOUND} is kept by "
        f"{counts}, and a median that misses it is **bold**. `CPU` is the milliseconds of CPU a call, the scripted "
        "model's own among them: on a core of its own, no run would be longer than its path and its CPU together. "
        "`peak` is how many model calls were under way at once, of how many there would be if each began as early as "
        "it could. `by parents` is the chain of what calls name as their parents alone; the pairs are those on the "
        "path that follow each other for another reason. What draws in waves to draw less says so, and is not held to "
        "the bound.\n"
    )
    yield f"| graph | calls + tools | path | {' | '.join(named)} | CPU | peak | by parents | pairs without a parent |"
    yield f"|---|---|---{'|---' * len(latencies)}|---|---|---|---|"
    yield from (row(found) for found in all_found)


async def run(cases: Sequence[Case], rounds: int, latencies: Sequence[float]) -> list[list[Measured]]:
    all_found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases):
            folders = [Path(folder) / f"{number}-{latency}" for latency in latencies]
            pairs = zip(latencies, folders, strict=True)
            all_found.append([await measure(case, rounds, latency, traces) for latency, traces in pairs])
            print(row(all_found[-1]), file=sys.stderr, flush=True)
    return all_found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.05, 0.3], metavar="S", help="of a call")
    parser.add_argument("--graph", action="append", choices=SHIPPED, help="this one alone; may be given again")
    parser.add_argument("--control", action="store_true", help="a graph that has to miss the bound, alone")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results/")
    options = parser.parse_args()
    for name in set(SHIPPED) - {case.graph for case in CASES}:
        print(f"NOT MEASURED: {name}, which has no case in critical_path_cases.py", file=sys.stderr)
    if options.write and (options.graph or options.control):
        parser.error("--write keeps the table of all graphs: leave out --graph and --control")
    cases = [case for case in CASES if not options.graph or case.graph in options.graph]
    if options.control:
        cases = [CONTROL]
    all_found = asyncio.run(run(cases, options.rounds, options.latency))
    text = "\n".join(report(all_found, options.rounds, options.latency)) + "\n"
    print(text)
    if options.write:
        (RESULTS / "critical_path.md").write_text(text)


if __name__ == "__main__":
    main()
