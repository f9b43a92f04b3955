"""`env:minesweeper`: which hidden cells hold a mine for certain.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). Deviations: what is certain is found by looking at every way in
which the mines may lie (the released generator keeps only what one rule finds); and the answer is the last explicit
one alone, where the released verifier adds up every list of cells in the text, so that a cell named in passing spoils
a right answer.
"""

from collections.abc import Sequence
from random import Random

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated

MOST_NODES = 5_000

Cell = tuple[int, int]
Constraint = tuple[frozenset[Cell], int]
"""Hidden cells around a number, and how many of them are mines."""


class Minesweeper(Knobs):
    size: int = Field(default=4, ge=3, le=12)
    """Rows and columns."""
    mines: float = Field(default=0.25, ge=0.05, le=0.5)
    """Share of the cells that hold a mine."""
    open: float = Field(default=0.4, ge=0.1, le=0.8)
    """Share of the other cells that are open."""


LEVELS = (
    Minesweeper(),
    Minesweeper(size=5, mines=0.3),
    Minesweeper(size=6, mines=0.35),
    Minesweeper(size=8, mines=0.35, open=0.35),
    Minesweeper(size=9, mines=0.35, open=0.4),
)


@generated("minesweeper", levels=LEVELS)
def minesweeper(knobs: Minesweeper, rng: Random) -> Draft | None:
    """Minesweeper: the hidden cells that hold a mine however the rest lies."""
    size = knobs.size
    cells = [(r, c) for r in range(size) for c in range(size)]
    mines = frozenset(rng.sample(cells, max(1, round(knobs.mines * len(cells)))))
    free = [cell for cell in cells if cell not in mines]
    opened = frozenset(rng.sample(free, max(1, round(knobs.open * len(free)))))
    numbers = {cell: sum(other in mines for other in around(cell, size)) for cell in opened}
    certain = certain_mines(numbers, size)
    if not certain:
        return None
    board = "\n".join(" ".join(str(numbers.get((r, c), "?")) for c in range(size)) for r in range(size))
    question = (
        "A board of minesweeper: a number says how many of the up to eight cells around it hold a mine, ? is a hidden "
        f"cell.\n\n{board}\n\nWhich hidden cells hold a mine for certain, whatever is under the others? Rows and "
        "columns count from 1, from the top left.\nEnd with: Answer: a JSON list of [row, column]"
    )
    gold = [[r + 1, c + 1] for r, c in sorted(certain)]
    return Draft(question, gold, "set", difficulty=float(size * size), verifier="set")


def around(cell: Cell, size: int) -> list[Cell]:
    """The neighbours of a cell."""
    return [
        (r, c)
        for r in range(max(0, cell[0] - 1), min(size, cell[0] + 2))
        for c in range(max(0, cell[1] - 1), min(size, cell[1] + 2))
        if (r, c) != cell
    ]


def certain_mines(numbers: dict[Cell, int], size: int) -> set[Cell] | None:
    """The hidden cells with a mine in every layout that the numbers allow; None where that takes too long to tell."""
    constraints: list[Constraint] = [
        (frozenset(other for other in around(cell, size) if other not in numbers), number)
        for cell, number in numbers.items()
    ]
    certain: set[Cell] = set()
    for group in _groups(constraints):
        for cell in frozenset().union(*(hidden for hidden, _ in group)):
            search = _Search()
            possible = search.run([*group, (frozenset([cell]), 0)])
            if search.nodes > MOST_NODES:
                return None
            if not possible:
                certain.add(cell)
    return certain


def _groups(constraints: Sequence[Constraint]) -> list[list[Constraint]]:
    """Constraints that share cells, directly or through others, together."""
    groups: list[tuple[frozenset[Cell], list[Constraint]]] = []
    for hidden, number in constraints:
        touched = [group for group in groups if group[0] & hidden]
        groups = [group for group in groups if not group[0] & hidden]
        cells = frozenset(hidden).union(*(group[0] for group in touched))
        groups.append((cells, [*(one for group in touched for one in group[1]), (hidden, number)]))
    return [group for _, group in groups]


class _Search:
    """Whether some layout fits: what follows at once first, then both ways for one cell."""

    def __init__(self) -> None:
        self.nodes = 0

    def run(self, constraints: list[Constraint]) -> bool:
        """Whether the constraints allow a layout; wrong where `nodes` has passed its bound."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            return True
        known: dict[Cell, int] = {}
        while True:
            for hidden, number in constraints:
                if not 0 <= number <= len(hidden):
                    return False
                if number in (0, len(hidden)):
                    known |= dict.fromkeys(hidden, int(number > 0))
            left = [_without(one, known) for one in constraints]
            left = [one for one in dict.fromkeys(left) if one[0] or one[1]]
            if left == constraints:
                break
            constraints, known = left, {}
        if not constraints:
            return True
        cell = min(min(constraints, key=lambda one: len(one[0]))[0])
        return any(self.run([*constraints, (frozenset([cell]), value)]) for value in (0, 1))


def _without(constraint: Constraint, known: dict[Cell, int]) -> Constraint:
    hidden, number = constraint
    return frozenset(hidden - known.keys()), number - sum(known.get(cell, 0) for cell in hidden)
