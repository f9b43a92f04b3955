"""A run's events in words, for every way of showing them."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from maieutic.types import Usage

if TYPE_CHECKING:
    from maieutic.runner import Result

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """`text` without control characters, so that a model can't move the cursor or recolour the terminal."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def votes(data: Mapping[str, Any]) -> str:
    """A vote event: the answers with their votes, most first, and how many of the samples are in."""
    counts = sorted(data["votes"].items(), key=lambda item: -item[1])
    said = ", ".join(f"{printable(answer)} ×{n}" for answer, n in counts[:6]) or "none yet"
    more = f", {len(counts) - 6} more answers" if len(counts) > 6 else ""
    return f"{said}{more} ({data['samples']} of {data['of']})"


def verdict(data: Mapping[str, Any]) -> str:
    """A verdict event: a critic's about a solution, or a judge's choice."""
    if "choice" in data:
        choice = data["choice"]
        return "no readable choice" if choice is None else f"chooses {printable(str(choice))}"
    if data.get("accepts") is None:
        return "no readable verdict"
    return "finds no wrong step" if data["accepts"] else f"the first wrong step is {data['first_wrong']}"


def gate(data: Mapping[str, Any]) -> str:
    """A gate event: what was decided, and the figures it was decided by."""
    figures = ", ".join(f"{name} {figure(value)}" for name, value in data.get("inputs", {}).items())
    return f"{printable(str(data['gate']))}: {printable(str(data['decision']))}" + (f" ({figures})" if figures else "")


def confidence(data: Mapping[str, Any]) -> str:
    """A confidence event: how sure of an answer, by which method, raw and calibrated."""
    raw, calibrated = data.get("raw"), data.get("calibrated")
    if raw is None:
        return f"no readable confidence ({data['method']})"
    shown = figure(raw) if calibrated is None else f"{figure(raw)}, calibrated {figure(calibrated)}"
    return f"{shown} sure ({data['method']})"


def figure(value: object) -> str:
    """A number short enough to be read at a glance; anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else printable(str(value))


def call_of(tool: str, arguments: str) -> tuple[str, bool]:
    """What a tool is given, as a person writes it, and whether that is a program's source."""
    try:
        values = json.loads(arguments or "{}")
    except ValueError:
        return printable(arguments), False
    if isinstance(values, dict) and isinstance(values.get("code"), str) and len(values) == 1:
        return printable(values["code"]).strip("\n"), True
    if not isinstance(values, dict):
        return printable(arguments), False
    return f"{tool}({', '.join(f'{k}={printable(json.dumps(v))}' for k, v in values.items())})", False


def kept_files(data: dict[str, Any]) -> list[str]:
    """Where the files lie that a finished tool call has made, a line each."""
    return [f"saved {printable(file['path'])}" for file in data.get("meta", {}).get("files", ())]


def usage(spent: Usage) -> str:
    cost = f" · ${spent.cost:.4f}" if spent.cost is not None else ""
    calls = "1 call" if spent.calls == 1 else f"{spent.calls} calls"
    return f"{calls} · {spent.tokens:,} tokens{cost} · {spent.seconds:.1f} s"


def ending(result: "Result") -> str:
    """How a run ended: its outcome where it was checked, what it spent, and its id."""
    outcome = f"{result.outcome.replace('_', ' ')} · " if result.outcome else ""
    return f"{outcome}{usage(result.usage)} · run {result.run_id}"


def shortfall(result: "Result") -> str:
    """Why a result is less than was asked for, as a sentence; empty where it isn't."""
    reason = "Interrupted." if result.reason == "interrupted" else result.reason
    if result.partial:
        return f"partial: {reason} {'This is the best answer so far.' if result.text else 'There is no answer yet.'}"
    return "" if result.text else "The model said nothing."
