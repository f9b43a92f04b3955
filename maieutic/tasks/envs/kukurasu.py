"""`env:kukurasu`: mark cells so that the weights of the marked ones add up in every row and column.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). Any marking with the right sums is right, so no puzzle has to have
only one.
"""

from random import Random

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.grids import FORM, Grid, not_a_grid, read_grid
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Outcome, Verdict


class Kukurasu(Knobs):
    size: int = Field(default=3, ge=3, le=10)
    """Rows and columns."""
    filled: float = Field(default=0.5, ge=0.2, le=0.8)
    """Share of the cells that are marked."""


LEVELS = (Kukurasu(), Kukurasu(size=4), Kukurasu(size=5), Kukurasu(size=7))


@generated("kukurasu", levels=LEVELS)
def kukurasu(knobs: Kukurasu, rng: Random) -> Draft | None:
    """Kukurasu: mark cells whose weights give the sum of each row and column."""
    full = [[int(rng.random() < knobs.filled) for _ in range(knobs.size)] for _ in range(knobs.size)]
    rows, columns = sums(full)
    if not any(rows):
        return None
    question = (
        f"Mark cells of a square of {knobs.size} rows and {knobs.size} columns with 1, the others with 0. In a row, a "
        "marked cell counts the number of its column (from 1); in a column, the number of its row (from 1). The rows "
        f"have to come to {', '.join(map(str, rows))} (from top to bottom), the columns to "
        f"{', '.join(map(str, columns))} (from left to right).\n\n{FORM}."
    )
    return Draft(question, full, "json", {"rows": rows, "columns": columns}, difficulty=float(knobs.size**2))


@verifier("kukurasu", answer_type="json")
def check(task: Task, answer: str) -> bool | Verdict:
    """Every sum is the one that was asked for."""
    instance = instance_of(task)
    size = len(instance["rows"])
    grid = read_grid(answer, size, size)
    if grid is None:
        return not_a_grid(size, size)
    if any(cell not in (0, 1) for row in grid for cell in row):
        return Verdict(Outcome.FORMAT_ERROR, None, reason="cells are 0 or 1")
    return sums(grid) == (instance["rows"], instance["columns"])


def sums(grid: Grid) -> tuple[list[int], list[int]]:
    """What the rows and the columns come to."""
    rows = [sum((c + 1) * cell for c, cell in enumerate(row)) for row in grid]
    columns = [sum((r + 1) * cell for r, cell in enumerate(column)) for column in zip(*grid, strict=True)]
    return rows, columns
