"""`maieutic export`: traces in, training rows out."""

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.options import Json

if TYPE_CHECKING:
    from maieutic.recipes.export import ExportReport


def export(
    dirs: Annotated[list[str], typer.Argument(metavar="DIR|URL…", help="Directories of traces, or of collections.")],
    out: Annotated[str, typer.Option(metavar="FILE|URL", help="Where the rows go.")],
    recipe: Annotated[str, typer.Option(metavar="NAME", help="Which runs become rows.")] = "solved",
    format: Annotated[str, typer.Option(metavar="NAME", help="What a row looks like.")] = "trl-sft",
    kind: Annotated[
        str | None,
        typer.Option("--as", metavar="KIND", help="jsonl, parquet or hf (a folder); by FILE's ending."),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the recipe.")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(metavar="TASKS", help="Where the tasks are from: gives prompts their gold answers.")
    ] = None,
    replay: Annotated[
        str | None, typer.Option(metavar="FILE:SHARE", help="Mix older rows in, as this share of all.")
    ] = None,
    json: Json = False,
) -> None:
    """Turn recorded runs into training rows."""
    from maieutic.recipes.export import export as export_rows
    from maieutic.terminal.settings import parse_settings

    settings = parse_settings(set_ or ())
    report = export_rows(dirs, recipe, format, out, settings, kind=kind, tasks=tasks, replay=_replayed(replay))
    print(json_.dumps(as_json(report), ensure_ascii=False) if json else in_words(report))


def _replayed(given: str | None) -> tuple[Path, float] | None:
    """FILE:SHARE in two. Raises UserError for anything else."""
    from maieutic.errors import UserError

    if given is None:
        return None
    file, _, share = given.rpartition(":")
    try:
        return Path(file), float(share)
    except ValueError:
        raise UserError(f"--replay is {given!r}: give a file and a share, such as old.jsonl:0.2.") from None


def as_json(report: "ExportReport") -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "out": report.place(report.out),
        "card": report.place(report.card),
        "rows": report.rows,
        "duplicates": report.duplicates,
        "runs": {"seen": report.tally.seen, "kept": report.tally.kept, "dropped": dict(report.tally.dropped)},
        "counts": dict(report.tally.counts),
        "notes": list(report.notes),
    }


def in_words(report: "ExportReport") -> str:
    """A few lines: rows, and what became of the runs."""
    tally = report.tally
    dropped = ", ".join(f"{number} {reason}" for reason, number in tally.dropped.most_common())
    lines = [
        f"{report.rows} rows in {report.place(report.out)}"
        + (f" ({report.duplicates} duplicates left out)" * bool(report.duplicates)),
        f"{tally.kept} of {tally.seen} runs kept" + (f"; left out: {dropped}" if dropped else ""),
        f"card: {report.place(report.readable_card)}",
    ]
    if left := tally.left_out():
        lines.insert(2, f"of the runs kept: {', '.join(left)}")
    if anew := tally.counts["turns_rendered_anew"]:
        lines.insert(2, f"{anew} turns are tokenised anew by the trainer: rows of this kind hold text, not token ids")
    return "\n".join(lines)
