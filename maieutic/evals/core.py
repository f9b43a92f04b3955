"""The work of an evaluation: every cell is a collection, so that a second start goes on; then its figures."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from maieutic.collector import collect
from maieutic.collector.report import Progress
from maieutic.evals.chance import Chances
from maieutic.evals.equal import Beside, beside
from maieutic.evals.items import Attempt, Figures, attempts_in, figures
from maieutic.evals.plan import Cell, Contender, cross
from maieutic.serving.files import write_whole
from maieutic.settings import Settings
from maieutic.tasks.guessing import Guessing
from maieutic.tasks.task import AnswerType
from maieutic.types import Sampling

BANK = Contender("plain samples", "direct", sampling=Sampling(temperature=1.0))
OnCell = Callable[[Cell, Progress], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One cell with its figures and, where plain samples were asked for, what they make of as many tokens. `guessing`
    is what guessing gets at the questions that were scored, None where that can't be told."""

    cell: Cell
    attempts: tuple[Attempt, ...]
    figures: Figures
    beside: Beside | None
    guessing: Guessing | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out. `stopped` says in one sentence why it ended early, and is None where every cell is whole."""

    rows: tuple[Row, ...]
    out: Path
    stopped: str | None


async def evaluate(
    tasks: Sequence[str],
    contenders: Sequence[Contender],
    models: Sequence[str],
    *,
    out: Path,
    roles: Mapping[str, str] | None = None,
    samples: int = 1,
    bank: int = 0,
    seed: int = 0,
    limit: int | None = None,
    concurrency: int = 16,
    settings: Settings | None = None,
    on_cell: OnCell | None = None,
    stop: asyncio.Event | None = None,
    chances: Chances | None = None,
) -> Evaluation:
    """Run every contender with every model on every task set, and record it all under `out`, a folder a cell.

    `roles` gives single roles a model of their own, the same beside every model. `samples` is attempts a question;
    `bank` is how many plain samples a question are drawn, once a model and task set, so that every contender can be
    compared with a vote over as many as its tokens would have bought. `chances` of an earlier evaluation spare loading
    its task sets again. Starting again with the same `out` goes on. `out` then holds cells/, items.jsonl (a line an
    attempt).

    Raises UserError for what can't be done as written; a run's failure is counted by its collection.
    """
    cells = cross(tasks, models, contenders)
    banks = cross(tasks, models, [BANK]) if bank else []
    stopped = None
    for cell in [*cells, *banks]:
        report = await collect(
            cell.tasks,
            out=out / "cells" / cell.folder,
            graph=cell.contender.graph,
            model=cell.model,
            models=roles,
            graph_settings=cell.contender.settings,
            tools=cell.contender.tools,
            sampling=cell.contender.sampling,
            samples=bank if cell.contender is BANK else samples,
            seed=seed,
            limit=limit,
            concurrency=concurrency,
            settings=settings,
            stop=stop,
            on_progress=None if on_cell is None else partial(on_cell, cell),
        )
        stopped = report.stopped or stopped
        if stop is not None and stop.is_set():
            break
    chances = Chances() if chances is None else chances
    rows = [await asyncio.to_thread(_row, cell, out, banks, limit, chances) for cell in cells if _begun(cell, out)]
    _write_items(out / "items.jsonl", rows)
    return Evaluation(tuple(rows), out, stopped)


def _begun(cell: Cell, out: Path) -> bool:
    return (out / "cells" / cell.folder / "results.jsonl").exists()


def _row(cell: Cell, out: Path, banks: Sequence[Cell], limit: int | None, chances: Chances) -> Row:
    attempts = attempts_in(out / "cells" / cell.folder)
    bank = next((b for b in banks if (b.tasks, b.model) == (cell.tasks, cell.model)), None)
    found = None
    if bank is not None and _begun(bank, out):
        asked = list(chances.tasks(cell.tasks).values())[:limit]
        types: dict[str, AnswerType] = {task.id: task.answer_type for task in asked}
        found = beside(attempts, attempts_in(out / "cells" / bank.folder), types)
    return Row(cell, tuple(attempts), figures(attempts), found, chances.of(cell.tasks, attempts))


def _write_items(path: Path, rows: Sequence[Row]) -> None:
    def lines() -> Iterator[str]:
        for row in rows:
            cell = {"tasks": row.cell.tasks, "model": row.cell.model, "contender": row.cell.contender.label}
            yield from (json.dumps({**cell, **asdict(attempt)}) + "\n" for attempt in row.attempts)

    write_whole(path, lines())
