"""A Pareto picture: accuracy against tokens, and against seconds, with intervals. Dotted lines are what guessing
gets."""

from collections.abc import Sequence
from pathlib import Path

from maieutic.errors import MissingExtra
from maieutic.evals.core import Row


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw one panel for tokens and one for seconds into `path` (.png or .svg). Raises MissingExtra."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("A picture of an evaluation", "eval") from None
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    for panel, (what, label) in enumerate((("tokens", "tokens a question"), ("seconds", "seconds a question")), 1):
        axes = figure.add_subplot(1, 2, panel)
        points = [(getattr(r.figures, what), r.figures.accuracy, _label(r, rows)) for r in rows if r.figures.accuracy]
        for x, accuracy, name in points:
            below, above = accuracy.estimate - accuracy.low, accuracy.high - accuracy.estimate
            axes.errorbar(x, 100 * accuracy.estimate, [[100 * below], [100 * above]], fmt="o", capsize=3)
            axes.annotate(name, (x, 100 * accuracy.estimate), textcoords="offset points", xytext=(6, 4), fontsize=8)
        best = _frontier([(x, accuracy.estimate) for x, accuracy, _ in points])
        axes.step([x for x, _ in best], [100 * y for _, y in best], where="post", alpha=0.4, linewidth=1)
        for share, name in _guessing(rows).items():
            axes.axhline(100 * share, color="0.5", linestyle=":", linewidth=1)
            axes.text(
                0.01, 100 * share, name, transform=axes.get_yaxis_transform(), fontsize=7, color="0.3", va="bottom"
            )
        scale = "log" if any(x > 0 for x, _, _ in points) else "linear"  # a model that says nothing spends nothing
        axes.set(xlabel=label, ylabel="accuracy, %", xscale=scale)
        axes.grid(alpha=0.2)
    figure.savefig(path, dpi=150)


def _frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no cheaper one reaches, cheapest first."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not best or y > best[-1][1]:
            best.append((x, y))
    return best


def _guessing(rows: Sequence[Row]) -> dict[float, str]:
    """What guessing gets, where that is worth saying, and of which task sets."""
    several = len({row.cell.tasks for row in rows}) > 1
    names: dict[float, list[str]] = {}
    for row in rows:
        if row.guessing is not None and row.guessing.matters and row.guessing.best is not None:
            names.setdefault(row.guessing.best, []).append(_set(row))
    return {
        share: "guessing" + (f", {', '.join(dict.fromkeys(sets))}" if several else "") for share, sets in names.items()
    }


def _set(row: Row) -> str:
    return row.cell.tasks.removeprefix("env:").partition("?")[0]


def _label(row: Row, rows: Sequence[Row]) -> str:
    parts = [row.cell.contender.label]
    if len({r.cell.model for r in rows}) > 1:
        parts.append(row.cell.model)
    if len({r.cell.tasks for r in rows}) > 1:
        parts.append(_set(row))
    return ", ".join(parts)
