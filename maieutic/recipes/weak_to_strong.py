"""`weak_to_strong`: pairs without gold, from a weak and a strong model's answers to the same questions.

Weak-to-strong reasoning (Yang et al. 2024, arXiv 2407.13647), its second stage: the strong model's confidence is the
share of its samples that agree. `agree` gives the first stage: solutions where both models' answers agree.
"""

from collections import Counter
from collections.abc import Hashable, Iterator

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Attempt, answered, drop_kept, pick, side_by_side
from maieutic.recipes.items import Dialogue, Item, Pair, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.tasks.answers import canonical


@recipe("weak_to_strong", needs="runs of two models", gives="pairs, or dialogues")
def weak_to_strong(
    runs: Candidates,
    tally: Tally,
    *,
    weak: str = "",
    skip_below: float = 0.6,
    trust_from: float = 0.8,
    most: int = 1,
    agree: bool = False,
) -> Iterator[Item]:
    """`weak` is the weak model's name as the runs have it. `most` pairs a question. Raises UserError without it."""
    if not weak:
        raise UserError("The recipe weak_to_strong has to be told which model is the weak one: --set weak=NAME.")
    for group in side_by_side(answered(runs.by_task(), tally)):
        weaker = [attempt for attempt in group if attempt.run.header.models[0] == weak]
        stronger = [attempt for attempt in group if attempt.run.header.models[0] != weak]
        found = list(_items(weaker, stronger, skip_below, trust_from, most, agree)) if weaker and stronger else []
        if not found:
            drop_kept(tally, "nothing to learn from the two", len(group))
        yield from found


def _items(
    weaker: list[Attempt], stronger: list[Attempt], skip_below: float, trust_from: float, most: int, agree: bool
) -> Iterator[Item]:
    own = weaker[0]
    keys = [_key(attempt) for attempt in stronger]
    counted = Counter(key for key in keys if key is not None)
    if not counted:
        return
    majority, votes = max(counted.items(), key=lambda entry: (entry[1], -keys.index(entry[0])))
    confidence = votes / len(stronger)
    if agree:
        if _key(own) == majority:
            yield from (_solution(attempt) for attempt in (own, stronger[keys.index(majority)]))
        return
    among = [attempt for attempt, key in zip(stronger, keys, strict=True) if key == majority]
    against = [attempt for attempt, key in zip(stronger, keys, strict=True) if key not in (majority, None)]
    for number in range(most):
        pair = decide(_key(own) == majority, confidence, bool(against), skip_below, trust_from)
        if pair == "weak chosen":
            yield _pair(own, pick(against, own.run.header.task_key, number), confidence)
        elif pair == "weak rejected":
            yield _pair(pick(among, own.run.header.task_key, number), own, confidence)


def decide(agrees: bool, confidence: float, minority: bool, skip_below: float = 0.6, trust_from: float = 0.8) -> str:
    """What becomes of a question: "weak chosen", "weak rejected" or "skip"."""
    if confidence < skip_below:
        return "skip"
    if agrees:
        return "weak chosen" if minority else "skip"
    return "weak rejected" if confidence >= trust_from else "skip"


def _key(attempt: Attempt) -> Hashable | None:
    answer = attempt.answer
    return None if answer is None else canonical(answer, attempt.run.header.task.get("answer_type", "auto"))


def _pair(chosen: Attempt, rejected: Attempt, confidence: float) -> Pair:
    ids = (chosen.run.header.run_id, rejected.run.header.run_id)
    return Pair(chosen.prompt, chosen.reply, rejected.reply, "weak_to_strong", ids, {"confidence": confidence})


def _solution(attempt: Attempt) -> Dialogue:
    asked = tuple(Turn(message, author="template") for message in attempt.prompt)
    reply = attempt.reply
    return Dialogue((*asked, Turn(reply.message, True, call=reply.call)), (attempt.run.header.run_id,))
