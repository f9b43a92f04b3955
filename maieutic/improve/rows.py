"""A round's rows: its traces through the recipes and the gate, with older rows among them, and what became of each."""

import json
import os
from collections.abc import Iterable, Sequence
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
from maieutic.recipes.storage import beside, remove


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
    and `out` isn't there.
    """
    name, settings = recipe_of(recipe)
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


def join(files: Iterable[Path], out: Path) -> int:
    """All rows of the files that are there, each once, in their order; how many they are."""
    seen: dict[bytes, None] = {}
    for file in files:
        if file.exists():
            seen.update(dict.fromkeys(file.read_bytes().splitlines()))
    temporary = beside(out)
    try:
        temporary.write_bytes(b"".join(line + b"\n" for line in seen))
        os.replace(temporary, out)
    finally:
        remove(temporary)
    return len(seen)


def mix(new: Path, old: Path, share: float, out: Path) -> int:
    """The rows of `new` with so large a share of older ones among them, as `out`; how many older ones there are.

    Rows are mixed with their like: those of nothing but token ids, and the others.
    """
    kinds = {kind: beside(out, kind) for kind in ("ids", "chat", "older")}
    replayed = 0
    try:
        for kind in ("ids", "chat"):
            fresh, older = ([line for line in _lines(file) if _kind(line) == kind] for file in (new, old))
            _write(kinds[kind], fresh)
            _write(kinds["older"], older)
            if fresh and older and share:
                replayed += mix_in(kinds[kind], kinds["older"], share)
        _write(kinds["older"], [line for kind in ("ids", "chat") for line in _lines(kinds[kind])])
        os.replace(kinds["older"], out)
    finally:
        for path in kinds.values():
            remove(path)
    return replayed


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def _write(path: Path, lines: Iterable[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _kind(line: bytes) -> str:
    return "ids" if "input_ids" in json.loads(line) else "chat"
