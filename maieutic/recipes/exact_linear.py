"""`exact_linear`: a search as a dialogue of steps, the steps back among them as actions of their own.

Exploratory learning (Yu et al. 2024, ExACT, arXiv 2410.02052): a policy learns from whole traversals of a search tree
to look into a way, to judge it, and to go back. Only runs that ended right are taken.

Deviation: the paper has a model rewrite the judge's words in the first person, and keeps the rewriting where it leaves
the action as it was; here a short judgement is made of the recorded value, and steps are never rewritten.
"""

from collections.abc import Iterable, Iterator, Sequence

from maieutic.recipes.dialogues import asked, go_on, said, step_turns
from maieutic.recipes.groups import Attempt
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.linearise import Move, going_back
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.recipes.walks import walks

_STANDING = (
    (0.1, "This is lost: a step or the answer is wrong."),
    (0.35, "This is doubtful: a step is probably wrong."),
    (0.7, "This may lead to the answer."),
    (0.95, "This is nearly solved."),
    (float("inf"), "This is solved."),
)


@recipe("exact_linear", needs="verified runs of `tree`")
def exact_linear(
    runs: Iterable[Candidate], tally: Tally, *, wrong: int = 2, deep: int = 2, judged: bool = True, least: int = 0
) -> Iterator[Dialogue]:
    """Runs of the graph `tree`. At most `wrong` wrong steps are entered before each right one, each followed `deep`
    levels down; `judged` has a state judged, where its value is known, before the next step is taken; walks with fewer
    than `least` ways back are left out. Raises UserError where no run has a tree."""
    for walk in walks(runs, tally, "exact_linear", wrong=wrong, deep=deep, least=least):
        turns = (*asked(walk.attempt.run), *_turns(walk.attempt, walk.moves, judged))
        meta = {"moves": len(walk.moves), "ways_back": walk.back}
        yield Dialogue(turns, (walk.attempt.run.header.run_id,), meta)


def _turns(attempt: Attempt, moves: Sequence[Move], judged: bool) -> list[Turn]:
    calls = {call.call_id: call for call in attempt.run.calls}
    turns: list[Turn] = []
    depth, value = 0, None
    for move in moves:
        standing = _judgement(value) if judged else ""
        if move.kind == "back":
            depth -= move.levels
            turns += [said(standing + going_back(move, depth), author="template"), go_on()]
        else:
            depth += 1
            step, after = step_turns([move.node], calls, learn=True)
            turns += [_with(standing, step), after]
        value = None if move.kind == "back" else move.node.value
    return turns[:-1]


def _judgement(value: float | None) -> str:
    """What is said of the state one is in, before the next step; nothing where its value is missing."""
    return "" if value is None else next(words for most, words in _STANDING if value <= most) + "\n\n"


def _with(standing: str, turn: Turn) -> Turn:
    if not standing:
        return turn
    message = turn.message.copy()
    message["content"] = f"{standing}{message['content'] or ''}".rstrip()
    return Turn(message, turn.learn, turn.author, turn.call)
