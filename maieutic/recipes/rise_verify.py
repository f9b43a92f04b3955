"""`rise_verify`: questions for a verifier, made of graded replies, with the outcome's own score as the answer.

RISE (Liu et al. 2025, "Trust, But Verify"): 1 for a right answer, -0.5 for a wrong one, -1 where none could be read.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

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
    by_score: defaultdict[float, list[Attempt]] = defaultdict(list)
    for attempt in attempts(runs, tally, "rise_verify"):
        target = rise_outcome(attempt.outcome)
        assert target is not None
        by_score[target].append(attempt)
    least = min(map(len, by_score.values()), default=0)
    for score, group in sorted(by_score.items()):
        shuffled = sorted(group, key=lambda attempt: chance("rise", attempt.run.header.run_id).random())
        wanted = round((least if balance else len(group)) * share)
        drop_kept(tally, "more than the rarest score", len(group) - wanted)
        for attempt in shuffled[:wanted]:
            yield _row(attempt, score)


def _row(attempt: Attempt, score: float) -> Dialogue:
    question = str(attempt.run.header.task.get("question", ""))
    asked = _ASKED.format(question=question, solution=attempt.text.strip())
    said = f"{_SAID.get(score, _UNREAD)}\n\\boxed{{{score}}}"
    turns = (
        Turn({"role": "user", "content": asked}, author="template"),
        Turn({"role": "assistant", "content": said}, learn=True, author="template"),
    )
    return Dialogue(turns, (attempt.run.header.run_id,), {"target": score, "outcome": attempt.outcome})
