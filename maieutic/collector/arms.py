"""Search over the arms of a graph: which of its settings is right most often on a question, and the cheapest of those.

The offline search of DOTS (Yue et al. 2024, arXiv 2410.03864): in each round the arms that are left are tried several
times, ranked by how often they were right, and pruned; the later the round, the more samples. Of arms that are right
equally often the cheaper one wins. That half of the arms stay each round is successive halving (Karnin, Koren and
Somekh 2013, "Almost Optimal Exploration in Multi-Armed Bandits").
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maieutic.agents.speech import side_by_side
from maieutic.errors import ModelError, UserError
from maieutic.graphs.registry import find_module, load_graph
from maieutic.llm.sampling import derived_seed
from maieutic.memory.journal import Journal
from maieutic.memory.outcomes import Outcomes, Trial
from maieutic.runner import Runner
from maieutic.tasks.task import Task
from maieutic.types import Outcome


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to answer: a graph with settings of its own."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """`rounds` at most; `samples` of each arm in the first one and twice as many in each that follows; `keep` is the
    share of arms that stay after a round."""

    rounds: int = 3
    samples: int = 1
    keep: float = 0.5


@dataclass(slots=True)
class Tried:
    """What came of one arm on one question; `missing` attempts are those that nothing could judge."""

    trials: list[Trial] = field(default_factory=list)

    @property
    def judged(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.correct is not None]

    @property
    def rate(self) -> float | None:
        """None where nothing was judged."""
        return sum(trial.correct is True for trial in self.judged) / len(self.judged) if self.judged else None

    @property
    def tokens(self) -> float:
        return sum(trial.tokens for trial in self.trials) / len(self.trials) if self.trials else math.inf

    def rank(self) -> tuple[float, float]:
        """Sorts the best first: what nothing judged stands behind what was wrong."""
        rate = self.rate
        return (1.0 if rate is None else -rate, self.tokens)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search found for one question. `winner` is None where no arm was ever right."""

    task: str
    question: str
    solver: str
    arms: dict[str, dict[str, Any]]
    winner: str | None
    why: str

    def as_entry(self) -> dict[str, Any]:
        """The line of a file of plans."""
        return {"kind": "plan", **{name: getattr(self, name) for name in self.__slots__}}


def arms_of(graph: str, names: Sequence[str] = ()) -> list[Arm]:
    """The arms that a graph's module names in `ARMS`, all or those of `names`. Raises UserError where it has none."""
    known: Mapping[str, Mapping[str, Any]] | None = getattr(find_module(graph), "ARMS", None)
    if known is None:
        raise UserError(f"The graph {graph} has no arms: give one that names them in ARMS, such as planner.")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"The graph {graph} has no arm {unknown[0]!r}. Its arms: {', '.join(known)}.")
    return [Arm(name, settings) for name, settings in known.items() if not names or name in names]


async def search_arms(
    runner: Runner,
    graph: str,
    arms: Sequence[Arm],
    tasks: Sequence[Task],
    outcomes: Outcomes,
    plans: Journal,
    *,
    rules: Rules = Rules(),
    seed: int = 0,
    concurrency: int = 8,
    on_plan: Callable[[Plan], None] | None = None,
) -> list[Plan]:
    """Search `arms` on every task; each plan is kept in `plans`, its trials in `outcomes`, as soon as it is found.

    Questions that `plans` holds for the same model are not searched again, so that a search that was cut short goes on.
    `runner` says which model, tools and budget. Raises UserError for a task that nothing can check.
    """
    for task in tasks:
        if not task.checkable:
            raise UserError(f"Task {task.id!r} has neither a gold answer nor a verifier: no arm can be judged on it.")
    runners = {arm.name: _runner_of(runner, graph, arm) for arm in arms}
    solver = (runner.models.get("solver") or runner.models[""]).model.name
    done = {(e.get("task"), e.get("solver")) for e in await asyncio.to_thread(plans.entries) if e.get("kind") == "plan"}
    gate, found = asyncio.Semaphore(concurrency), []
    for task in tasks:
        if (task.id, solver) in done:
            continue
        tried = await _searched(task, runners, solver, rules, seed, gate)
        plan = _plan(task, solver, tried)
        await asyncio.to_thread(outcomes.add, [trial for one in tried.values() for trial in one.trials])
        await asyncio.to_thread(plans.append, [plan.as_entry()])
        found.append(plan)
        if on_plan is not None:
            on_plan(plan)
    return found


def _runner_of(runner: Runner, graph: str, arm: Arm) -> Runner:
    compiled = load_graph(graph, {**runner.graph.settings.model_dump(exclude_unset=True), **arm.settings})
    return replace(runner, graph=compiled, asked={**runner.asked, "graph": graph})


async def _searched(
    task: Task, runners: Mapping[str, Runner], solver: str, rules: Rules, seed: int, gate: asyncio.Semaphore
) -> dict[str, Tried]:
    tried = {name: Tried() for name in runners}
    alive = list(runners)
    for round_ in range(rules.rounds):
        wanted = [(name, i) for name in alive for i in range(rules.samples * 2**round_)]
        first = {name: len(tried[name].trials) for name in alive}
        made = await side_by_side(
            *(_trial(task, runners[name], name, solver, seed, first[name] + i, gate) for name, i in wanted)
        )
        for (name, _), one in zip(wanted, made, strict=True):
            tried[name].trials.append(one)
        alive.sort(key=lambda name: tried[name].rank())
        alive = alive[: max(1, math.ceil(len(alive) * rules.keep))]
        if len(alive) == 1:
            break
    order = [*alive, *(name for name in tried if name not in alive)]
    return {name: tried[name] for name in order}


async def _trial(
    task: Task, runner: Runner, arm: str, solver: str, seed: int, sample: int, gate: asyncio.Semaphore
) -> Trial:
    """One attempt. One that failed, or that nothing could judge, is a trial without a verdict."""
    own = derived_seed(seed, f"{task.id}/{arm}", sample)
    async with gate:
        try:
            result = await runner.run(task, seed=own, sample=sample)
        except ModelError:
            return Trial(task.question, arm, None, 0, solver)
    judged = result.outcome is not None and result.outcome is not Outcome.TOOL_ERROR
    correct = result.outcome is Outcome.CORRECT if judged else None
    return Trial(task.question, arm, correct, result.usage.tokens, solver, result.run_id)


def _plan(task: Task, solver: str, tried: Mapping[str, Tried]) -> Plan:
    """`tried` has the arms that were left at the end first, the best of them first of all."""
    arms = {
        name: {
            "trials": len(one.trials),
            "correct": sum(trial.correct is True for trial in one.trials),
            "missing": len(one.trials) - len(one.judged),
            "tokens": round(one.tokens, 1),
            "runs": [trial.run_id for trial in one.trials if trial.run_id],
        }
        for name, one in tried.items()
    }
    name, one = next(iter(tried.items()))
    if not one.rate:
        return Plan(task.id, task.question, solver, arms, None, "No arm that was left was right once.")
    rivals = [key for key, other in tried.items() if key != name and other.rate == one.rate]
    right = f"right in {arms[name]['correct']} of {len(one.judged)} judged trials"
    why = f"{right}, at {one.tokens:.0f} tokens a trial"
    if rivals:
        why += f"; as often as {', '.join(rivals)}, which cost more or were tried less"
    return Plan(task.id, task.question, solver, arms, name, why[0].upper() + why[1:] + ".")
