"""The card: every count of the gate, and the command that made it, as JSON and as a dataset's README."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from maieutic.gate.rules import Rules

if TYPE_CHECKING:
    from maieutic.gate.gate import GateReport

NOT_DONE = (
    "Names of people, addresses and dates of birth have no form by which they could be found.",
    "Copies with another number, operator, negation or name in them are other questions, and stay.",
    "A benchmark that was not named was not looked for.",
)


def cards(report: "GateReport", form: str, rules: Rules, command: str, sha256: str) -> tuple[str, str]:
    """As JSON and as Markdown; `form` and `sha256` are the rows', as `store` has them."""
    card = _card(report, rules, command, sha256)
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    return text, in_markdown(card, report.out.name, form == "hf")


def _card(report: "GateReport", rules: Rules, command: str, sha256: str) -> dict[str, Any]:
    return {
        "command": command,
        "licence": rules.licence,
        "rows_in": report.rows_in,
        "rows_out": report.rows_out,
        "dropped": dict(sorted(report.dropped.items())),
        "dropped_file": report.dropped_file.name,
        "against": report.against,
        "redacted_values": dict(sorted(report.redacted.items())),
        "redacted_rows": report.redacted_rows,
        "licences": dict(sorted(report.licences.items())),
        "rules": asdict(rules),
        "sources": report.sources,
        "notes": [*report.notes, *NOT_DONE],
        "sha256": sha256,
    }


def in_markdown(card: dict[str, Any], name: str, folder: bool) -> str:
    """With the head that the Hugging Face Hub reads."""
    head = ["---"]
    if card["licence"]:
        head.append(f"license: {card['licence'].lower()}")
    if folder:
        head += ["configs:", "- config_name: default", "  data_files: data/*.parquet"]
    head += ["---", ""]
    lines = [*head, f"# {name}", "", f"    {card['command'] or '(made in Python)'}", ""]
    lines += [f"{card['rows_out']} of {card['rows_in']} rows left.", ""]
    lines += _table("stayed behind", "rows", card["dropped"])
    lines += [f"Each of them, with its reason: `{card['dropped_file']}`.", ""]
    lines += _table("replaced", "values", card["redacted_values"])
    lines += [f"{card['redacted_rows']} rows had some.", ""]
    for one in card["against"]:
        looked = f"{one['questions']} questions of {one['name']} (`{one['source']}`)"
        lines.append(f"- looked for {looked}: {one['rows_dropped']} rows held one")
    lines += [""] * bool(card["against"])
    lines += _table("licence", "rows", card["licences"])
    for source in card["sources"]:
        lines += [f"- `{source['source']}`, sha256 {source['sha256']}{_provenance(source)}"]
    lines += ["", *(f"- {note}" for note in card["notes"]), "", f"sha256 of the rows: {card['sha256']}"]
    return "\n".join(lines) + "\n"


def _table(what: str, unit: str, counts: dict[str, int]) -> list[str]:
    rows = [f"| {name} | {number} |" for name, number in counts.items()] or ["| nothing | 0 |"]
    return [f"| {what} | {unit} |", "|-|-|", *rows, ""]


def _provenance(source: dict[str, Any]) -> str:
    """What the export's card says of where the rows came from."""
    card = source.get("export") or source.get("card")
    if not card:
        return ": where it came from is not known, no card is beside it"
    weights = ", ".join(f"{name}: {number}" for name, number in (card.get("calls_by_weights") or {}).items())
    said = f": recipe {card.get('recipe')}, format {card.get('format')}"
    said += f", {card.get('runs_kept')} of {card.get('runs_seen')} runs"
    dropped = ", ".join(f"{number} {reason}" for reason, number in (card.get("runs_dropped") or {}).items())
    return said + f" (left out: {dropped or 'none'})" + (f", calls by weights: {weights}" if weights else "")
