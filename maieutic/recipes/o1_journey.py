"""`o1_journey`: a search as one long thought, with its wrong turns and the ways back out of them.

Journey learning (Qin et al. 2024, arXiv 2410.18982). There a model writes the words between the steps; here they say
only that one goes back, and to where, so that nothing is learnt that the search did not do.
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.dialogues import asked, said
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.linearise import as_text
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.recipes.walks import walks


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
    for walk in walks(runs, tally, "o1_journey", wrong=wrong, deep=deep, least=least):
        root = next(node for node in walk.tree.values() if node.up is None)
        turn = _reply(as_text(walk.moves, root), walk.moves[-1].node.action, thinking)
        run = walk.attempt.run
        meta = {"moves": len(walk.moves), "ways_back": walk.back, "answer": walk.attempt.answer}
        yield Dialogue((*asked(run), turn), (run.header.run_id,), meta)


def _reply(walk: str, last: str, thinking: bool) -> Turn:
    if not thinking:
        return said(walk)
    return Turn({"role": "assistant", "content": last, "reasoning": walk}, True)
