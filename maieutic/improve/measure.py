"""Measuring a version: greedily and with several samples at temperature 1, on every set, each an evaluation's cell."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from maieutic.evals import evaluate, parse_contender
from maieutic.evals.agreement import Agreement, agreement
from maieutic.evals.chance import Chances
from maieutic.evals.core import OnCell, Row
from maieutic.evals.items import Figures, grouped
from maieutic.improve.plan import Plan
from maieutic.improve.steps import Steps
from maieutic.improve.version import Version
from maieutic.settings import Settings
from maieutic.stats import Interval
from maieutic.tasks.guessing import Guessing
from maieutic.tasks.task import AnswerType
from maieutic.types import Sampling

MARK = "measured.json"
GREEDY, SAMPLED = Sampling(temperature=0.0), Sampling(temperature=1.0)


@dataclass(frozen=True, slots=True)
class Measured:
    """A version on one set. `shares` is how many of a question's samples were right, by its id; questions whose answer
    could not be scored have none. `agreement` tells whether the samples' agreement is a confidence; None for one each.
    `guessing` is what guessing gets at the questions, None where that can't be told.
    """

    greedy: Figures
    sampled: Figures
    shares: dict[str, float]
    agreement: Agreement | None = None
    guessing: Guessing | None = None

    @property
    def accuracy(self) -> Interval | None:
        """Pass@1: how often one sample at temperature 1 is right."""
        return self.sampled.accuracy

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Measured":
        found = data.get("agreement")
        agreed = Agreement(Interval(**found["error"]), found["separation"]) if found else None
        guessed = Guessing(**data["guessing"]) if data.get("guessing") else None
        return cls(_figures(data["greedy"]), _figures(data["sampled"]), dict(data["shares"]), agreed, guessed)


async def measure(
    version: Version, plan: Plan, steps: Steps, settings: Settings, concurrency: int, on_cell: OnCell | None
) -> dict[str, Measured]:
    """A version's figures by set; what was measured before is read from its mark."""
    folder = _folder(version.number, steps)

    async def work() -> dict[str, Any]:
        contender = parse_contender(plan.measured_by)
        found: list[Sequence[Row]] = []
        chances = Chances()
        for name, sampling, samples in (("greedy", GREEDY, 1), ("sampled", SAMPLED, plan.k)):
            evaluation = await evaluate(
                plan.sets,
                [replace(contender, label=name, sampling=sampling)],
                [version.model],
                out=folder / name,
                samples=samples,
                seed=plan.seed,
                concurrency=concurrency,
                settings=settings,
                on_cell=on_cell,
                stop=steps.stop,
                chances=chances,
            )
            steps.go_on(evaluation.stopped)
            found.append(evaluation.rows)
        greedy, sampled = ({row.cell.tasks: row for row in rows} for rows in found)
        told = {set_: await asyncio.to_thread(_of, sampled[set_], chances) for set_ in plan.sets}
        return {set_: asdict(Measured(greedy[set_].figures, *told[set_])) for set_ in plan.sets}

    await steps.once(folder / MARK, f"measure version {version.number}", work)
    return measured_before(version.number, steps) or {}


def measured_before(number: int, steps: Steps) -> dict[str, Measured] | None:
    """What was measured of a version; None where it wasn't."""
    data = steps.read(_folder(number, steps) / MARK)
    return None if data is None else {set_: Measured.from_json(one) for set_, one in data.items()}


def _folder(number: int, steps: Steps) -> Path:
    return steps.out / "versions" / f"{number:02}"


def _of(row: Row, chances: Chances) -> tuple[Figures, dict[str, float], Agreement | None, Guessing | None]:
    groups = grouped(attempt for attempt in row.attempts if attempt.outcome is not None)
    shares = {task: sum(a.right for a in group) / len(group) for task, group in groups.items()}
    types: dict[str, AnswerType] = {task.id: task.answer_type for task in chances.tasks(row.cell.tasks).values()}
    return row.figures, shares, agreement(row.attempts, types), row.guessing


def _figures(data: Mapping[str, Any]) -> Figures:
    intervals = {
        name: None if data[name] is None else Interval(**data[name]) for name in ("accuracy", "selective", "pass_at")
    }
    return Figures(**{**data, **intervals})
