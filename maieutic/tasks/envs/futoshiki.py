"""`env:futoshiki`: fill a square so that no row or column repeats a number and all signs between cells hold.

After SynLogic (Liu et al. 2025, arXiv 2505.19641). A puzzle has one solution; any filling that keeps all rules is
right.
"""

from random import Random

from pydantic import Field

from maieutic.tasks.generated import Draft, Knobs, generated, instance_of
from maieutic.tasks.grids import FORM, Grid, dig, keeps_rules, latin_square, not_a_grid, read_grid, shown, solutions
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier
from maieutic.types import Verdict

Sign = list[int]
"""[row, column, row, column]: what stands in the first cell is smaller than what stands in the second."""


class Futoshiki(Knobs):
    size: int = Field(default=4, ge=3, le=8)
    """Rows and columns."""
    signs: int = Field(default=5, ge=0, le=60)
    """Signs between neighbours."""
    blanks: int = Field(default=10, ge=1, le=60)
    """Cells that are empty."""


LEVELS = (
    Futoshiki(),
    Futoshiki(signs=6, blanks=13),
    Futoshiki(size=5, signs=9, blanks=19),
    Futoshiki(size=6, signs=14, blanks=27),
    Futoshiki(size=7, signs=24, blanks=33),
)


@generated("futoshiki", levels=LEVELS)
def futoshiki(knobs: Futoshiki, rng: Random) -> Draft | None:
    """Futoshiki: a square without repetition, with signs between neighbouring cells."""
    size = knobs.size
    full = latin_square(size, rng)
    pairs = [(r, c, r, c + 1) for r in range(size) for c in range(size - 1)]
    pairs += [(r, c, r + 1, c) for r in range(size - 1) for c in range(size)]
    if knobs.signs > len(pairs) or knobs.blanks > size * size:
        return None
    signs = [_smaller_first(full, pair) for pair in rng.sample(pairs, knobs.signs)]

    def fits(grid: Grid, r: int, c: int) -> bool:
        return all(_holds(grid, sign) for sign in signs if [r, c] in (sign[:2], sign[2:]))

    givens = dig(full, knobs.blanks, rng, lambda grid: len(solutions(grid, fits=fits) or ()) == 1)
    if givens is None:
        return None
    lines = [f"({a + 1}, {b + 1}) < ({c + 1}, {d + 1})" for a, b, c, d in signs]
    question = (
        f"Fill the empty cells (_) so that every row and every column holds each of 1 to {size} once."
        f"\n\n{shown(givens)}\n\nAlso, by (row, column), both from 1: {'; '.join(lines) or 'nothing else'}.\n\n{FORM}."
    )
    return Draft(question, full, "json", {"givens": givens, "signs": signs}, difficulty=float(knobs.blanks))


@verifier("futoshiki", answer_type="json")
def check(task: Task, answer: str) -> bool | Verdict:
    """The rules, the givens and the signs are kept."""
    instance = instance_of(task)
    givens, size = instance["givens"], len(instance["givens"])
    grid = read_grid(answer, size, size)
    if grid is None:
        return not_a_grid(size, size)
    return keeps_rules(grid, givens) and all(_holds(grid, sign) for sign in instance["signs"])


def _smaller_first(full: Grid, pair: tuple[int, int, int, int]) -> Sign:
    a, b, c, d = pair
    return [a, b, c, d] if full[a][b] < full[c][d] else [c, d, a, b]


def _holds(grid: Grid, sign: Sign) -> bool:
    """Whether a sign holds, or may yet, where a cell is still empty."""
    left, right = grid[sign[0]][sign[1]], grid[sign[2]][sign[3]]
    return not left or not right or left < right
