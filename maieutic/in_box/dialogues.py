"""Role dialogues: the text that the in-box model is trained on, one conversation at a time.

Each role has one fixed system text and one way of quoting drafts; `agents/prompts/in_box/` says the same words, so that
what the agents ask at run time is what was trained.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from maieutic.in_box.families import FAULTS, Fault, Level, Problem, animals, code, draw, expression, without_term, work
from maieutic.in_box.outside import REFUSAL, outsider
from maieutic.tasks.market import DEAREST, GOODS, note

Message = dict[str, Any]

SYSTEMS = {
    "solver": "Solve.",
    "critic": "Check.",
    "refiner": "Repair.",
    "debater": "Debate.",
    "judge": "Judge.",
    "verifier": "Verify.",
    "peer": "Think with peers.",
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

_LOOK_UP_ERRORS = (
    "error: timed out after 10 s",
    "error: database is locked",
    "Nothing was found: try other words.",
    "",
)
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
UNKNOWN = "Answer: I don't know"


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


class Piece(NamedTuple):
    """A part of an assistant message, and whether it is learnt: what others put into its mouth is not."""

    text: str
    learnt: bool


def _pieced(*pieces: Piece) -> Message:
    return {"role": "assistant", "content": "".join(piece.text for piece in pieces), "pieces": pieces}


def tool_call(program: str) -> Message:
    """An assistant message that runs `program` with the python tool."""
    return _call("python", code=program)


def _call(tool: str, **arguments: Any) -> Message:
    call = {"type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
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


def unknown(problem: Problem, rng: random.Random) -> Dialogue:
    """A question for prices where there is nothing to look them up in."""
    tools = ["python"] if rng.random() < 0.3 else None
    return _dialogue("unknown", _system(rng), _user(problem.question), _assistant(UNKNOWN), tools=tools)


def look_up(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, a query for the prices in it, what it finds, the solution; sometimes the tool fails first."""
    way = rng.choice((_in_table, _in_notes))
    tools, call, found = way(problem, rng)
    turns = [_user(problem.question)]
    luck = rng.random()
    if luck < 0.12:
        turns += [call, _tool(rng.choice(_LOOK_UP_ERRORS))]
    if luck < 0.04:
        turns.append(_assistant(UNKNOWN))
    else:
        turns += [call, _tool(found), _assistant("\n".join(work(problem)))]
    return _dialogue("look_up", _system(rng), *turns, tools=tools)


def _in_table(problem: Problem, rng: random.Random) -> tuple[list[str], Message, str]:
    """The tools on offer, the query and its result, as the tool `sql` writes it: in the table's order."""
    listed = ", ".join(f"'{term.thing}'" for term in problem.terms)
    call = _call("sql", query=f"SELECT item, price FROM prices WHERE item IN ({listed})")
    rows = [f"{term.thing} | {term.each}" for term in problem.terms]
    rng.shuffle(rows)
    count = f"[{len(rows)} row{'' if len(rows) == 1 else 's'}]"
    return rng.choice((["sql"], ["sql", "sql_schema"])), call, "\n".join(["item | price", *rows, count])


def _in_notes(problem: Problem, rng: random.Random) -> tuple[list[str], Message, str]:
    """The same with the tool `retrieve`, which finds a few notes that nobody asked for, too."""
    query = "price of " + ", ".join(term.thing for term in problem.terms)
    call = _call("retrieve", query=query, k=max(5, len(problem.terms) + 2))
    wanted = {term.thing: term.each for term in problem.terms}
    others = [good for good in GOODS if good not in wanted]
    found = wanted | {good: rng.randint(2, DEAREST) for good in rng.sample(others, max(2, 5 - len(wanted)))}
    goods = rng.sample(list(found), len(found))
    passages = []
    for number, good in enumerate(goods, 1):
        text = note(good, found[good])
        place = f"source {rng.randint(1, len(GOODS))}: {good}.md, characters 0-{len(text)}"
        passages.append(f"[{number}] {place}\n{text}")
    return rng.choice((["retrieve"], ["retrieve", "open_source"])), call, "\n\n".join(passages)


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


def peer(problem: Problem, rng: random.Random) -> Dialogue:
    """A thought that is interrupted, sums up where it stands, reads what peers found, and goes on from its first
    wrong step, or from where it was. Learnt are the summary and what follows. One in five is not interrupted."""
    right = work(problem)
    if rng.random() < 0.2:
        return _dialogue("peer", SYSTEMS["peer"], _user(problem.question), _assistant("\n".join(right)))
    draft = _draft(problem, rng, 0.35)
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
    return _dialogue("peer", SYSTEMS["peer"], _user(problem.question), _pieced(*(p for p in pieces if p.text)))


def _stand(problem: Problem, at: int, rng: random.Random) -> str:
    """What a peer has found, who is about as far."""
    draft = _draft(problem, rng, 0.35)
    return draft[max(0, min(len(draft), at + rng.choice((-1, 0, 0, 0, 1))) - 1)] if at else "nothing yet"


def recheck(problem: Problem, rng: random.Random) -> Dialogue:
    """A draft, given and not learnt, a second thought that was put into its mouth, and the solution anew.

    It is what systems do that go on with a finished thought: the draft is wrong as often as it is right.
    """
    draft = _draft(problem, rng, 0.5)
    if rng.random() < 0.3:  # interrupted in the middle
        draft = draft[: rng.randint(1, len(draft))]
    given = "\n".join(draft) + rng.choice(SECOND_THOUGHTS)
    spoken = (Piece(given, False), Piece("\n".join(work(problem)), True))
    return _dialogue("recheck", _system(rng), _user(problem.question), _pieced(*spoken))


def verifier(problem: Problem, rng: random.Random) -> Dialogue:
    """Question and a draft; A where its answer is right, else B: one token, whose probability is what is believed."""
    draft = _draft(problem, rng, 0.5)
    asked = f"{problem.question}\n\nSolution:\n{_shown(draft, rng)}"
    verdict = "A" if draft[-1] == f"Answer: {problem.answer}" else "B"
    return _dialogue("verifier", SYSTEMS["verifier"], _user(asked), _assistant(verdict))


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
ERRANDS = {"look_up": look_up, "unknown": unknown}
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
    if kind in ERRANDS:
        return ERRANDS[kind](_problem(mixture.errands, 0.0, rng), rng)
    dialogue = (ROLES | EXERCISES)[kind](_problem(mixture.levels, mixture.plain, rng), rng)
    if kind == "solve" and rng.random() < mixture.chat:
        first = refuse(rng) if rng.random() < 0.3 else solve(_problem(mixture.levels, mixture.plain, rng), rng)
        return after(replace(first, tools=[]), dialogue)
    return dialogue


def _problem(levels: dict[Level, float], plain: float, rng: random.Random) -> Problem:
    level = rng.choices(list(levels), list(levels.values()))[0]
    return draw(level, "train", rng, plain=rng.random() < plain)
