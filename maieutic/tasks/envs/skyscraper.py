"""`env:skyscraper`: heights without repetition, of which so many are seen from each side.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). A puzzle has one solution; any filling that keeps all rules is
right.
"""

from collections.abc import Sequence
from random import Random

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.grids import FORM, Grid, keeps_rules, latin_square, not_a_grid, read_grid, solutions
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Verdict

SIDES = ("top", "bottom", "left", "right")


class Skyscraper(Knobs):
    size: int = Field(default=3, ge=3, le=6)
    """Rows and columns."""
    hidden: float = Field(default=0.0, ge=0, le=0.8)
    """Share of the counts that are not told."""


LEVELS = (Skyscraper(), Skyscraper(size=4), Skyscraper(size=4, hidden=0.3), Skyscraper(size=5))


@generated("skyscraper", levels=LEVELS)
def skyscraper(knobs: Skyscraper, rng: Random) -> Draft | None:
    """Skyscrapers: a square of heights, by how many are visible from each side."""
    size = knobs.size
    full = latin_square(size, rng)
    clues = {side: [seen(line) for line in _lines(full, side)] for side in SIDES}
    clues = {side: [0 if rng.random() < knobs.hidden else clue for clue in of] for side, of in clues.items()}
    empty: Grid = [[0] * size for _ in range(size)]
    if len(solutions(empty, fits=lambda grid, r, c: _fits(grid, r, c, clues)) or ()) != 1:
        return None
    told = "\n".join(f"{side}: {' '.join(str(n) if n else '?' for n in clues[side])}" for side in SIDES)
    question = (
        f"A square of {size} rows and {size} columns holds buildings of heights 1 to {size}; no row or column repeats "
        "a height. From a side one sees the buildings of a line that no taller one stands before. So many are seen, "
        f"from the top and the bottom for the columns from left to right, from the left and the right for the rows "
        f"from top to bottom (? is not told):\n\n{told}\n\n{FORM}."
    )
    return Draft(question, full, "json", {"size": size, "clues": clues}, difficulty=float(size))


@verifier("skyscraper", answer_type="json")
def check(task: Task, answer: str) -> bool | Verdict:
    """No row or column repeats a height, and from every side as many are seen as was told."""
    instance = instance_of(task)
    size: int = instance["size"]
    grid = read_grid(answer, size, size)
    if grid is None:
        return not_a_grid(size, size)
    if not keeps_rules(grid, [[0] * size for _ in range(size)]):
        return False
    return all(
        clue in (0, seen(line))
        for side in SIDES
        for line, clue in zip(_lines(grid, side), instance["clues"][side], strict=True)
    )


def seen(line: Sequence[int]) -> int:
    """How many buildings of a line are seen from its beginning."""
    return sum(height > max(line[:at], default=0) for at, height in enumerate(line))


def _lines(grid: Grid, side: str) -> list[list[int]]:
    """The lines that are looked along from a side, each from the nearest building on."""
    lines = [list(line) for line in (zip(*grid, strict=True) if side in ("top", "bottom") else grid)]
    return [line[::-1] if side in ("bottom", "right") else line for line in lines]


def _fits(grid: Grid, r: int, c: int, clues: dict[str, list[int]]) -> bool:
    """Whether the lines through a cell, where they are full, are seen as told."""
    column = [row[c] for row in grid]
    lines = (("left", r, grid[r]), ("right", r, grid[r][::-1]), ("top", c, column), ("bottom", c, column[::-1]))
    return all(0 in line or clues[side][at] in (0, seen(line)) for side, at, line in lines)
