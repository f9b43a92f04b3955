"""`env:survo`: put given numbers into the empty cells of a table so that its sums come out.

After SynLogic (Liu et al. 2025, arXiv 2505.19641): each number of a list is used exactly once, and any table that
keeps the givens, the list and the sums is right.
"""

from collections import Counter
from random import Random

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.grids import FORM, Grid, not_a_grid, read_grid, shown
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Verdict


class Survo(Knobs):
    size: int = Field(default=3, ge=2, le=8)
    """Rows and columns."""
    blanks: int = Field(default=3, ge=1, le=40)
    """Cells that are empty."""
    highest: int = Field(default=9, ge=2, le=99)
    """The largest number."""


LEVELS = (Survo(), Survo(blanks=5), Survo(size=4, blanks=8), Survo(size=5, blanks=12), Survo(size=7, blanks=20))


@generated("survo", levels=LEVELS)
def survo(knobs: Survo, rng: Random) -> Draft | None:
    """Survo: place a list of numbers so that rows and columns have the given sums."""
    size = knobs.size
    if knobs.blanks > size * size:
        return None
    full = [[rng.randint(1, knobs.highest) for _ in range(size)] for _ in range(size)]
    givens = [list(row) for row in full]
    for at in rng.sample(range(size * size), knobs.blanks):
        givens[at // size][at % size] = 0
    missing = sorted((Counter(_cells(full)) - Counter(_cells(givens))).elements())
    rows, columns = sums(full)
    question = (
        f"Put each of the numbers {', '.join(map(str, missing))} into one of the empty cells (_), each exactly once, "
        f"so that the rows add up to {', '.join(map(str, rows))} (from top to bottom) and the columns to "
        f"{', '.join(map(str, columns))} (from left to right).\n\n{shown(givens)}\n\n{FORM}, without the sums."
    )
    instance = {"givens": givens, "numbers": missing, "rows": rows, "columns": columns}
    return Draft(question, full, "json", instance, difficulty=float(knobs.blanks))


@verifier("survo", answer_type="json")
def check(task: Task, answer: str) -> bool | Verdict:
    """The givens are kept, the empty cells hold the numbers of the list, and all sums come out."""
    instance = instance_of(task)
    givens, size = instance["givens"], len(instance["givens"])
    grid = read_grid(answer, size, size)
    if grid is None:
        return not_a_grid(size, size)
    pairs = list(zip(_cells(givens), _cells(grid), strict=True))
    kept = all(given in (0, cell) for given, cell in pairs)
    placed = sorted(cell for given, cell in pairs if given == 0)
    return kept and placed == instance["numbers"] and sums(grid) == (instance["rows"], instance["columns"])


def sums(grid: Grid) -> tuple[list[int], list[int]]:
    """What the rows and the columns add up to."""
    return [sum(row) for row in grid], [sum(column) for column in zip(*grid, strict=True)]


def _cells(grid: Grid) -> list[int]:
    return [cell for row in grid for cell in row]
