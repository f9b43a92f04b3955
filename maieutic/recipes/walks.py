"""Runs of the graph `tree` as walks: what the recipes over searches have in common."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from maieutic.errors import UserError
from maieutic.recipes.groups import Attempt, attempts, drop_kept
from maieutic.recipes.linearise import Move, TreeNode, goal_of, linearise, tree_of
from maieutic.recipes.recipe import Candidate, Tally


@dataclass(frozen=True, slots=True)
class Walk:
    """A run that ended right, its tree, and the moves through it; `back` of these go back."""

    attempt: Attempt
    tree: Mapping[str, TreeNode]
    moves: tuple[Move, ...]
    back: int


def walks(runs: Iterable[Candidate], tally: Tally, recipe: str, *, wrong: int, deep: int, least: int) -> Iterator[Walk]:
    """The walks with at least `least` ways back, for `recipe`; `wrong` and `deep` as in `linearise`. Raises UserError
    where no run has a tree."""
    trees = 0
    for attempt in attempts(runs, tally, recipe):
        tree = tree_of(attempt.run)
        trees += bool(tree)
        goal = goal_of(attempt.run, tree)
        moves = tuple(linearise(tree, goal, wrong=wrong, deep=deep)) if goal and attempt.right else ()
        back = sum(move.kind == "back" for move in moves)
        if moves and back >= least:
            yield Walk(attempt, tree, moves, back)
            continue
        reason = "no search tree" if not tree else "not right" if not attempt.right else "no wrong turn to show"
        drop_kept(tally, reason)
    if tally.seen and not trees:
        raise UserError(f"The recipe {recipe} needs search trees: collect with --graph tree.")
