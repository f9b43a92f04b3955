"""Puzzles on a grid: reading answers as rows of numbers, and filling squares without repetition."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from maieutic.types import Outcome, Verdict

MOST_CELLS = 1_000
MOST_NODES = 20_000
"""Placements that a search may try before a puzzle counts as too hard to be told."""

Grid = list[list[int]]
Fits = Callable[[Grid, int, int], bool]
"""Whether a cell just filled breaks no rule of the puzzle's own; 0 stands in cells that are still empty."""

FORM = "End with: Answer: the whole grid as a JSON list of rows"


def read_grid(answer: str, rows: int, columns: int) -> Grid | None:
    """The grid that an answer is, as JSON or as lines of numbers; None where it isn't one of this shape."""
    grid = _json_grid(answer)
    if grid is None:
        grid = [_line(line) for line in answer.strip().splitlines() if re.search(r"\d", line)]
    shaped = len(grid) == rows and all(len(row) == columns for row in grid)
    return grid if shaped and rows * columns <= MOST_CELLS else None


def not_a_grid(rows: int, columns: int) -> Verdict:
    """The verdict on an answer that `read_grid` can't read."""
    return Verdict(Outcome.FORMAT_ERROR, None, reason=f"not a grid of {rows} rows of {columns} numbers")


def shown(grid: Grid, blank: str = "_") -> str:
    """A grid as it stands in a question."""
    width = max(len(str(value)) for row in grid for value in row)
    return "\n".join(" ".join((str(value) if value else blank).rjust(width) for value in row) for row in grid)


def _json_grid(answer: str) -> Grid | None:
    try:
        value: Any = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and all(isinstance(row, list) for row in value):
        if all(isinstance(cell, int) and not isinstance(cell, bool) for row in value for cell in row):
            return value
    return None


def _line(line: str) -> list[int]:
    """A line's numbers; digits without anything between them are a number each. Empty where it says anything else."""
    text = line.strip().strip("|[],")
    if re.fullmatch(r"[1-9]{2,9}|[01]{2,9}", text):
        return [int(digit) for digit in text]
    return [int(number) for number in re.findall(r"\d+", text)] if re.fullmatch(r"[\d\s,|]{1,400}", text) else []


def latin_square(size: int, rng: Random, box: tuple[int, int] | None = None) -> Grid:
    """A square with every number once in each row and column, and in each box (height, width) where there are any."""
    height, width = box or (1, size)
    rows = [r for band in rng.sample(range(size // height), size // height)
            for r in (band * height + at for at in rng.sample(range(height), height))]  # fmt: skip
    columns = [c for stack in rng.sample(range(size // width), size // width)
               for c in (stack * width + at for at in rng.sample(range(width), width))]  # fmt: skip
    numbers = rng.sample(range(1, size + 1), size)
    return [[numbers[(r % height * width + r // height + c) % size] for c in columns] for r in rows]


def solutions(
    givens: Grid, *, box: tuple[int, int] | None = None, fits: Fits | None = None, most: int = 2
) -> list[Grid] | None:
    """The first `most` ways to fill the zeros so that no row, column or box repeats a number; None where the search
    grows too long to tell."""
    search = _Search([list(row) for row in givens], box, fits)
    found: list[Grid] = []
    for grid in search.run():
        found.append(grid)
        if len(found) == most:
            break
    return None if search.nodes > MOST_NODES else found


def keeps_rules(grid: Grid, givens: Grid, box: tuple[int, int] | None = None) -> bool:
    """Whether a full grid has each number once in each row, column and box, and the givens where they were."""
    size = len(grid)
    everything = set(range(1, size + 1))
    groups: list[Sequence[int]] = [*grid, *zip(*grid, strict=True)]
    if box is not None:
        groups += _boxes(grid, *box)
    kept = all(given in (0, value) for row, own in zip(givens, grid, strict=True)
               for given, value in zip(row, own, strict=True))  # fmt: skip
    return kept and all(set(group) == everything for group in groups)


def dig(full: Grid, blanks: int, rng: Random, unique: Callable[[Grid], bool]) -> Grid | None:
    """The grid with so many cells emptied that there is still one way to fill it; None where there are not so many."""
    givens = [list(row) for row in full]
    left = blanks
    size = len(full)
    for at in rng.sample(range(size * size), size * size):
        if left == 0:
            break
        row, column = divmod(at, size)
        value, givens[row][column] = givens[row][column], 0
        if unique(givens):
            left -= 1
        else:
            givens[row][column] = value
    return givens if left == 0 else None


def _boxes(grid: Grid, height: int, width: int) -> list[list[int]]:
    size = len(grid)
    return [
        [grid[r][c] for r in range(top, top + height) for c in range(left, left + width)]
        for top in range(0, size, height)
        for left in range(0, size, width)
    ]


class _Search:
    """Depth first, always at the cell with the fewest numbers left; `nodes` counts placements."""

    def __init__(self, grid: Grid, box: tuple[int, int] | None, fits: Fits | None) -> None:
        self.grid, self.fits, self.size, self.nodes = grid, fits, len(grid), 0
        height, width = box or (1, self.size)
        per_band = self.size // width
        self.box_of = [[r // height * per_band + c // width for c in range(self.size)] for r in range(self.size)]
        self.rows, self.columns, self.boxes = ([0] * self.size for _ in range(3))
        for r in range(self.size):
            for c in range(self.size):
                if grid[r][c]:
                    self._flip(r, c, 1 << grid[r][c])

    def run(self) -> Iterator[Grid]:
        """The solutions, as they are found; ends early where `nodes` passes its bound."""
        place = self._tightest()
        if place is None:
            yield [list(row) for row in self.grid]
            return
        r, c = place
        for value in range(1, self.size + 1):
            if not self._used(r, c) >> value & 1:
                self.nodes += 1
                if self.nodes > MOST_NODES:
                    return
                self.grid[r][c] = value
                self._flip(r, c, 1 << value)
                if self.fits is None or self.fits(self.grid, r, c):
                    yield from self.run()
                self._flip(r, c, 1 << value)
                self.grid[r][c] = 0

    def _used(self, r: int, c: int) -> int:
        return self.rows[r] | self.columns[c] | self.boxes[self.box_of[r][c]]

    def _flip(self, r: int, c: int, bit: int) -> None:
        self.rows[r] ^= bit
        self.columns[c] ^= bit
        self.boxes[self.box_of[r][c]] ^= bit

    def _tightest(self) -> tuple[int, int] | None:
        empty = ((r, c) for r in range(self.size) for c in range(self.size) if not self.grid[r][c])
        return max(empty, key=lambda cell: self._used(*cell).bit_count(), default=None)
