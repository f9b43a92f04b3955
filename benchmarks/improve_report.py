"""What `improve.py` has found, as tables: accuracy with intervals, and differences from version 0, in pairs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from maieutic.evals.items import Attempt, figures, grouped
from maieutic.stats import Interval, paired_bootstrap
from maieutic.types import Sampling

CHAIN = "env:rg/chain_sum?min_terms={0}&max_terms={0}&min_digits=2&max_digits=2"
LEGS = "env:rg/leg_counting?min_animals=3&max_animals=3&max_instances=9"
FRESH = {
    "4 terms": CHAIN.format(4),
    "5 terms": CHAIN.format(5),
    "6 terms": CHAIN.format(6),
    "legs of 3 animals": LEGS,
    "legs, up to 15 of each": LEGS.replace("instances=9", "instances=15"),
    "products": "env:rg/products?min_terms=2&max_terms=2&min_digits=2&max_digits=2",
}
KINDS = ("4 terms", "5 terms", "legs of 3 animals", "products")
IN_GRAPHS = ("4 terms", "5 terms")  # what graphs are asked too
ALONE = "direct"
WAYS = {"T 1": Sampling(temperature=1.0), "greedy": Sampling(temperature=0.0)}


@dataclass(frozen=True, slots=True)
class Side:
    """Weights that are compared, and what they took. `attempts` are by kind of question and way of sampling; there are
    fewer of a side that isn't a `main` one, and greedy ones only of weights that answer alone."""

    label: str
    about: str
    checkpoint: str
    spent: dict[str, Any]
    graph: str = ALONE
    main: bool = True
    kinds: tuple[str, ...] = KINDS
    attempts: dict[tuple[str, str], tuple[Attempt, ...]] = field(default_factory=dict)

    def shares(self, kind: str, way: str) -> dict[str, float]:
        """How many of a question's attempts were right, by question."""
        groups = grouped(self.attempts[kind, way])
        return {task: sum(one.right for one in group) / len(group) for task, group in groups.items()}

    def as_json(self) -> dict[str, Any]:
        found = [
            {"kind": kind, "way": way, **asdict(figures(attempts))} for (kind, way), attempts in self.attempts.items()
        ]
        return {"label": self.label, "about": self.about, "spent": self.spent, "figures": found}


def markdown(sides: Sequence[Side], command: str) -> str:
    """All tables, the first side being what the others are compared with."""
    parts = ["# The loop on the in-box model", "", f"`{command}`", "", *_sides(sides)]
    for kind in FRESH:
        parts += ["", f"## {kind[0].upper()}{kind[1:]}", "", *_table(sides, kind)]
    parts += ["", "## Alone, beside version 0 in a graph", "", *distilled(sides)]
    ways = " and ".join(WAYS)
    parts += [
        "",
        f"Accuracy with 95 % intervals over questions ({ways}); pass@k is of the samples at temperature 1. Differences "
        f"are points from {sides[0].label} on the same questions, with 95 % bootstrap intervals; they are not "
        "corrected for their number. Each side is one training with one seed: what another seed would bring is not in "
        "the intervals.",
        "",
    ]
    return "\n".join(parts)


def _sides(sides: Sequence[Side]) -> list[str]:
    lines = ["| side | | rows | tokens trained on | tokens sampled | kept |", "|---|---|---|---|---|---|"]
    for side in sides:
        spent = side.spent
        counts = " | ".join(f"{spent[name]:,}" if name in spent else "" for name in ("rows", "trained", "sampled"))
        kept = ", ".join("yes" if one else "no" for one in spent.get("promoted", ()))
        lines.append(f"| {side.label} | {side.about} | {counts} | {kept} |")
    return lines


def _table(sides: Sequence[Side], kind: str) -> list[str]:
    head = "| side | n | T 1 | less version 0 | pass@k | greedy | less version 0 | tokens |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for side in sides:
        if (kind, "T 1") not in side.attempts:
            continue
        sampled = figures(side.attempts[kind, "T 1"])
        cells = [side.label, f"{sampled.n} × {sampled.k}", _share(sampled.accuracy)]
        cells += [_less(sides[0], side, kind, "T 1"), _share(sampled.pass_at) if sampled.k > 1 else ""]
        if (kind, "greedy") in side.attempts:
            cells += [_share(figures(side.attempts[kind, "greedy"]).accuracy), _less(sides[0], side, kind, "greedy")]
        else:
            cells += ["", ""]
        lines.append(f"| {' | '.join(cells)} | {sampled.tokens:.0f} |")
    return lines


def distilled(sides: Sequence[Side]) -> list[str]:
    """The last loop's weights alone beside version 0 in its graphs, on the same questions."""
    graphs = [side for side in sides if side.graph != ALONE]
    alone = [side for side in sides if side.main and "promoted" in side.spent and "legs" not in side.label]
    lines = ["| questions | version 0 in | tokens | tokens alone | T 1 alone less that | greedy alone less that |"]
    lines.append("|---|---|---|---|---|---|")
    for kind in IN_GRAPHS if alone else ():
        for graph in graphs:
            spent = [figures(side.attempts[kind, "T 1"]).tokens for side in (graph, alone[-1])]
            one = graph.shares(kind, "T 1")
            points = [_points(_paired(one, alone[-1].shares(kind, way))) for way in WAYS]
            cells = [kind, graph.label.partition(", ")[2], *(f"{tokens:.0f}" for tokens in spent), *points]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _share(found: Interval | None) -> str:
    return found.percent() if found else ""


def _less(first: Side, side: Side, kind: str, way: str) -> str:
    return "" if side is first else _points(_paired(first.shares(kind, way), side.shares(kind, way)))


def _points(found: Interval) -> str:
    return f"{100 * found.estimate:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _paired(first: dict[str, float], second: dict[str, float]) -> Interval:
    """The second's accuracy less the first's over the questions of both, with its bootstrap interval."""
    both = [task for task in first if task in second]
    return paired_bootstrap([first[task] for task in both], [second[task] for task in both])
