"""`env:sudoku`: fill a square so that no row, column or box repeats a number.

After SynLogic (Liu et al. 2025, arXiv 2505.19641), whose levels empty ever more cells while one solution is left. Any
filling that keeps the rules and the givens is right. Deviation: also squares of 4 and 6, for small models.
"""

from random import Random
from typing import Literal

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.grids import FORM, dig, keeps_rules, latin_square, not_a_grid, read_grid, shown, solutions
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Verdict

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}


class Sudoku(Knobs):
    size: Literal["4", "6", "9"] = "4"
    """Rows and columns."""
    blanks: int = Field(default=6, ge=1, le=60)
    """Cells that are empty."""


LEVELS = (
    Sudoku(),
    Sudoku(size="6", blanks=16),
    Sudoku(size="9", blanks=20),
    Sudoku(size="9", blanks=30),
    Sudoku(size="9", blanks=42),
    Sudoku(size="9", blanks=50),
)


@generated("sudoku", levels=LEVELS)
def sudoku(knobs: Sudoku, rng: Random) -> Draft | None:
    """Sudoku of size 4, 6 or 9, with one solution."""
    size = int(knobs.size)
    box = BOXES[size]
    full = latin_square(size, rng, box)
    givens = dig(full, knobs.blanks, rng, lambda grid: len(solutions(grid, box=box) or ()) == 1)
    if givens is None:
        return None
    question = (
        f"Fill the empty cells (_) so that every row, every column and every box of {box[0]} rows by {box[1]} columns "
        f"holds each of 1 to {size} once.\n\n{shown(givens)}\n\n{FORM}."
    )
    return Draft(question, full, "json", {"givens": givens, "box": list(box)}, difficulty=float(knobs.blanks))


@verifier("sudoku", answer_type="json")
def check(task: Task, answer: str) -> bool | Verdict:
    """The rules are kept, and so are the givens."""
    instance = instance_of(task)
    givens, size = instance["givens"], len(instance["givens"])
    grid = read_grid(answer, size, size)
    return not_a_grid(size, size) if grid is None else keeps_rules(grid, givens, tuple(instance["box"]))
