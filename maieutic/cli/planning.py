"""The work of `maieutic plan`."""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.cli.codes import WRONG_REQUEST
from maieutic.collector.arms import Plan, Rules, arms_of, search_arms
from maieutic.errors import UserError
from maieutic.memory.journal import Journal
from maieutic.memory.outcomes import Outcomes
from maieutic.settings import load_settings
from maieutic.tasks.source import load_tasks
from maieutic.terminal.options import RunOptions, open_with

PLANS, OUTCOMES = "plans.jsonl", "outcomes.jsonl"
DEFAULT = "planner"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be searched."""

    tasks: str
    options: RunOptions
    out: Path
    arms: tuple[str, ...]
    rounds: int
    samples: int
    concurrency: int
    limit: int | None


def search(wanted: Wanted, as_json: bool, quiet: bool) -> int:
    """Search, print, and return the exit code. Raises UserError where something can't be done as asked."""
    for name in ("rounds", "samples", "concurrency", "limit"):
        value = getattr(wanted, name)
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}: give a number from 1.")
    tasks, problems = load_tasks(wanted.tasks)
    for problem in problems:
        print(f"maieutic: {problem}", file=sys.stderr)
    found = asyncio.run(_search(wanted, tasks[: wanted.limit], quiet))
    print(json.dumps(as_fields(wanted, found), ensure_ascii=False) if as_json else in_words(wanted, found))
    return WRONG_REQUEST if problems else 0


async def _search(wanted: Wanted, tasks: list[Any], quiet: bool) -> list[Plan]:
    graph = wanted.options.graph or DEFAULT
    arms = arms_of(graph, wanted.arms)
    wanted.out.mkdir(parents=True, exist_ok=True)

    def show(plan: Plan) -> None:
        if not quiet:
            print(f"{plan.winner or 'none'}: {plan.question[:80]}", file=sys.stderr)

    async with open_with(wanted.options, load_settings()) as runner:
        return await search_arms(
            runner,
            graph,
            arms,
            tasks,
            Outcomes(wanted.out / OUTCOMES),
            Journal(wanted.out / PLANS),
            rules=Rules(wanted.rounds, wanted.samples),
            seed=wanted.options.seed or 0,
            concurrency=wanted.concurrency,
            on_plan=show,
        )


def as_fields(wanted: Wanted, found: list[Plan]) -> dict[str, Any]:
    """The object that `--json` prints."""
    winners = Counter(plan.winner or "none" for plan in found)
    return {
        "questions": len(found),
        "winners": dict(winners.most_common()),
        "plans": str(wanted.out / PLANS),
        "outcomes": str(wanted.out / OUTCOMES),
    }


def in_words(wanted: Wanted, found: list[Plan]) -> str:
    """A few lines: which arms won how often, where it is, and what to do with it."""
    winners = Counter(plan.winner or "none" for plan in found)
    lines = [f"{len(found)} questions searched", *(f"  {n} × {name}" for name, n in winners.most_common())]
    lines += [f"plans:    {wanted.out / PLANS}", f"outcomes: {wanted.out / OUTCOMES}"]
    graph = wanted.options.graph or DEFAULT
    mode = " --set mode=outcomes" if graph == "strategist" else ""
    ask = f"maieutic ask QUESTION --graph {graph}{mode} --set outcomes={wanted.out / OUTCOMES}"
    return "\n".join([*lines, f"next:     {ask}"])
