"""An evaluation in words: a table for each task set, comparisons in pairs, and the command that made it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from maieutic.errors import UnknownName
from maieutic.evals.core import Evaluation, Row
from maieutic.evals.items import firsts
from maieutic.stats import Interval, PairedComparison, compare_paired
from maieutic.tasks.guessing import Guessing, skill

GUESSING = (
    "Guessing is the better of two on the same questions: a random well-formed answer, or a constant one, the most "
    "frequent right answer said every time. Above chance is (accuracy - guessing) / (1 - guessing): 0 % is guessing, "
    "100 % is all right, below 0 is worse than guessing."
)


def markdown(evaluation: Evaluation, command: str, pairs: Sequence[tuple[str, str]] = ()) -> str:
    """The report as Markdown; `pairs` are contenders to be compared with each other, by their labels."""
    parts = ["# Evaluation", "", f"`{command}`", ""]
    for tasks, model in _sets(evaluation.rows):
        rows = [row for row in evaluation.rows if (row.cell.tasks, row.cell.model) == (tasks, model)]
        parts += [f"## {tasks}, {model}", "", *_table(rows), ""]
        for first, second in pairs:
            parts += [in_words(first, second, compare(rows, first, second)), ""]
    parts += [
        "Accuracy is over all attempts, with a 95 % interval; tokens (prompt and completion), calls and seconds are "
        "means an attempt. Beside self-consistency: the accuracy less that of a vote over as many plain samples as the "
        "tokens would have bought on average, paired by question, with a 95 % bootstrap interval and McNemar's p.",
        "",
    ]
    if any(told(row.guessing) for row in evaluation.rows):
        parts += [GUESSING, ""]
    return "\n".join(parts)


def as_json(evaluation: Evaluation, command: str) -> dict[str, Any]:
    """The same as one JSON object."""
    rows = [
        {
            "tasks": row.cell.tasks,
            "model": row.cell.model,
            "contender": row.cell.contender.label,
            "graph": row.cell.contender.graph,
            "settings": row.cell.contender.settings,
            "figures": asdict(row.figures),
            "guessing": None if row.guessing is None else asdict(row.guessing),
            "above_chance": None if (above := skill(row.figures.accuracy, row.guessing)) is None else asdict(above),
            "beside_self_consistency": None if row.beside is None else asdict(row.beside),
        }
        for row in evaluation.rows
    ]
    return {"command": command, "rows": rows, "stopped": evaluation.stopped}


def compare(rows: Sequence[Row], first: str, second: str) -> PairedComparison:
    """Two contenders on the questions that both were asked. Raises UnknownName."""
    one, other = _of(rows, first), _of(rows, second)
    theirs = {attempt.task: attempt.right for attempt in firsts(other.attempts)}
    pairs = [(a.right, theirs[a.task]) for a in firsts(one.attempts) if a.task in theirs]
    return compare_paired([a for a, _ in pairs], [b for _, b in pairs])


def told(found: Guessing | None) -> bool:
    """Whether a table has to say what guessing gets."""
    return found is not None and found.matters


def beside_accuracy(accuracy: Interval | None, found: Guessing | None) -> list[str]:
    """Two cells of a table: what guessing gets, and the accuracy above it."""
    above = skill(accuracy, found)
    return ["unknown" if found is None else found.in_words(), "" if above is None else above.percent()]


def in_words(first: str, second: str, found: PairedComparison) -> str:
    return (
        f"**{second} against {first}**, n = {found.n} paired questions: {_points(found)}; only {first} right "
        f"{found.only_first}, only {second} right {found.only_second}."
    )


def _of(rows: Sequence[Row], label: str) -> Row:
    for row in rows:
        if row.cell.contender.label == label:
            return row
    raise UnknownName("contender", label, [row.cell.contender.label for row in rows])


def _sets(rows: Iterable[Row]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.cell.tasks, row.cell.model) for row in rows))


def _table(rows: Sequence[Row]) -> list[str]:
    sampled = any(row.figures.k > 1 for row in rows)
    beside = any(row.beside is not None for row in rows)
    guessed = any(told(row.guessing) for row in rows)
    head = ["contender", "n", "accuracy", *(["guessing", "above chance"] if guessed else [])]
    head += [*(["pass@k"] if sampled else []), "tokens", "calls", "seconds"]
    head += ["unreadable", "abstained", *(["beside self-consistency at equal tokens"] if beside else [])]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        own = row.figures
        cells = [f"`{row.cell.contender.label}`", f"{own.n} × {own.k}" if sampled else str(own.n)]
        cells.append(own.accuracy.percent() if own.accuracy else "not scored")
        if guessed:
            cells += beside_accuracy(own.accuracy, row.guessing)
        if sampled:
            cells.append(own.pass_at.percent() if own.pass_at else "")
        cells += [f"{own.tokens:,.0f}", f"{own.calls:.1f}", f"{own.seconds:.2f}"]
        cells += [str(own.unreadable), str(own.abstained)]
        if beside:
            cells.append(_beside(row))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _beside(row: Row) -> str:
    if row.beside is None:
        return ""
    short = ", all there were" if row.beside.capped else ""
    many = "1 sample" if row.beside.samples == 1 else f"{row.beside.samples} samples"
    return f"{_points(row.beside.comparison)}; {many}{short}, {row.beside.tokens:,.0f} tokens"


def _points(found: PairedComparison) -> str:
    gain = found.difference
    return f"{100 * gain.estimate:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}], p = {found.p_value:.2g}"
