"""Export: traces through a recipe and a format into one file or folder, with a card that says where it came from.

The same traces give the same bytes. Nothing appears under the asked-for name until it is complete. Rows are written as
they come, and recipes that compare runs hold those of one task: memory doesn't grow with their number.
"""

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.items import Item
from maieutic.recipes.mixing import checked, mix_in
from maieutic.recipes.places import Place, brought, placed
from maieutic.recipes.recipe import Candidate, Row, Tally, find_format, find_recipe
from maieutic.recipes.seen import Seen
from maieutic.recipes.storage import HUB_HEAD, KINDS, beside, card_of, kind_of, readable_card_of, remove, store
from maieutic.trace.payload import dump
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import FORMAT_VERSION
from maieutic.url_store import is_url


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, and what became of the runs. `duplicates` are rows left out because they were there already.

    Where rows went to a URL, it is in `url`; `out` and `card` were here on the way, and are no more.
    """

    out: Path
    card: Path
    rows: int
    duplicates: int
    tally: Tally
    notes: tuple[str, ...]
    readable_card: Path  # the card as Markdown: beside the file, or the folder's README
    url: str | None = None

    def place(self, path: Path) -> str:
        """Where `out`, or one of its cards, is to be found: a path, or a URL."""
        return Place(self.out, self.url).named(path)


class Sieve(Protocol):
    """What leaves out runs before the recipe sees them, and items before the format does, and counts them."""

    def runs(self, runs: Iterable[Candidate], tally: Tally) -> Iterator[Candidate]: ...

    def items(self, items: Iterable[Item], tally: Tally) -> Iterator[Item]: ...


def export(
    dirs: Sequence[Path | str] | Path | str,
    recipe: str,
    format: str,
    out: Path | str,
    settings: Mapping[str, Any] | None = None,
    *,
    kind: str | None = None,
    tasks: str | None = None,
    replay: tuple[Path | str, float] | None = None,
    sieve: Sieve | None = None,
) -> ExportReport:
    """Write the rows that `recipe` (with its settings) and `format` make of the traces in `dirs` to `out`, and a card.

    Both may be URLs that fsspec knows (s3://…): traces are then brought first, and rows sent once they are whole.
    `kind` says what `out` is: jsonl, parquet, or hf for a folder as the Hugging Face Hub takes it; by default its
    ending decides. `tasks` names where the runs' tasks are from: prompts then have their gold answers and verifiers,
    which no trace has. `replay` is a file of older rows and the share of all rows that is to be drawn from them, in
    [0, 1): against forgetting, as GeRe (general texts) and MER (a quarter to a half of old data) mix them in.
    `sieve` leaves out runs and items; the card counts them.

    UnknownName for a recipe or format that is not there, ConfigError for a wrong setting; UserError when no row comes
    of it, saying why, or when `out` can't be written; TraceError when a trace is damaged. In all these cases nothing is
    left behind.
    """
    if format in KINDS:
        raise UserError(
            f"{format} is no format of rows but a kind of file: say --as {format}, and the format beside it."
        )
    find_recipe(recipe, settings)  # what is wrong with either is said before anything is brought
    find_format(format)
    places = [dirs] if isinstance(dirs, Path | str) else dirs
    names = tuple(str(place if is_url(place) else Path(place)) for place in places)
    making = _Making(names, recipe, format, settings or {}, kind, tasks, replay, sieve)
    with placed(out, kind) as place, brought(places) as roots:
        return _export(roots, place, making)


@dataclass(frozen=True, slots=True)
class _Making:
    """How rows are made: the parameters of `export`, the directories as they were named."""

    dirs: tuple[str, ...]
    recipe: str
    format: str
    settings: Mapping[str, Any]
    kind: str | None
    tasks: str | None
    replay: tuple[Path | str, float] | None
    sieve: Sieve | None


def _export(roots: list[Path], place: Place, making: _Making) -> ExportReport:
    select, make_rows = find_recipe(making.recipe, making.settings), find_format(making.format)
    out, tally, sieve, replay = place.path, Tally(), making.sieve, making.replay
    form = kind_of(out, making.kind)
    temporary = beside(out)
    try:
        with ExitStack() as stack:
            readers = [stack.enter_context(TraceReader(root)) for root in roots]
            file = stack.enter_context(temporary.open("wb"))
            runs = Candidates(readers) if sieve is None else Candidates(readers, partial(sieve.runs, tally=tally))
            items = select(runs, tally)
            items = checked(items if sieve is None else sieve.items(items, tally), making.tasks)
            rows, duplicates = _write(make_rows(items, tally), file)
            notes = tuple(note for reader in readers for note in reader.notes)
        if rows == 0:
            raise UserError(_why_empty(making, tally))
        if replay is not None:
            tally.counts["replayed_rows"] = mix_in(temporary, Path(replay[0]), replay[1])
            rows += tally.counts["replayed_rows"]
        cards = card_of(out, form), readable_card_of(out, form)
        report = ExportReport(out, cards[0], rows, duplicates, tally, notes, cards[1], place.url)
        store(temporary, out, form, partial(_cards, report, making, form))
    except OSError as error:
        raise UserError(
            f"Rows can't be written to {place.url or out} ({error.strerror}): give another file, or make room for it."
        ) from error
    finally:
        remove(temporary)
    return report


def _write(rows: Iterable[Row], file: BinaryIO) -> tuple[int, int]:
    """Rows written and duplicates left out."""
    number = duplicates = 0
    with Seen() as seen:
        for row in rows:
            line = dump(row)
            if not seen.add(line):
                duplicates += 1
                continue
            number += 1
            file.write(line + b"\n")
    file.flush()
    os.fsync(file.fileno())
    return number, duplicates


def _why_empty(making: _Making, tally: Tally) -> str:
    recipe, places = making.recipe, ", ".join(making.dirs)
    if tally.seen == 0:
        return f"There are no runs in {places}: nothing was exported."
    reasons = ", ".join(f"{number} {reason}" for reason, number in tally.dropped.most_common())
    if tally.kept:
        reasons = f"{reasons}; {tally.kept} kept without a row".removeprefix("; ")
        if left := tally.left_out():
            reasons += f", {', '.join(left)} of {making.format}"
    if asks := tally.counts["asks_left_out"]:
        return f"The recipe {recipe} has to ask {asks} things first: maieutic teach --recipe {recipe} does it."
    return f"The recipe {recipe} takes none of the {tally.seen} runs in {places} ({reasons}): no file was written."


def _cards(report: ExportReport, making: _Making, form: str, sha256: str) -> tuple[str, str]:
    tally = report.tally
    card = {
        "recipe": making.recipe,
        "format": making.format,
        "command": _command(report, making),
        "trace_format": FORMAT_VERSION,
        "runs_seen": tally.seen,
        "runs_kept": tally.kept,
        "runs_dropped": dict(sorted(tally.dropped.items())),
        "rows": report.rows,
        "duplicate_rows": report.duplicates,
        **dict(sorted(tally.counts.items())),
        "calls_by_weights": dict(sorted(tally.weights.items())),
        "sha256": sha256,
        "notes": list(report.notes),
    }
    lines = [f"# {report.out.name}", "", f"    {card['command']}", "", "| | |", "|-|-|"]
    lines += [f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in card.items() if name != "command"]
    return json.dumps(card, indent=2) + "\n", HUB_HEAD * (form == "hf") + "\n".join(lines) + "\n"


def _command(report: ExportReport, making: _Making) -> str:
    command = ["maieutic", "export", *making.dirs, "--recipe", making.recipe, "--format", making.format]
    command += ["--out", report.place(report.out)]
    for key, value in making.settings.items():
        command += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    command += [] if making.kind is None else ["--as", making.kind]
    command += [] if making.tasks is None else ["--tasks", making.tasks]
    command += [] if making.replay is None else ["--replay", f"{making.replay[0]}:{making.replay[1]:g}"]
    return shlex.join(command)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {number}" for key, number in value.items()) or "none"
    return "; ".join(value) or "none" if isinstance(value, list) else str(value)
