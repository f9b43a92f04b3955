"""The work of `maieutic eval`."""

import asyncio
import json
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from maieutic.cli.codes import FAILED, INTERRUPTED
from maieutic.cli.progress import shown_on_stderr
from maieutic.collector import stop_on_signals
from maieutic.collector.report import Progress
from maieutic.errors import MissingExtra, UnknownName, UserError
from maieutic.evals import Evaluation, evaluate, parse_contender
from maieutic.evals.picture import draw
from maieutic.evals.plan import Cell
from maieutic.evals.report import as_json, markdown
from maieutic.serving.files import write_whole
from maieutic.settings import load_settings
from maieutic.terminal.roles import parse_models


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be evaluated, as it was typed."""

    tasks: tuple[str, ...]
    graphs: tuple[str, ...]
    models: tuple[str, ...]
    out: Path
    samples: int
    bank: int
    pairs: tuple[str, ...]
    limit: int | None
    seed: int
    concurrency: int


def run_evaluation(wanted: Wanted, printed: bool, quiet: bool) -> int:
    """Evaluate, write report.md, report.json and pareto.png, print, and return the exit code. Raises UserError."""
    labels = [parse_contender(spec).label for spec in wanted.graphs]
    pairs = [_pair(text, labels) for text in wanted.pairs]
    evaluation, interrupted = asyncio.run(_evaluate(wanted, quiet))
    command = _command(wanted)
    text = markdown(evaluation, command, pairs)
    write_whole(wanted.out / "report.md", text)
    write_whole(wanted.out / "report.json", json.dumps(as_json(evaluation, command), indent=1) + "\n")
    try:
        draw(evaluation.rows, wanted.out / "pareto.png")
    except MissingExtra as error:
        print(f"maieutic: {error}", file=sys.stderr)
    print(json.dumps(as_json(evaluation, command), ensure_ascii=False) if printed else text)
    if evaluation.stopped:
        print(f"maieutic: {evaluation.stopped}", file=sys.stderr)
        return INTERRUPTED if interrupted else FAILED
    return 0


async def _evaluate(wanted: Wanted, quiet: bool) -> tuple[Evaluation, bool]:
    settings = load_settings()
    models, roles = parse_models(wanted.models)
    async with stop_on_signals() as stop:
        with ExitStack() as stack:
            evaluation = await evaluate(
                wanted.tasks,
                [parse_contender(spec) for spec in wanted.graphs],
                models or (settings.model,),
                out=wanted.out,
                roles=roles,
                samples=wanted.samples,
                bank=wanted.bank,
                seed=wanted.seed,
                limit=wanted.limit,
                concurrency=wanted.concurrency,
                settings=settings,
                on_cell=_shown(stack, quiet),
                stop=stop,
            )
        return evaluation, stop.is_set()


def _shown(stack: ExitStack, quiet: bool) -> Callable[[Cell, Progress], None] | None:
    """Progress of one cell after the other, each under its name."""
    if quiet:
        return None
    shown: dict[str, Callable[[Progress], None] | None] = {}

    def on_cell(cell: Cell, progress: Progress) -> None:
        if cell.folder not in shown:
            stack.close()
            print(f"{cell.contender.label}, {cell.model}, {cell.tasks}", file=sys.stderr, flush=True)
            shown[cell.folder] = stack.enter_context(shown_on_stderr(quiet))
        show = shown[cell.folder]
        if show is not None:
            show(progress)

    return on_cell


def _pair(text: str, labels: list[str]) -> tuple[str, str]:
    first, comma, second = text.partition(",")
    if not comma:
        raise UserError(f"--compare {text!r} names one contender: write two, as in A,B.")
    for label in (first, second):
        if label not in labels:
            raise UnknownName("contender", label, labels)
    return first, second


def _command(wanted: Wanted) -> str:
    """The command that makes it again."""
    words = ["maieutic", "eval", *wanted.tasks]
    for option, values in (("--graph", wanted.graphs), ("--model", wanted.models), ("--compare", wanted.pairs)):
        for value in values:
            words += [option, value]
    words += ["--samples", str(wanted.samples), "--bank", str(wanted.bank), "--seed", str(wanted.seed)]
    words += ["--limit", str(wanted.limit)] if wanted.limit else []
    return shlex.join([*words, "--out", str(wanted.out)])
