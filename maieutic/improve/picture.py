"""A picture of a loop: accuracy on every set by version, with intervals; what was rolled back stands hollow. Dotted
lines are what guessing gets."""

from pathlib import Path

from maieutic.errors import MissingExtra
from maieutic.improve import sources
from maieutic.improve.core import Improvement
from maieutic.improve.report import kind, versions


def draw(done: Improvement, path: Path) -> None:
    """Draw one panel for what is trained on and one for older sets into `path` (.png or .svg). Raises MissingExtra."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("A picture of a loop", "eval") from None
    found = versions(done)
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = {"trained on": [s for s in done.plan.sets if kind(done, s) != "older"]}
    panels |= {"older": [s for s in done.plan.sets if kind(done, s) == "older"]}
    for place, (title, sets) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, 2, place)
        for colour, source in enumerate(sets):
            guessed = found[0][1][source].guessing if found else None
            if guessed is not None and guessed.matters and guessed.best is not None:
                line = f"guessing, {sources.label(source)}"
                axes.axhline(100 * guessed.best, color=f"C{colour}", linestyle=":", linewidth=1, label=line)
            for x, (label, measured) in enumerate(found):
                accuracy = measured[source].accuracy
                if accuracy is None:
                    continue
                around = [[100 * (accuracy.estimate - accuracy.low)], [100 * (accuracy.high - accuracy.estimate)]]
                axes.errorbar(
                    x,
                    100 * accuracy.estimate,
                    around,
                    fmt="o",
                    capsize=3,
                    color=f"C{colour}",
                    mfc="none" if "rolled" in label else None,
                    label=sources.label(source) if x == 0 else None,
                )
        axes.set(title=title, xlabel="version", ylabel="pass@1, %", ylim=(0, 100))
        axes.set_xticks(range(len(found)), [label.partition(" ")[0] for label, _ in found])
        axes.grid(alpha=0.2)
        if sets:
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=150)
