"""The catalogue of nodes that a wired graph is made of: each takes what others have found, and finds something itself.

What is found lies on a board: `current` (the solution that would be returned now), `solutions` (several), `critique`,
and facts for conditions: `accepts`, `share` (of the leading answer among the solutions), `agreed`, `tied`, `answered`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from maieutic.agents.critic import Critique
from maieutic.agents.registry import make_agent
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.errors import ConfigError
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import Graph, GraphSettings
from maieutic.graphs.judging import JudgeSettings
from maieutic.graphs.votes import Tally
from maieutic.types import Sampling

Board = dict[str, Any]
Work = Callable[[Board, Context], Awaitable[Board]]
Load = Callable[[str, Mapping[str, Any]], Graph]
"""Finds a graph by its name and compiles it with its settings."""
FACTS = ("accepts", "agreed", "answered", "share", "tied")


class Options(GraphSettings):
    """What every node may be given."""

    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature of who speaks; None leaves it to the run."""

    @property
    def sampling(self) -> Sampling:
        return Sampling(temperature=self.temperature)


class SolveOptions(Options):
    agent: str = "solver"
    """Who solves, by name or `package.module:name`."""


class SampleOptions(Options):
    agent: str = "solver"
    n: int = Field(default=5, ge=1, le=256)
    """Solutions, side by side."""
    temperature: float | None = Field(default=1.0, ge=0)


class CriticiseOptions(Options):
    agent: str = "critic"


class RepairOptions(Options):
    agent: str = "refiner"


class DebateOptions(Options):
    agent: str = "debater"
    temperature: float | None = Field(default=1.0, ge=0)


class JudgeOptions(JudgeSettings, Options):
    agent: str = "judge"


class VoteOptions(GraphSettings):
    pass


class GraphOptions(GraphSettings):
    name: str
    """A graph by its name, dotted path or file."""
    settings: dict[str, Any] = {}
    """Its settings."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of node: what it does, what it must find on the board, what it leaves there, and its options."""

    summary: str
    options: type[GraphSettings]
    make: Callable[[Any, Load], Work]
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()


def _solve(options: SolveOptions, load: Load) -> Work:
    solver = make_agent(options.agent, options.sampling)

    async def work(board: Board, ctx: Context) -> Board:
        return _current(ctx, await solver(ctx))

    return work


def _sample(options: SampleOptions, load: Load) -> Work:
    solver = make_agent(options.agent, options.sampling)

    async def work(board: Board, ctx: Context) -> Board:
        names = [f"{ctx.node}-{board['visit']}-{i}" for i in range(1, options.n + 1)]
        return _counted(ctx, await fan_out(ctx, names, solver))

    return work


def _vote(options: VoteOptions, load: Load) -> Work:
    async def work(board: Board, ctx: Context) -> Board:
        return _counted(ctx, _solutions(board, ctx))

    return work


def _criticise(options: CriticiseOptions, load: Load) -> Work:
    critic = make_agent(options.agent, options.sampling)

    async def work(board: Board, ctx: Context) -> Board:
        critique = await critic(ctx, ctx.recall(board["current"], Solution))
        return {"critique": ctx.keep(critique), "accepts": critique.accepts}

    return work


def _repair(options: RepairOptions, load: Load) -> Work:
    refiner = make_agent(options.agent, options.sampling)

    async def work(board: Board, ctx: Context) -> Board:
        solution, critique = ctx.recall(board["current"], Solution), ctx.recall(board["critique"], Critique)
        repaired = await refiner(ctx, solution, critique)
        return {} if repaired.answer is None else _current(ctx, repaired)

    return work


def _debate(options: DebateOptions, load: Load) -> Work:
    debater = make_agent(options.agent, options.sampling)

    async def work(board: Board, ctx: Context) -> Board:
        positions = _solutions(board, ctx)
        after = list(positions)
        names = {f"{ctx.node}-{board['visit']}-{i}": i for i in range(len(positions))}

        async def answer(branch: Context) -> None:
            i = names[branch.branch.path.rsplit("/", 1)[-1]]
            reply = await debater(branch, positions[i], [p for j, p in enumerate(positions) if j != i])
            if reply.answer is not None:
                after[i] = reply

        await fan_out(ctx, list(names), answer)
        return _counted(ctx, after)

    return work


def _judge(options: JudgeOptions, load: Load) -> Work:
    judge = options.debiased(make_agent(options.agent, options.sampling))

    async def work(board: Board, ctx: Context) -> Board:
        groups = Tally.of(_solutions(board, ctx), ctx.task["answer_type"]).groups
        chosen = await judge(ctx, [group[0] for group in groups]) if len(groups) > 1 else None
        return {} if chosen is None else _current(ctx, chosen)

    return work


def _graph(options: GraphOptions, load: Load) -> Work:
    graph = load(options.name, options.settings)
    if any(graph.cast.values()):
        raise ConfigError(f"A node can't bring models of its own: run {options.name} by itself, or without `models`.")

    async def work(board: Board, ctx: Context) -> Board:
        async with ctx.fork(f"{ctx.node}-{board['visit']}") as branch:
            await graph(branch)
        best = ctx.run.best
        if best is None or best.call_id is None:
            return {}
        return _current(ctx, Solution(best.text, best.answer, best.call_id))

    return work


def _current(ctx: Context, solution: Solution) -> Board:
    ctx.propose(solution.proposal)
    return {"current": ctx.keep(solution), "answered": solution.answer is not None}


def _solutions(board: Board, ctx: Context) -> list[Solution]:
    return [ctx.recall(key, Solution) for key in board["solutions"]]


def _counted(ctx: Context, solutions: list[Solution]) -> Board:
    """The solutions on the board, the leading one as the current one."""
    tally = Tally.of(solutions, ctx.task["answer_type"])
    sizes = [len(group) for group in tally.groups]
    ctx.emit("vote", votes=tally.counts(), samples=len(solutions), of=len(solutions))
    ctx.record("vote", votes=tally.counts(), abstained=tally.abstained, samples=len(solutions), of=len(solutions))
    return {
        **_current(ctx, tally.winner or solutions[0]),
        "solutions": [ctx.keep(solution) for solution in solutions],
        "share": sizes[0] / len(solutions) if sizes else None,
        "agreed": tally.unanimous,
        "tied": len(sizes) > 1 and sizes[0] == sizes[1],
    }


KINDS: Mapping[str, Kind] = {
    "solve": Kind("one solution", SolveOptions, _solve, (), ("current", "answered")),
    "sample": Kind(
        "several solutions side by side, and how they agree",
        SampleOptions,
        _sample,
        (),
        ("solutions", "current", "answered", "share", "agreed", "tied"),
    ),
    "graph": Kind("the answer of a whole graph", GraphOptions, _graph, (), ("current", "answered")),
    "vote": Kind(
        "the leading answer among the solutions",
        VoteOptions,
        _vote,
        ("solutions",),
        ("current", "answered", "share", "agreed", "tied"),
    ),
    "criticise": Kind(
        "the first wrong step of the current solution",
        CriticiseOptions,
        _criticise,
        ("current",),
        ("critique", "accepts"),
    ),
    "repair": Kind(
        "the current solution written anew after the critique",
        RepairOptions,
        _repair,
        ("current", "critique"),
        ("current", "answered"),
    ),
    "debate": Kind(
        "every solution answered again in the light of the others",
        DebateOptions,
        _debate,
        ("solutions",),
        ("solutions", "current", "answered", "share", "agreed", "tied"),
    ),
    "judge": Kind(
        "one of the answers among the solutions, chosen", JudgeOptions, _judge, ("solutions",), ("current", "answered")
    ),
}
