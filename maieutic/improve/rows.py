"""A round's rows: its traces through the recipes and the gate, with older rows among them, and what became of each."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from maieutic.errors import UserError
from maieutic.gate.gate import Making, gate
from maieutic.gate.rules import Rules
from maieutic.gate.sieve import Sieve
from maieutic.improve.plan import recipe_of
from maieutic.improve.trainer import Trainer
from maieutic.recipes.export import export
from maieutic.recipes.mixing import mix_in
from maieutic.recipes.recipe import describe_recipes
from maieutic.recipes.seen import Seen
from maieutic.recipes.storage import beside, remove, rows_of
from maieutic.trace.reader import TraceReader

_KINDS = ("ids", "chat")


def fits(recipes: Iterable[str], trainer: Trainer) -> None:
    """Raises UserError for a recipe, as "NAME?key=value" spells it, of whose items the trainer has no rows.

    What a recipe of one's own gives is not known before it has run.
    """
    for spec in recipes:
        name, _ = recipe_of(spec)
        about = describe_recipes().get(name)
        if about is not None and about.gives and not any(kind in about.gives for kind in trainer.takes):
            raise UserError(
                f"The recipe {name} gives {about.gives}, and this trainer takes {' or '.join(trainer.takes)}: take"
                f" another recipe, such as {trainer.recipe}."
            )


def make_rows(
    traces: Path,
    recipe: str,
    format: str,
    out: Path,
    rules: Rules,
    tasks: str | None,
    replies: Sequence[Path] | None = None,
) -> dict[str, Any]:
    """One recipe's rows of one collection, through the gate into `out`: what was seen, kept and dropped, and why.

    `replies` are a teacher's, of a recipe that asks: it has to see them beside the collection, and what is never solved
    is no reason to leave out what a teacher has solved. A recipe that gives no rows is no mistake: `why` then says so,
    and `out` isn't there. Raises UserError where the collection is gone.
    """
    name, settings = recipe_of(recipe)
    _refuse_gone(traces)
    try:
        if replies is None:
            report = gate([traces], out, rules, Making(name, format, settings, tasks))
            exported = report.sources[0]["export"]
        else:
            made = out.with_name(f"{out.stem}-ungated.jsonl")
            sieve = Sieve(None, rules.endings)
            export([traces, *replies], name, format, made, settings, kind="jsonl", tasks=tasks, sieve=sieve)
            report = gate([made], out, replace(rules, difficulty=None))
            exported = report.sources[0]["card"]
    except UserError as error:
        return {"recipe": recipe, "rows": 0, "why": str(error)}
    return {
        "recipe": recipe,
        **{key: exported[key] for key in ("runs_seen", "runs_kept", "runs_dropped", "duplicate_rows")},
        "rows_in": report.rows_in,
        "rows_dropped": dict(report.dropped),
        "rows": report.rows_out,
        "notes": report.notes,
    }


def _refuse_gone(traces: Path) -> None:
    """That a collection which is gone gives no rows would be written down, and the round ended for it."""
    gone = not traces.is_dir()
    if not gone:
        with TraceReader(traces, skip_damaged=True) as reader:
            gone = reader.lost is not None and next(reader.runs(), None) is None
    if gone:
        raise UserError(
            f"The runs that were collected in {traces} are gone: put them back from a copy, or remove "
            f"{traces.parent} and the mark collected.json beside it to collect them anew."
        )


def join(files: Iterable[Path], out: Path) -> int:
    """All rows of the files that are there, each once, in their order; how many they are. Never all are in memory."""
    number = 0
    temporary = beside(out)
    try:
        with Seen() as seen, temporary.open("wb") as joined:
            for file in files:
                for row in rows_of(file):
                    if seen.add(row):
                        joined.write(row + b"\n")
                        number += 1
        os.replace(temporary, out)
    finally:
        remove(temporary)
    return number


def mix(new: Path, old: Path, share: float, out: Path) -> int:
    """The rows of `new` with so large a share of older ones among them, as `out`; how many older ones there are.

    Rows are mixed with their like: those of nothing but token ids, and the others. Never all are in memory.
    """
    fresh, older = ({kind: beside(out, f"{age}-{kind}") for kind in _KINDS} for age in ("new", "old"))
    mixed = beside(out)
    replayed = 0
    try:
        news, olds = _divide(new, fresh), _divide(old, older)
        for kind in _KINDS:
            if news[kind] and olds[kind] and share:
                replayed += mix_in(fresh[kind], older[kind], share)
        with mixed.open("wb") as file:
            file.writelines(row + b"\n" for kind in _KINDS for row in rows_of(fresh[kind]))
        os.replace(mixed, out)
    finally:
        for path in (*fresh.values(), *older.values(), mixed):
            remove(path)
    return replayed


def _divide(rows: Path, files: Mapping[str, Path]) -> Counter[str]:
    """Write the rows of each kind to its file; how many there are of each."""
    number = Counter[str]()
    with ExitStack() as stack:
        opened = {kind: stack.enter_context(path.open("wb")) for kind, path in files.items()}
        for row in rows_of(rows):
            kind = "ids" if "input_ids" in json.loads(row) else "chat"
            opened[kind].write(row + b"\n")
            number[kind] += 1
    return number
