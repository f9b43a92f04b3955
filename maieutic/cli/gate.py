"""`maieutic gate`: what leaves as training data, looked through first."""

import json as json_
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.options import Json

if TYPE_CHECKING:
    from maieutic.gate.gate import GateReport


def gate(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE|URL…", help="JSONL files, or folders of traces.")],
    out: Annotated[str, typer.Option(metavar="FILE|URL", help="Where the rows go that may leave.")],
    against: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TASKS", help="Leave out what holds these questions; repeatable.")
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Look for them by meaning, too: hashed, minilm, st/NAME, …")
    ] = None,
    alike: Annotated[float, typer.Option(metavar="COSINE", help="From where on a meaning is the same.")] = 0.9,
    near: Annotated[float, typer.Option(metavar="JACCARD", help="From where on texts are near duplicates.")] = 0.85,
    keep_near: Annotated[bool, typer.Option("--keep-near", help="Keep near duplicates.")] = False,
    difficulty: Annotated[str, typer.Option(metavar="LOW:HIGH", help="Shares solved, between which to be.")] = "0:1",
    any_difficulty: Annotated[bool, typer.Option("--any-difficulty", help="Keep the always and never solved.")] = False,
    keep_cut: Annotated[bool, typer.Option("--keep-cut", help="Keep what was cut short or goes in circles.")] = False,
    keep_secrets: Annotated[bool, typer.Option("--keep-secrets", help="Leave keys and passwords as they are.")] = False,
    keep_personal: Annotated[bool, typer.Option("--keep-personal", help="Leave addresses as they are.")] = False,
    licence: Annotated[str | None, typer.Option(metavar="SPDX", help="The licence of rows that state none.")] = None,
    allow: Annotated[list[str] | None, typer.Option(metavar="SPDX", help="Only these licences; repeatable.")] = None,
    tokenizer: Annotated[str | None, typer.Option(metavar="PATH", help="Whose ids the rows hold, if they do.")] = None,
    recipe: Annotated[str, typer.Option(metavar="NAME", help="Traces: which runs become rows.")] = "solved",
    format: Annotated[str, typer.Option(metavar="NAME", help="Traces: what a row looks like.")] = "openai",
    tasks: Annotated[str | None, typer.Option(metavar="TASKS", help="Traces: where the tasks are from.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Traces: a setting of the recipe.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--as", metavar="KIND", help="jsonl, parquet or hf (a folder); by FILE's ending.")
    ] = None,
    json: Json = False,
) -> None:
    """Let rows leave: without duplicates, benchmarks, secrets and what was cut short, each with a reason."""
    from maieutic.gate.gate import Making
    from maieutic.gate.gate import gate as let_pass
    from maieutic.gate.rules import Rules
    from maieutic.terminal.settings import parse_settings

    rules = Rules(
        tuple(_named(one) for one in against or ()),
        embedder,
        alike,
        None if keep_near else near,
        None if any_difficulty else _shares(difficulty),
        not keep_cut,
        not keep_secrets,
        not keep_personal,
        licence,
        tuple(allow or ()),
        tokenizer,
    )
    making = Making(recipe, format, parse_settings(set_ or ()), tasks)
    report = let_pass(sources, out, rules, making, kind=kind, command=shlex.join(["maieutic", *sys.argv[1:]]))
    for note in report.notes:
        print(f"maieutic: {note}", file=sys.stderr)
    print(json_.dumps(as_json(report), ensure_ascii=False) if json else in_words(report))


def as_json(report: "GateReport") -> dict[str, Any]:
    """The card, which is what `--json` prints."""
    return {"out": report.place(report.out), "card": report.place(report.card), **report.facts}


def in_words(report: "GateReport") -> str:
    """A line for what left, one for each reason to stay, one for what was replaced."""
    card = as_json(report)
    lines = [f"{report.rows_out} of {report.rows_in} rows in {report.place(report.out)}"]
    lines += [line for source in card["sources"] for line in _exported(source)]
    lines += [f"  stayed behind: {number} {name}" for name, number in card["dropped"].items()]
    for one in card["against"]:
        lines.append(f"  {one['rows_dropped']} rows held one of {one['questions']} questions of {one['name']}")
    if report.redacted_rows:
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(report.redacted.items()))
        lines.append(f"  replaced in {report.redacted_rows} rows: {kinds}")
    lines += [f"why, row by row: {report.place(report.dropped_file)}", f"card: {report.place(report.card)}"]
    return "\n".join(lines)


def _exported(source: dict[str, Any]) -> list[str]:
    """What became of the runs of a folder of traces; nothing for a file of rows."""
    made = source.get("export")
    if made is None:
        return []
    dropped = sorted(made["runs_dropped"].items(), key=lambda one: -one[1])
    why = ", ".join(f"{number} {reason}" for reason, number in dropped)
    return [
        f"  of {source['source']}: {made['runs_kept']} of {made['runs_seen']} runs" + f"; left out: {why}" * bool(why)
    ]


def _named(given: str) -> tuple[str, str]:
    """NAME=TASKS in two; without a name, the file's own. An environment's settings have equals signs, too."""
    name, equals, source = given.partition("=")
    if equals and source and not any(sign in name for sign in "/:?"):
        return name, source
    return Path(given.partition("?")[0]).stem, given


def _shares(given: str) -> tuple[float, float]:
    from maieutic.errors import UserError

    low, _, high = given.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise UserError(f"The difficulty {given!r} is not LOW:HIGH: give two shares, such as 0:1.") from None
