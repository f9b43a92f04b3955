"""`o1_journey`: a search as one long thought, with its wrong turns and the ways back out of them.

Journey learning (Qin et al. 2024, arXiv 2410.18982). There a model writes the words between the steps; here they say
only that one goes back, and to where, so that nothing is learnt that the search did not do.
"""

from collections.abc import Iterable, Iterator

from maieutic.errors import UserError
from maieutic.recipes.dialogues import asked, said
from maieutic.recipes.groups import Attempt, attempts, drop_kept
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.linearise import as_text, goal_of, linearise, tree_of
from maieutic.recipes.recipe import Candidate, Tally, recipe


@recipe("o1_journey", needs="verified runs of `tree`")
def o1_journey(
    runs: Iterable[Candidate],
    tally: Tally,
    *,
    wrong: int = 1,
    deep: int = 2,
    least: int = 1,
    thinking: bool = False,
) -> Iterator[Dialogue]:
    """Runs of the graph `tree` that ended right. At most `wrong` wrong steps are entered before each right one, each
    followed `deep` levels down; walks with fewer than `least` ways back are left out, since a straight one shows no
    journey. `thinking` puts the walk into the reply's reasoning, and only its last step into the reply. Raises
    UserError where no run has a tree.
    """
    trees = 0
    for attempt in attempts(runs, tally, "o1_journey"):
        tree = tree_of(attempt.run)
        trees += bool(tree)
        goal = goal_of(attempt.run, tree)
        moves = linearise(tree, goal, wrong=wrong, deep=deep) if goal and attempt.right else ()
        back = sum(move.kind == "back" for move in moves)
        if not moves or back < least:
            reason = "no search tree" if not tree else "not right" if not attempt.right else "no wrong turn to show"
            drop_kept(tally, reason)
            continue
        root = next(node for node in tree.values() if node.up is None)
        turn = _reply(as_text(moves, root), moves[-1].node.action, thinking)
        yield Dialogue((*asked(attempt.run), turn), (attempt.run.header.run_id,), _meta(attempt, len(moves), back))
    if tally.seen and not trees:
        raise UserError("The recipe o1_journey needs search trees: collect with --graph tree.")


def _reply(walk: str, last: str, thinking: bool) -> Turn:
    if not thinking:
        return said(walk)
    return Turn({"role": "assistant", "content": last, "reasoning": walk}, True)


def _meta(attempt: Attempt, moves: int, back: int) -> dict[str, object]:
    return {"moves": moves, "ways_back": back, "answer": attempt.answer}
