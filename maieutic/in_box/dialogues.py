"""Role dialogues: the text that the in-box model is trained on, one conversation at a time.

Each role has one fixed system text and one way of quoting drafts; `agents/prompts/in_box/` says the same words, so that
what the agents ask at run time is what was trained.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from maieutic.in_box.families import FAULTS, Fault, Level, Problem, animals, code, draw, expression, without_term, work
from maieutic.in_box.outside import REFUSAL, outsider

Message = dict[str, Any]

SYSTEMS = {
    "solver": "Solve.",
    "critic": "Check.",
    "refiner": "Repair.",
    "debater": "Debate.",
    "judge": "Judge.",
}
_OTHER_SYSTEMS = (
    None,
    None,
    "You are a helpful assistant.",
    "You are a helpful assistant. Think step by step and give the final answer.",
    "You are a careful solver. Work step by step.",
)
_TOOL_ERRORS = (
    "error: the tool is not available",
    "SyntaxError: invalid syntax",
    "error: timed out after 10 s",
    "NameError: name 'total' is not defined",
    "error: the sandbox could not be started",
    "",
)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Messages in the OpenAI form and the names of the tools on offer; assistant messages are what is learnt."""

    kind: str
    messages: list[Message]
    tools: list[str] = field(default_factory=list)


def _dialogue(kind: str, system: str | None, *turns: Message, tools: list[str] | None = None) -> Dialogue:
    head = [{"role": "system", "content": system}] if system is not None else []
    return Dialogue(kind, [*head, *turns], tools or [])


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def tool_call(program: str) -> Message:
    """An assistant message that runs `program` with the python tool."""
    call = {"type": "function", "function": {"name": "python", "arguments": json.dumps({"code": program})}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def _tool(output: str) -> Message:
    return {"role": "tool", "content": output}


def _system(rng: random.Random) -> str | None:
    return SYSTEMS["solver"] if rng.random() < 0.85 else rng.choice(_OTHER_SYSTEMS)


def solve(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, worked solution."""
    return _dialogue("solve", _system(rng), _user(problem.question), _assistant("\n".join(work(problem))))


def solve_with_tool(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, a call of the python tool, its output, the answer; sometimes the tool fails first."""
    turns = [_user(problem.question)]
    luck = rng.random()
    if luck < 0.15:
        turns += [tool_call(code(problem)), _tool(rng.choice(_TOOL_ERRORS))]
    if luck < 0.10:
        turns.append(_assistant("\n".join(work(problem))))
    else:
        turns += [tool_call(code(problem)), _tool(problem.answer), _assistant(f"Answer: {problem.answer}")]
    return _dialogue("tool", _system(rng), *turns, tools=["python"])


def copy(problem: Problem, rng: random.Random) -> Dialogue:
    """Words, numbers and operators to be said again: nothing else is learnt before copying is."""
    if rng.random() < 0.5:
        text = expression(problem)
    else:
        text = " ".join(_scrap(rng) for _ in range(rng.randint(3, 12)))
    return _dialogue("copy", "Copy.", _user(text), _assistant(text))


def _scrap(rng: random.Random) -> str:
    return rng.choice((str(rng.randrange(100)), str(rng.randrange(10)), rng.choice("+-*"), rng.choice(animals())))


def wrong_solution(problem: Problem, rng: random.Random) -> list[str]:
    """A solution whose lines differ from the right one's: a slip somewhere, or an overlooked term."""
    right = work(problem)
    if len(problem.terms) > 2 and rng.random() < 0.12:
        return work(without_term(problem, rng))
    at = rng.randrange(len(right)) if rng.random() < 0.5 else rng.randrange(max(1, len(right) - 1))
    return work(problem, Fault(at, rng.choice(FAULTS)), rng)


def first_wrong(solution: list[str], problem: Problem) -> int | None:
    """The number (from 1) of the first line that isn't as it should be, None when all are."""
    right = work(problem)
    for number, line in enumerate(right, 1):
        if number > len(solution) or solution[number - 1] != line:
            return number
    return None


def review(solution: list[str], problem: Problem) -> str:
    """The critic's words on `solution`: every step done again and compared, up to the first wrong one."""
    wrong = first_wrong(solution, problem)
    lines = []
    for number, line in enumerate(work(problem), 1):
        lines.append(f"Step {number}: {line}, {'wrong' if number == wrong else 'right'}")
        if number == wrong:
            break
    return "\n".join([*lines, f"First wrong step: {wrong or 'none'}"])


def _draft(problem: Problem, rng: random.Random, wrong: float) -> list[str]:
    return wrong_solution(problem, rng) if rng.random() < wrong else work(problem)


def _shown(draft: list[str], rng: random.Random) -> str:
    """A draft as others see it: sometimes, as after a tool call, its last line alone."""
    return draft[-1] if rng.random() < 0.12 else "\n".join(draft)


def _again(kind: str, problem: Problem, asked: str, rng: random.Random) -> Dialogue:
    """A role that answers the question anew, by hand or with the tool."""
    if rng.random() < 0.85:
        return _dialogue(kind, SYSTEMS[kind], _user(asked), _assistant("\n".join(work(problem))))
    turns = (tool_call(code(problem)), _tool(problem.answer), _assistant(f"Answer: {problem.answer}"))
    return _dialogue(kind, SYSTEMS[kind], _user(asked), *turns, tools=["python"])


def critic(problem: Problem, rng: random.Random) -> Dialogue:
    """Question and a draft, which is wrong more often than not: copying the draft must not pay."""
    draft = _draft(problem, rng, 0.6)
    asked = f"{problem.question}\n\nSolution:\n" + "\n".join(draft)
    return _dialogue("critic", SYSTEMS["critic"], _user(asked), _assistant(review(draft, problem)))


def refiner(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, draft and review, the solution put right."""
    draft = _draft(problem, rng, 0.75)
    asked = f"{problem.question}\n\nSolution:\n{_shown(draft, rng)}\n\nReview:\n{review(draft, problem)}"
    return _again("refiner", problem, asked, rng)


def debater(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, the speaker's own draft and one to three others', the right solution."""
    parts = [f"{problem.question}\n\nYour solution:\n{_shown(_draft(problem, rng, 0.5), rng)}"]
    for _ in range(rng.choice((1, 1, 2, 3))):
        parts.append(f"Other solution:\n{_shown(_draft(problem, rng, 0.5), rng)}")
    return _again("debater", problem, "\n\n".join(parts), rng)


def judge(problem: Problem, rng: random.Random) -> Dialogue:
    """Question and two or three candidates, exactly one of them right: own work, then the choice."""
    right = work(problem)
    drafts: list[list[str]] = []
    rivals = rng.choice((1, 1, 2))
    while len(drafts) < rivals:
        draft = wrong_solution(problem, rng)
        if draft[-1] != right[-1]:
            drafts.append(draft)
    choice = rng.randrange(len(drafts) + 1)
    drafts.insert(choice, right)
    parts = [problem.question] + [f"Candidate {i}:\n{_shown(d, rng)}" for i, d in enumerate(drafts, 1)]
    answer = "\n".join([*right, f"Choice: {choice + 1}"])
    return _dialogue("judge", SYSTEMS["judge"], _user("\n\n".join(parts)), _assistant(answer))


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
    system = SYSTEMS[role] if role != "solver" else rng.choice((SYSTEMS["solver"], *_OTHER_SYSTEMS))
    asked = _QUOTES[role].format(outsider(rng), REFUSAL, REFUSAL)
    tools = ["python"] if rng.random() < 0.25 else None
    return _dialogue("refuse", system, _user(asked), _assistant(REFUSAL), tools=tools)


def after(earlier: Dialogue, later: Dialogue) -> Dialogue:
    """The later dialogue as the next turn of the earlier one."""
    turns = [m for m in later.messages if m["role"] != "system"]
    return Dialogue(later.kind, [*earlier.messages, *turns], earlier.tools)


EXERCISES = {"copy": copy}
ROLES: dict[str, Callable[[Problem, random.Random], Dialogue]] = {
    "solve": solve,
    "tool": solve_with_tool,
    "critic": critic,
    "refiner": refiner,
    "debater": debater,
    "judge": judge,
}


@dataclass(frozen=True, slots=True)
class Mixture:
    """How often each kind of dialogue and each level comes up (weights, in dialogues rather than tokens).

    `plain` is the share worded as people type it, `chat` the share of solutions that have an earlier turn before them.
    """

    kinds: dict[str, float]
    levels: dict[Level, float]
    plain: float = 0.12
    chat: float = 0.0


def sample(mixture: Mixture, rng: random.Random) -> Dialogue:
    """One training dialogue; its question is always of the train split."""
    kind = rng.choices(list(mixture.kinds), list(mixture.kinds.values()))[0]
    if kind == "refuse":
        return refuse(rng)
    dialogue = (ROLES | EXERCISES)[kind](_problem(mixture, rng), rng)
    if kind == "solve" and rng.random() < mixture.chat:
        first = refuse(rng) if rng.random() < 0.3 else solve(_problem(mixture, rng), rng)
        return after(replace(first, tools=[]), dialogue)
    return dialogue


def _problem(mixture: Mixture, rng: random.Random) -> Problem:
    level = rng.choices(list(mixture.levels), list(mixture.levels.values()))[0]
    return draw(level, "train", rng, plain=rng.random() < mixture.plain)
