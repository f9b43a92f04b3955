"""Dialogues in which somebody puts words into a thought: second thoughts, and what peers have found."""

import random

from maieutic.in_box.dialogue import SYSTEMS, Dialogue, Piece, any_system, assistant, dialogue, pieced, user
from maieutic.in_box.drafts import draft_of, first_wrong
from maieutic.in_box.families import Problem, work

SECOND_THOUGHTS = (
    "\n\nWait. There may be a mistake in this. Let me go back over it and check each step before I trust it.\n\n",
    "\n\nBefore I stand by this, let me check it: I go through the steps once more and put the result to the test.\n\n",
    "\n\nWait, I may have got something wrong here. Let me find the step that fails and put it right.\n\n",
    "\n\nHold on. Did I read the question as it is meant, and is what I take for granted true? Let me think again.\n\n",
    "\n\nWait\n\n",
)
"""What the graphs `deepening` and `rethink` put into a thought."""
PAUSES = (
    "Let me stop here for a moment and note where I stand, so that my peers can read it.",
    "Before I go on, I should put down briefly what I have so far.",
    "This is a good point to pause and take stock of what I have found.",
    "Hold on. I will sum up my progress for the others first.",
    "Let me step back and say in short what I know by now and what is still open.",
)
NUDGE = "My peers may be right or wrong. Let me compare this with my own work, check it, and then go on."
NOBODY = "There are no comments."
"""What the graph `peers` says in between."""


def peer(problem: Problem, rng: random.Random) -> Dialogue:
    """A thought that is interrupted, sums up where it stands, reads what peers found, and goes on from its first
    wrong step, or from where it was. Learnt are the summary and what follows. One in five is not interrupted."""
    right = work(problem)
    if rng.random() < 0.2:
        return dialogue("peer", SYSTEMS["peer"], user(problem.question), assistant("\n".join(right)))
    draft = draft_of(problem, rng, 0.35)
    at = rng.randrange(len(draft))
    begun = draft[at][: rng.randrange(len(draft[at]))] if rng.random() < 0.7 else ""
    wrong = first_wrong(draft[:at], problem)
    pieces = [Piece("\n".join([*draft[:at], begun] if begun else draft[:at]), False)]
    pieces.append(Piece(f"\n\n{rng.choice(PAUSES)}\n<summarize>\n", False))
    pieces.append(Piece(f"{draft[at - 1] if at else 'nothing yet'}\n</summarize>", True))
    heard = [f"Peer {i}: {_stand(problem, at, rng)}" for i in range(1, rng.choice((0, 1, 2, 2, 3)) + 1)]
    pieces.append(Piece("\n<comment>\n" + ("\n\n".join(heard) or NOBODY) + f"\n</comment>\n\n{NUDGE}\n\n", False))
    goes_on = right[at if wrong is None or wrong > at else wrong - 1 :]
    pieces.append(Piece("\n".join(goes_on), True))
    return dialogue("peer", SYSTEMS["peer"], user(problem.question), pieced(*(p for p in pieces if p.text)))


def _stand(problem: Problem, at: int, rng: random.Random) -> str:
    """What a peer has found, who is about as far."""
    draft = draft_of(problem, rng, 0.35)
    return draft[max(0, min(len(draft), at + rng.choice((-1, 0, 0, 0, 1))) - 1)] if at else "nothing yet"


def recheck(problem: Problem, rng: random.Random) -> Dialogue:
    """A draft, given and not learnt, a second thought that was put into its mouth, and the solution anew.

    It is what systems do that go on with a finished thought: the draft is wrong as often as it is right.
    """
    draft = draft_of(problem, rng, 0.5)
    if rng.random() < 0.3:  # interrupted in the middle
        draft = draft[: rng.randint(1, len(draft))]
    given = "\n".join(draft) + rng.choice(SECOND_THOUGHTS)
    spoken = (Piece(given, False), Piece("\n".join(work(problem)), True))
    return dialogue("recheck", any_system(rng), user(problem.question), pieced(*spoken))
