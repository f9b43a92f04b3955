"""Dialogues of a search over steps: the next step, and what the steps so far are worth."""

import random

from maieutic.in_box.dialogue import SYSTEMS, Dialogue, assistant, dialogue, user
from maieutic.in_box.drafts import beside, draft_of, first_wrong, quoted, result_of
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
    """Question and steps so far; what they came to, worked anew as far, both side by side, then how they stand."""
    shown = _begun(problem, rng)
    own = work(problem)[: len(shown)]
    said, mine = result_of(shown[-1]), result_of(own[-1])
    status = LOST if said != mine else SOLVED if shown[-1].startswith("Answer") else HOLDS
    again = "\n".join(f"{number}. {line}" for number, line in enumerate(own, 1))
    quote = quoted(shown[-1])
    reply = f"{quote}\n{again}\n{beside(quote, own[-1])}\nStatus: {status}"
    return dialogue("valuer", SYSTEMS["valuer"], user(quote_steps(problem, shown)), assistant(reply))


def _begun(problem: Problem, rng: random.Random) -> list[str]:
    """The first steps of a draft, wrong about as often as right; what the last one came to tells which."""
    own = work(problem)
    while True:
        draft = draft_of(problem, rng, 0.8)
        shown = draft[: rng.randint(1, len(draft))]
        wrong = (first_wrong(shown, problem) or len(own) + 1) <= len(shown)
        if len(shown) <= len(own) and wrong == (result_of(shown[-1]) != result_of(own[len(shown) - 1])):
            return shown


def quote_steps(problem: Problem, steps: list[str]) -> str:
    """The question and the steps so far, as the graph `tree` shows them to both roles."""
    shown = "\n\n".join(f"Step {i}: {step}" for i, step in enumerate(steps, 1)) or "none yet"
    return f"{problem.question}\n\nSteps:\n{shown}"
