"""`restart_explore`: the beginnings of right and wrong attempts as places to start from, after a word to reflect.

Restart and explore (Shen et al. 2025, Satori, arXiv 2502.02508): of each question one right and one wrong own attempt
are cut some steps before their end. `rows=starts` gives prompts for reinforcement learning, each with the bonus of its
reward: a wrong beginning that is put right earns it, a right one that is spoiled loses it. `rows=revisions` gives
what follows such a word: a right solution after a wrong beginning, and its own rest after a right one, as many of each,
since otherwise reflecting would come to mean that one was wrong.

Steps are lines that are not empty. What follows the word is a turn of its own, so that trainers that mask by turns
learn from nothing else.
"""

from collections.abc import Iterator
from typing import Any, Literal

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import lines_of, said
from maieutic.recipes.groups import Attempt, by_policy, chance, drop_kept, pick
from maieutic.recipes.items import Dialogue, Item, Prompt, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.tasks.answers import extract
from maieutic.types import Message

REFLECT = "Let me check what I have so far."
HOLDS = "Every step so far holds, so I go on."
ASTRAY = "There is a mistake in it. I try another way."


@recipe("restart_explore", needs="verified groups", gives="prompts or dialogues")
def restart_explore(
    runs: Candidates,
    tally: Tally,
    *,
    rows: Literal["starts", "revisions"] = "starts",
    back: int = 3,
    bonus: float = 0.5,
    word: str = REFLECT,
) -> Iterator[Item]:
    """Attempts are cut up to `back` steps before their end, at a place that is the same every time; `word` stands at
    the end of what is kept. Questions that were always or never solved are left out."""
    for group in by_policy(runs, tally, "restart_explore"):
        number = len(group.attempts)
        if not group.right or not group.wrong:
            drop_kept(tally, "always solved" if group.right else "never solved", number)
            continue
        pair = (pick(group.right, "restart", group.id), pick(group.wrong, "restart", group.id))
        cuts = [cut(attempt, back) for attempt in pair]
        if None in cuts:
            drop_kept(tally, "too short to be cut", number)
            continue
        drop_kept(tally, "another attempt was taken", number - 2)
        for attempt, end in zip(pair, cuts, strict=True):
            assert end is not None
            head = f"{attempt.text[:end].rstrip()}\n\n{word}"
            yield (
                _start(attempt, head, bonus, group.meta)
                if rows == "starts"
                else _revision(attempt, head, end, pair[0], group.meta)
            )


def cut(attempt: Attempt, back: int) -> int | None:
    """Where an attempt is cut: before one of its last `back` steps, and before it has given an answer. None where
    nothing would be left."""
    lines = lines_of(attempt.text)
    steps = chance("restart", attempt.run.header.run_id).randint(1, max(1, back))
    for start, _ in reversed(lines[1 : max(2, len(lines) - steps + 1)]):
        if extract(attempt.text[:start], attempt.run.header.task.get("answer_type", "auto")) is None:
            return start
    return None


def _start(attempt: Attempt, head: str, bonus: float, meta: dict[str, Any]) -> Prompt:
    won = {"from": "right", "bonus_if_wrong": -bonus} if attempt.right else {"from": "wrong", "bonus_if_right": bonus}
    begun: Message = {"role": "assistant", "content": head}
    return Prompt(
        (*attempt.prompt, begun), dict(attempt.run.header.task), (attempt.run.header.run_id,), {**won, **meta}
    )


def _revision(attempt: Attempt, head: str, end: int, right: Attempt, meta: dict[str, Any]) -> Dialogue:
    rest = f"{HOLDS}\n\n{attempt.text[end:].strip()}" if attempt.right else f"{ASTRAY}\n\n{right.text.strip()}"
    shown = [Turn(message, author="template") for message in attempt.prompt]
    ids = dict.fromkeys((attempt.run.header.run_id, right.run.header.run_id))
    said_of = {"from": "right" if attempt.right else "wrong", **meta}
    return Dialogue((*shown, said(head, learn=False), said(rest)), tuple(ids), said_of)
