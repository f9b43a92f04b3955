"""`rise_verify`: questions for a verifier, made of graded replies, with the outcome's own score as the answer.

RISE (Liu et al. 2025, "Trust, But Verify"): 1 for a right answer, -0.5 for a wrong one, -1 where none could be read.
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.drawn import Lot, drawn
from maieutic.recipes.groups import Attempt, attempts, chance, drop_kept
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.tasks.rewards.answer import rise_outcome

_ASKED = """Judge a solution of a problem. Its score is 1 if its final answer is right, -0.5 if its final answer is
wrong, and \
-1 if it gives no final answer that can be read. Check its steps briefly, then give the score as \\boxed{{score}}.

Problem:
{question}

Solution:
{solution}"""
_SAID = {1.0: "Every step holds, and so does the final answer.", -0.5: "The final answer does not hold."}
_UNREAD = "There is no final answer that can be read."


@recipe("rise_verify", needs="verified runs")
def rise_verify(
    runs: Iterable[Candidate], tally: Tally, *, balance: bool = True, share: float = 1.0
) -> Iterator[Dialogue]:
    """`balance` keeps as many of each score as the rarest one that occurs has; `share` of what remains is taken (RISE:
    an eighth of a step's replies)."""

    def wanted(scores: dict[str, int]) -> dict[str, int]:
        least = min(scores.values(), default=0)
        taken = {score: round((least if balance else number) * share) for score, number in scores.items()}
        drop_kept(tally, "more than the rarest score", sum(scores.values()) - sum(taken.values()))
        return taken

    yield from drawn(map(_lot, attempts(runs, tally, "rise_verify")), wanted)


def _lot(attempt: Attempt) -> Lot:
    score = rise_outcome(attempt.outcome)
    assert score is not None
    return str(score), chance("rise", attempt.run.header.run_id).random(), _row(attempt, score)


def _row(attempt: Attempt, score: float) -> Dialogue:
    question = str(attempt.run.header.task.get("question", ""))
    asked = _ASKED.format(question=question, solution=attempt.text.strip())
    said = f"{_SAID.get(score, _UNREAD)}\n\\boxed{{{score}}}"
    turns = (
        Turn({"role": "user", "content": asked}, author="template"),
        Turn({"role": "assistant", "content": said}, learn=True, author="template"),
    )
    return Dialogue(turns, (attempt.run.header.run_id,), {"target": score, "outcome": attempt.outcome})
