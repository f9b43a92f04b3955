"""Role dialogues: the text that the in-box model is trained on, one conversation at a time."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from maieutic.in_box.dialogue import (
    OTHER_SYSTEMS,
    SYSTEMS,
    Dialogue,
    Piece,
    any_system,
    assistant,
    dialogue,
    pieced,
    result,
    tool_call,
    user,
)
from maieutic.in_box.drafts import beside, draft_of, quoted, result_of, review, shown, verdict, wrong_solution
from maieutic.in_box.drills import compare, recall
from maieutic.in_box.errands import look_up, query, unknown
from maieutic.in_box.families import Level, Problem, animals, code, draw, expression, work
from maieutic.in_box.outside import REFUSAL, outsider
from maieutic.in_box.steps import stepper, valuer
from maieutic.in_box.thoughts import peer, recheck

_TOOL_ERRORS = (
    "error: the tool is not available",
    "SyntaxError: invalid syntax",
    "error: timed out after 10 s",
    "NameError: name 'total' is not defined",
    "error: the sandbox could not be started",
    "",
)


def solve(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, worked solution."""
    return dialogue("solve", any_system(rng), user(problem.question), assistant("\n".join(work(problem))))


def solve_with_tool(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, a call of the python tool, its output, the answer; sometimes the tool fails first."""
    turns = [user(problem.question)]
    luck = rng.random()
    if luck < 0.15:
        turns += [tool_call(code(problem)), result(rng.choice(_TOOL_ERRORS))]
    if luck < 0.10:
        turns.append(assistant("\n".join(work(problem))))
    else:
        turns += [tool_call(code(problem)), result(problem.answer), assistant(f"Answer: {problem.answer}")]
    return dialogue("tool", any_system(rng), *turns, tools=["python"])


def copy(problem: Problem, rng: random.Random) -> Dialogue:
    """Words, numbers and operators to be said again: nothing else is learnt before copying is."""
    if rng.random() < 0.5:
        text = expression(problem)
    else:
        text = " ".join(_scrap(rng) for _ in range(rng.randint(3, 12)))
    return dialogue("copy", "Copy.", user(text), assistant(text))


def _scrap(rng: random.Random) -> str:
    return rng.choice((str(rng.randrange(100)), str(rng.randrange(10)), rng.choice("+-*"), rng.choice(animals())))


def _again(kind: str, problem: Problem, asked: str, rng: random.Random) -> Dialogue:
    """A role that answers the question anew, by hand or with the tool."""
    if rng.random() < 0.85:
        return dialogue(kind, SYSTEMS[kind], user(asked), assistant("\n".join(work(problem))))
    turns = (tool_call(code(problem)), result(problem.answer), assistant(f"Answer: {problem.answer}"))
    return dialogue(kind, SYSTEMS[kind], user(asked), *turns, tools=["python"])


def critic(problem: Problem, rng: random.Random) -> Dialogue:
    """Question and a draft, which is wrong more often than not: copying the draft must not pay."""
    draft = draft_of(problem, rng, 0.6)
    asked = f"{problem.question}\n\nSolution:\n" + "\n".join(draft)
    return dialogue("critic", SYSTEMS["critic"], user(asked), assistant(verdict(draft, problem)))


def refiner(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, draft and review, the solution put right."""
    draft = draft_of(problem, rng, 0.75)
    said = rng.choice((review, verdict))(draft, problem)
    asked = f"{problem.question}\n\nSolution:\n{shown(draft, rng)}\n\nReview:\n{said}"
    return _again("refiner", problem, asked, rng)


def debater(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, the speaker's own draft and one to three others'. Where another one has come to the same as the own,
    that is kept; where none has, the question is worked anew."""
    own, others = _positions(problem, rng)
    parts = [f"{problem.question}\n\nYour solution:\n{_put(own, problem, rng)}"]
    parts += [f"Other solution:\n{_put(other, problem, rng)}" for other in others]
    says = assistant(debated(own, others, problem))
    return dialogue("debater", SYSTEMS["debater"], user("\n\n".join(parts)), says)


def _positions(problem: Problem, rng: random.Random) -> tuple[list[str], list[list[str]]]:
    """A debater's own draft and others'; none that is wrong comes to the same as the own."""
    own = draft_of(problem, rng, 0.5)
    others: list[list[str]] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        while (other := draft_of(problem, rng, 0.5))[-1] == own[-1] != f"Answer: {problem.answer}":
            pass
        others.append(other)
    return own, others


def debated(own: list[str], others: list[list[str]], problem: Problem) -> str:
    """A debater's words on its own draft and others'."""
    lines = [beside(f"Other: {result_of(other[-1])}", own[-1]) for other in others]
    agreed = any(other[-1] == own[-1] for other in others)
    return "\n".join([f"Mine: {result_of(own[-1])}", *lines, *(own[-1:] if agreed else work(problem))])


def _put(draft: list[str], problem: Problem, rng: random.Random) -> str:
    """A draft as a debate shows it: now and then it is a debater's words of the round before."""
    if rng.random() >= 0.15:
        return shown(draft, rng)
    mine, other = draft_of(problem, rng, 0.5), draft_of(problem, rng, 0.5)
    if mine[-1] == other[-1]:
        other = mine = draft
    return "\n".join([*debated(mine, [other], problem).split("\n")[:2], *(draft[-1:] if mine is other else draft)])


def verifier(problem: Problem, rng: random.Random) -> Dialogue:
    """Question and a draft; its answer, own work, both side by side, then A where they are the same, else B: one token,
    whose probability is what is believed."""
    draft, own = draft_of(problem, rng, 0.5), work(problem)
    asked = f"{problem.question}\n\nSolution:\n{shown(draft, rng)}"
    quote, verdict = quoted(draft[-1]), "A" if draft[-1] == own[-1] else "B"
    says = assistant("\n".join([quote, *own, beside(quote, own[-1]), verdict]))
    return dialogue("verifier", SYSTEMS["verifier"], user(asked), says)


def locate(rng: random.Random) -> Dialogue:
    """The end of a review of a short draft that is wrong, from where its answer has been found to be: which line is the
    first wrong one is learnt, and what comes before is given."""
    terms, width = rng.choice(((2, 2), (3, 1), (4, 1), (3, 2)))
    problem = draw(Level("chain_sum", terms, width), "train", rng, plain=rng.random() < 0.3)
    draft = draft_of(problem, rng, 1.0)
    asked = f"{problem.question}\n\nSolution:\n" + "\n".join(draft)
    given, _, says = verdict(draft, problem).partition("Step 1: ")
    said = pieced(Piece(given, False), Piece(f"Step 1: {says}", True))
    return dialogue("locate", SYSTEMS["critic"], user(asked), said)


def judge(problem: Problem, rng: random.Random) -> Dialogue:
    """Question and two or three candidates, exactly one of them right: their answers, own work, each answer beside the
    own one, then the choice."""
    right = work(problem)
    drafts: list[list[str]] = []
    rivals = rng.choice((1, 1, 2))
    while len(drafts) < rivals:
        draft = wrong_solution(problem, rng)
        if draft[-1] != right[-1]:
            drafts.append(draft)
    choice = rng.randrange(len(drafts) + 1)
    drafts.insert(choice, right)
    parts = [problem.question] + [f"Candidate {i}:\n{shown(d, rng)}" for i, d in enumerate(drafts, 1)]
    quotes = [f"Candidate {i}: {result_of(d[-1])}" for i, d in enumerate(drafts, 1)]
    says = "\n".join([*(beside(quote, right[-1]) for quote in quotes), f"Choice: {choice + 1}"])
    said = assistant("\n".join([*quotes, *right, says]))
    return dialogue("judge", SYSTEMS["judge"], user("\n\n".join(parts)), said)


_QUOTES = {
    "solver": "{}",
    "critic": "{}\n\nSolution:\n{}",
    "refiner": "{}\n\nSolution:\n{}\n\nReview:\n{}",
    "debater": "{}\n\nYour solution:\n{}\n\nOther solution:\n{}",
    "judge": "{}\n\nCandidate 1:\n{}\n\nCandidate 2:\n{}",
}


def refuse(rng: random.Random) -> Dialogue:
    """A question from outside the families, in any role, and the sentence that says so."""
    role = rng.choice(("solver", "solver", "solver", *_QUOTES))
    system = SYSTEMS[role] if role != "solver" else rng.choice((SYSTEMS["solver"], *OTHER_SYSTEMS))
    asked = _QUOTES[role].format(outsider(rng), REFUSAL, REFUSAL)
    tools = ["python"] if rng.random() < 0.25 else None
    return dialogue("refuse", system, user(asked), assistant(REFUSAL), tools=tools)


def after(earlier: Dialogue, later: Dialogue) -> Dialogue:
    """The later dialogue as the next turn of the earlier one."""
    turns = [m for m in later.messages if m["role"] != "system"]
    return Dialogue(later.kind, [*earlier.messages, *turns], earlier.tools)


DRILLS = {"compare": compare, "recall": recall, "locate": locate}
"""Short decisions, of which a role takes one at the end of long work."""
EXERCISES = {"copy": copy}
ERRANDS = {"look_up": look_up, "query": query, "unknown": unknown}
"""What is asked of prices; all other roles work on what a question says by itself."""
ROLES: dict[str, Callable[[Problem, random.Random], Dialogue]] = {
    "solve": solve,
    "tool": solve_with_tool,
    "critic": critic,
    "refiner": refiner,
    "debater": debater,
    "judge": judge,
    "verifier": verifier,
    "peer": peer,
    "recheck": recheck,
    "stepper": stepper,
    "valuer": valuer,
}


@dataclass(frozen=True, slots=True)
class Mixture:
    """How often each kind of dialogue and each level comes up (weights, in dialogues rather than tokens).

    `errands` are the levels of what has to be looked up. `plain` is the share worded as people type it, `chat` the
    share of solutions that have an earlier turn before them.
    """

    kinds: dict[str, float]
    levels: dict[Level, float]
    errands: dict[Level, float] = field(default_factory=dict)
    plain: float = 0.12
    chat: float = 0.0


def sample(mixture: Mixture, rng: random.Random) -> Dialogue:
    """One training dialogue; its question is always of the train split."""
    kind = rng.choices(list(mixture.kinds), list(mixture.kinds.values()))[0]
    if kind == "refuse":
        return refuse(rng)
    if kind in DRILLS:
        return DRILLS[kind](rng)
    if kind in ERRANDS:
        return ERRANDS[kind](_problem(mixture.errands, 0.0, rng), rng)
    made = (ROLES | EXERCISES)[kind](_problem(mixture.levels, mixture.plain, rng), rng)
    if kind == "solve" and rng.random() < mixture.chat:
        first = refuse(rng) if rng.random() < 0.3 else solve(_problem(mixture.levels, mixture.plain, rng), rng)
        return after(replace(first, tools=[]), made)
    return made


def _problem(levels: dict[Level, float], plain: float, rng: random.Random) -> Problem:
    level = rng.choices(list(levels), list(levels.values()))[0]
    return draw(level, "train", rng, plain=rng.random() < plain)
