"""Puzzles on a grid: any grid that keeps the rules is right, and one that breaks one of them is not."""

import json
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.tasks.envs.minesweeper import around, certain_mines
from maieutic.tasks.envs.skyscraper import seen
from maieutic.tasks.grids import keeps_rules, latin_square, read_grid, solutions
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome

FULL = ["sudoku", "futoshiki", "skyscraper", "kukurasu", "survo"]


def outcome(task: Task, grid: object) -> Outcome:
    return verify(task, f"Answer: {json.dumps(grid)}").outcome


@pytest.mark.parametrize("name", FULL)
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_a_grid_with_two_unlike_cells_exchanged_is_wrong(name: str, seed: int, random: Random) -> None:
    task = load_tasks(f"env:{name}?n=1&seed={seed}").tasks[0]
    gold: list[list[int]] = json.loads(json.dumps(task.gold))
    size = len(gold)
    cells = [(r, c) for r in range(size) for c in range(size)]
    (a, b), (c, d) = random.choice([(p, q) for p, q in combinations(cells, 2) if gold[p[0]][p[1]] != gold[q[0]][q[1]]])
    near = [list(row) for row in gold]
    near[a][b], near[c][d] = gold[c][d], gold[a][b]
    assert outcome(task, gold) is Outcome.CORRECT and outcome(task, near) is Outcome.WRONG
    assert outcome(task, gold[:-1]) is Outcome.FORMAT_ERROR
    assert outcome(task, [row[:-1] for row in gold]) is Outcome.FORMAT_ERROR


@pytest.mark.parametrize("name", FULL)
def test_a_grid_may_be_lines_and_is_read_from_the_last_answer(name: str) -> None:
    task = load_tasks(f"env:{name}?n=1").tasks[0]
    gold: list[list[int]] = json.loads(json.dumps(task.gold))
    lines = "\n".join(" ".join(map(str, row)) for row in gold)
    first = json.dumps([[9] * len(gold)] * len(gold))
    assert verify(task, f"Answer: {first}\nNo.\n\nAnswer:\n{lines}").outcome is Outcome.CORRECT
    assert verify(task, f"Answer: {json.dumps(gold)}\nNo.\n\nAnswer: {first}").outcome is not Outcome.CORRECT


def test_the_givens_count_even_where_all_other_rules_are_kept() -> None:
    task = load_tasks("env:sudoku?n=1").tasks[0]
    other = [[value % 4 + 1 for value in row] for row in json.loads(json.dumps(task.gold))]
    assert keeps_rules(other, [[0] * 4] * 4, (2, 2)) and outcome(task, other) is Outcome.WRONG


def test_survo_asks_for_the_numbers_of_the_list_and_not_only_for_the_sums() -> None:
    instance = {"givens": [[0, 0], [0, 0]], "numbers": [1, 2, 3, 4], "rows": [5, 5], "columns": [5, 5]}
    task = Task(question="?", gold=[[1, 4], [4, 1]], verifier="survo", metadata={"instance": instance})
    assert outcome(task, [[2, 3], [3, 2]]) is Outcome.WRONG
    instance = {**instance, "numbers": [1, 1, 4, 4]}
    task = task.model_copy(update={"metadata": {"instance": instance}})
    assert outcome(task, [[1, 4], [4, 1]]) is outcome(task, [[4, 1], [1, 4]]) is Outcome.CORRECT


def test_kukurasu_takes_any_marking_with_the_right_sums() -> None:
    marked, other = [[0, 0, 1], [0, 0, 1], [1, 1, 0]], [[1, 1, 0], [0, 0, 1], [0, 0, 1]]
    instance = {"rows": [3, 3, 3], "columns": [3, 3, 3]}
    task = Task(question="?", gold=marked, verifier="kukurasu", metadata={"instance": instance})  # pyright: ignore[reportArgumentType]
    assert outcome(task, marked) is Outcome.CORRECT
    assert outcome(task, [[1, 1, 0], [1, 1, 0], [0, 0, 1]]) is Outcome.CORRECT
    assert outcome(task, other) is Outcome.WRONG
    assert outcome(task, [[3, 0, 0], [0, 0, 1], [1, 1, 0]]) is Outcome.FORMAT_ERROR


@pytest.mark.parametrize(("line", "count"), [([1, 2, 3], 3), ([3, 2, 1], 1), ([2, 1, 3], 2), ([1, 4, 2, 3], 2)])
def test_what_is_seen_of_a_line(line: list[int], count: int) -> None:
    assert seen(line) == count


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([(4, (2, 2)), (6, (2, 3)), (9, (3, 3)), (5, None)]))
def test_squares_keep_their_rules(random: Random, shape: tuple[int, tuple[int, int] | None]) -> None:
    size, box = shape
    square = latin_square(size, random, box)
    assert keeps_rules(square, square, box)
    square[0][0] = square[0][0] % size + 1
    assert not keeps_rules(square, square, box)


def test_solutions_are_counted() -> None:
    assert len(solutions([[0] * 3 for _ in range(3)], most=100) or ()) == 12
    assert len(solutions([[0] * 4 for _ in range(4)], box=(2, 2), most=1000) or ()) == 288
    assert solutions([[1, 0], [0, 2]]) == []
    assert solutions([[0] * 9 for _ in range(9)], fits=lambda grid, r, c: r < 7) is None  # too long to tell


@pytest.mark.parametrize(
    ("text", "grid"),
    [("[[1,2],[3,4]]", [[1, 2], [3, 4]]), ("1 2\n3 4", [[1, 2], [3, 4]]), ("12\n34", [[1, 2], [3, 4]]),
     ("| 1 | 2 |\n| 3 | 4 |", [[1, 2], [3, 4]]), ("[[1,2],[3,true]]", None), ("[[1,2],[3,4.5]]", None),
     ("1 2\n3 four", None), ("[1,2,3,4]", None), ("[[1,2]", None), ("1 2 3 4", None), ("", None)],
)  # fmt: skip
def test_reading_a_grid(text: str, grid: list[list[int]] | None) -> None:
    assert read_grid(text, 2, 2) == grid


def brute_force(numbers: dict[tuple[int, int], int], size: int) -> set[tuple[int, int]]:
    hidden = [(r, c) for r in range(size) for c in range(size) if (r, c) not in numbers]
    layouts = []
    for bits in range(1 << len(hidden)):
        mines = {cell for at, cell in enumerate(hidden) if bits >> at & 1}
        if all(sum(other in mines for other in around(cell, size)) == n for cell, n in numbers.items()):
            layouts.append(mines)
    return set.intersection(*layouts)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_certain_mines_are_those_of_every_layout(random: Random) -> None:
    cells = [(r, c) for r in range(4) for c in range(4)]
    mines = set(random.sample(cells, 4))
    opened = random.sample([cell for cell in cells if cell not in mines], 5)
    numbers = {cell: sum(other in mines for other in around(cell, 4)) for cell in opened}
    assert certain_mines(numbers, 4) == brute_force(numbers, 4)


def test_a_mine_that_no_single_number_tells_is_certain_all_the_same() -> None:
    # 1 2 1 in the middle of a row: the two outer cells below are mines, as only both numbers together say
    numbers = {(0, 0): 1, (0, 1): 2, (0, 2): 2, (0, 3): 1}
    assert certain_mines(numbers, 4) == brute_force(numbers, 4) == {(1, 1), (1, 2)}


def test_cells_named_in_passing_do_not_spoil_an_answer() -> None:
    task = load_tasks("env:minesweeper?n=1").tasks[0]
    gold = json.dumps(task.gold)
    assert verify(task, f"[[1, 1]] can't be told, and [2, 2] neither.\n\nAnswer: {gold}").outcome is Outcome.CORRECT
    more = json.dumps([*json.loads(gold), [9, 9]])
    assert verify(task, f"Answer: {gold}, but on second thoughts\nAnswer: {more}").outcome is Outcome.WRONG
    assert verify(task, f"{gold} are the mines.").outcome is Outcome.UNPARSED
