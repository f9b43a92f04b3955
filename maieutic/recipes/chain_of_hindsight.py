"""`chain_of_hindsight`: a worse and a better answer in one row, each named for what it is (Liu et al. 2023, arXiv
2302.02676).

Only the answers are learnt from, not the words that name them; which one comes first changes from row to row.
"""

from collections.abc import Iterator
from typing import Any

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Attempt, by_policy, chance, drop_kept, pick
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.recipe import Tally, recipe

GOOD, BAD = "Give a right answer.", "Give a wrong answer."


@recipe("chain_of_hindsight", needs="verified groups")
def chain_of_hindsight(runs: Candidates, tally: Tally, *, good: str = GOOD, bad: str = BAD) -> Iterator[Dialogue]:
    """`good` and `bad` are the words before the answers; at inference the model is asked with `good`."""
    for group in by_policy(runs, tally, "chain_of_hindsight"):
        if not group.right or not group.wrong:
            drop_kept(tally, "always solved" if group.right else "never solved", len(group.attempts))
            continue
        right, wrong = (pick(side, "hindsight", group.id) for side in (group.right, group.wrong))
        yield _row(right, wrong, good, bad, group.meta)


def _row(right: Attempt, wrong: Attempt, good: str, bad: str, meta: dict[str, Any]) -> Dialogue:
    pieces = [(good, right), (bad, wrong)]
    chance("order", right.run.header.run_id).shuffle(pieces)
    turns = [Turn(message, author="template") for message in right.prompt]
    for number, (word, attempt) in enumerate(pieces):
        asked = word if number else f"{turns.pop().message['content']}\n\n{word}"
        turns.append(Turn({"role": "user", "content": asked}, author="template"))
        turns.append(Turn({"role": "assistant", "content": attempt.text}, learn=True))
    ids = (right.run.header.run_id, wrong.run.header.run_id)
    return Dialogue(tuple(turns), ids, {"first": "good" if pieces[0][0] == good else "bad", **meta})
