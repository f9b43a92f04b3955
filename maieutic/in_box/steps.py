"""Dialogues of a search over steps: the next step, and what the steps so far are worth."""

import random

from maieutic.in_box.dialogue import SYSTEMS, Dialogue, assistant, dialogue, user
from maieutic.in_box.drafts import compared, draft_of, first_wrong
from maieutic.in_box.families import Problem, work

SOLVED, HOLDS, LOST = "A", "B", "E"
"""What a valuer may say of steps, of the five statuses that the graph `tree` reads."""


def stepper(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, steps so far, the next one. Where a step is wrong those after it go on from it, as a search has it."""
    draft = draft_of(problem, rng, 0.3)
    at = rng.randrange(len(draft))
    wrong = first_wrong(draft, problem)
    line = work(problem)[at] if at + 1 == wrong else draft[at]
    return dialogue("stepper", SYSTEMS["stepper"], user(quote_steps(problem, draft[:at])), assistant(line))


def valuer(problem: Problem, rng: random.Random) -> Dialogue:
    """Question and steps so far; worked anew and compared up to the first wrong one, then how they stand."""
    draft = draft_of(problem, rng, 0.6)
    shown = draft[: rng.randint(1, len(draft))] if rng.random() < 0.7 else draft
    lines, wrong = compared(shown, problem)
    status = LOST if wrong else SOLVED if shown[-1].startswith("Answer") else HOLDS
    said = "\n".join([*lines, f"Status: {status}"])
    return dialogue("valuer", SYSTEMS["valuer"], user(quote_steps(problem, shown)), assistant(said))


def quote_steps(problem: Problem, steps: list[str]) -> str:
    """The question and the steps so far, as the graph `tree` shows them to both roles."""
    shown = "\n\n".join(f"Step {i}: {step}" for i, step in enumerate(steps, 1)) or "none yet"
    return f"{problem.question}\n\nSteps:\n{shown}"
