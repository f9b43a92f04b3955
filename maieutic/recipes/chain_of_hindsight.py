"""`chain_of_hindsight`: a worse and a better answer in one row, each named for what it is (Liu et al. 2023, arXiv
2302.02676).

Only the answers are learnt from, not the words that name them; which one comes first changes from row to row.
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.groups import Attempt, attempts, by_policy, chance, drop_kept, pick
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.recipe import Candidate, Tally, recipe

GOOD, BAD = "Give a right answer.", "Give a wrong answer."


@recipe("chain_of_hindsight", needs="verified groups")
def chain_of_hindsight(
    runs: Iterable[Candidate], tally: Tally, *, good: str = GOOD, bad: str = BAD
) -> Iterator[Dialogue]:
    """`good` and `bad` are the words before the answers; at inference the model is asked with `good`."""
    for group in by_policy(attempts(runs, tally, "chain_of_hindsight")).values():
        right = [attempt for attempt in group if attempt.right]
        wrong = [attempt for attempt in group if not attempt.right]
        if not right or not wrong:
            drop_kept(tally, "always solved" if right else "never solved", len(group))
            continue
        key = right[0].run.header.group_id or ""
        yield _row(pick(right, "hindsight", key), pick(wrong, "hindsight", key), good, bad)


def _row(right: Attempt, wrong: Attempt, good: str, bad: str) -> Dialogue:
    pieces = [(good, right), (bad, wrong)]
    chance("order", right.run.header.run_id).shuffle(pieces)
    turns = [Turn(message, author="template") for message in right.prompt]
    for number, (word, attempt) in enumerate(pieces):
        asked = word if number else f"{turns.pop().message['content']}\n\n{word}"
        turns.append(Turn({"role": "user", "content": asked}, author="template"))
        turns.append(Turn({"role": "assistant", "content": attempt.text}, learn=True))
    ids = (right.run.header.run_id, wrong.run.header.run_id)
    return Dialogue(tuple(turns), ids, {"first": "good" if pieces[0][0] == good else "bad"})
