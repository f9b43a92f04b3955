"""What the in-box model can do, measured on questions of one held-out split through the runtime that ships."""

import ast
import asyncio
import operator
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from maieutic.in_box import outside
from maieutic.in_box.dialogue import SYSTEMS
from maieutic.in_box.drafts import first_wrong, review
from maieutic.in_box.errands import WAYS, Way
from maieutic.in_box.families import MIXED, Level, Problem, draw, work
from maieutic.in_box.steps import HOLDS, LOST, SOLVED, quote_steps
from maieutic.llm.in_box.scope import REFUSAL
from maieutic.llm.model import Model
from maieutic.stats import Interval, wilson
from maieutic.tasks.split import Split
from maieutic.types import Completion, Message, Request, Sampling, ToolSpec

LEVELS = (
    *(Level("chain_sum", terms, 1) for terms in (2, 3, 4, 5, 6)),
    *(Level("chain_sum", terms, 2) for terms in (2, 3, 4, 5, 6, 7)),
    Level("products", 2, 1),
    Level("products", 2, MIXED),
    Level("products", 2, 2),
    *(Level("leg_counting", animals, 9) for animals in (1, 2, 3, 4)),
    *(Level("leg_counting", animals, 15) for animals in (2, 3, 4, 5)),
)
ROLE_LEVELS = (Level("chain_sum", 4, 2), Level("chain_sum", 5, 2), Level("products", 2, 2), Level("leg_counting", 3, 9))
_BASKETS = (1, 2, 3, 4)
GREEDY = Sampling(temperature=0.0, max_tokens=480)
PYTHON = ToolSpec("python", "", {})
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
Marks = dict[str, list[bool]]


@dataclass(frozen=True, slots=True)
class Report:
    """Shares, each with its interval and n: by level and mode, by level and role, of refusals, and of look-ups."""

    levels: dict[str, dict[str, Interval]] = field(default_factory=dict)
    roles: dict[str, dict[str, Interval]] = field(default_factory=dict)
    refusals: dict[str, Interval] = field(default_factory=dict)
    look_ups: dict[str, Interval] = field(default_factory=dict)


def questions(level: Level, split: Split, count: int, seed: int) -> list[Problem]:
    """Up to `count` problems with different questions; fewer where the level has no more."""
    rng = random.Random(f"{seed} {level.name}")
    found: dict[str, Problem] = {}
    for _ in range(20 * count):
        problem = draw(level, split, rng)
        found.setdefault(problem.question, problem)
        if len(found) == count:
            break
    return list(found.values())


def opening(role: str, text: str) -> tuple[Message, ...]:
    """The messages with which an agent of this role asks the in-box model."""
    return ({"role": "system", "content": SYSTEMS[role]}, {"role": "user", "content": text})


async def evaluate(
    model: Model, shipped: Model, split: Split = "test", count: int = 400, seed: int = 0, look_ups: bool = False
) -> Report:
    """Measure everything that the card says, with up to `count` questions a cell; `look_ups` too, where it was trained
    for them.

    `model` is the weights alone; `shipped` the same behind the runtime's check of what they may be asked.
    """
    report = Report()
    for level in LEVELS:
        marks = await level_rates(model, questions(level, split, count, seed), seed)
        report.levels[level.name] = _shares(marks)
    for level in ROLE_LEVELS:
        problems = questions(level, split, count, seed + 1)
        report.roles[level.name] = _shares(await role_rates(model, problems, seed))
    report.refusals.update(_shares(await refusal_rates(model, split, count, seed)))
    checked = await refusal_rates(shipped, split, count, seed)
    report.refusals.update(_shares({f"with the runtime's check, {name}": marks for name, marks in checked.items()}))
    if look_ups:
        report.look_ups.update(_shares(await look_up_rates(model, split, count, seed)))
    return report


def _shares(marks: Marks) -> dict[str, Interval]:
    """Shares with their intervals; what never applied has none."""
    return {name: wilson(sum(found), len(found)) for name, found in marks.items() if found}


async def level_rates(model: Model, problems: Sequence[Problem], seed: int) -> Marks:
    """Accuracy by mode: greedy, one sample at temperature 1, greedy with the python tool."""
    greedy = await solutions(model, problems, None)
    sampled = await solutions(model, problems, seed)
    tool = await asyncio.gather(*(_with_tool(model, problem) for problem in problems))
    return {
        "greedy": [right(s, p) for s, p in zip(greedy, problems, strict=True)],
        "T = 1": [right(s, p) for s, p in zip(sampled, problems, strict=True)],
        "tool": [right(s, p) for s, p in zip(tool, problems, strict=True)],
    }


async def solutions(model: Model, problems: Sequence[Problem], seed: int | None) -> list[str]:
    """One solution a problem: greedy without a seed, else at temperature 1."""
    asked = [opening("solver", problem.question) for problem in problems]
    return [said.text for said in await _ask_all(model, asked, seed)]


async def _ask_all(model: Model, asked: Sequence[tuple[Message, ...]], seed: int | None = None) -> list[Completion]:
    def sampling(i: int) -> Sampling:
        return GREEDY if seed is None else replace(GREEDY, temperature=1.0, seed=seed * 1_000_003 + i)

    requests = [Request(messages, sampling(i)) for i, messages in enumerate(asked)]
    return list(await asyncio.gather(*map(model.sample, requests)))


async def _with_tool(model: Model, problem: Problem, turns: int = 4) -> str:
    messages = opening("solver", problem.question)
    for _ in range(turns):
        said = await model.sample(Request(messages, GREEDY, (PYTHON,)))
        if not said.tool_calls:
            return said.text
        result: Message = {"role": "tool", "content": calculate(said.tool_calls[0].arguments)}
        messages = (*messages, said.message(), result)
    return ""


def calculate(arguments: str) -> str:
    """What the python tool prints for a call that prints a sum; an error text for anything else."""
    try:
        program = ast.parse(_code(arguments), mode="eval").body
        if isinstance(program, ast.Call) and isinstance(program.func, ast.Name) and program.func.id == "print":
            return str(_value(program.args[0]))
    except (ValueError, SyntaxError, KeyError, IndexError, TypeError):
        pass
    return "SyntaxError: invalid syntax"


def _code(arguments: str) -> str:
    import json

    return str(json.loads(arguments)["code"])


def _value(node: ast.expr) -> int:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    raise ValueError("not a sum")


def right(solution: str, problem: Problem) -> bool:
    """Whether the last line is the right answer line."""
    return solution.strip().rsplit("\n", 1)[-1] == f"Answer: {problem.answer}"


async def role_rates(model: Model, problems: Sequence[Problem], seed: int) -> Marks:
    """How the roles deal with the model's own solutions at temperature 1."""
    own, other = await solutions(model, problems, seed + 11), await solutions(model, problems, seed + 12)
    pairs = list(zip(problems, own, strict=True))
    reviews = await _ask_all(model, [opening("critic", quote_solution(p, s)) for p, s in pairs])
    verdicts = [_last_line(review) for review in reviews]
    rates = critic_rates(pairs, verdicts)
    asked = [
        opening("refiner", f"{quote_solution(p, s)}\n\nReview:\n{r.text.strip()}")
        for (p, s), r in zip(pairs, reviews, strict=True)
    ]
    rates |= _flips("refiner, own review", pairs, await _ask_all(model, asked))
    asked = [opening("refiner", f"{quote_solution(p, s)}\n\nReview:\n{review(s.split(chr(10)), p)}") for p, s in pairs]
    rates |= _flips("refiner, perfect review", pairs, await _ask_all(model, asked))
    asked = [opening("debater", quote_rival(p, s, o)) for (p, s), o in zip(pairs, other, strict=True)]
    rates |= _debates(pairs, other, await _ask_all(model, asked)) | await _judged(model, pairs, other)
    return rates | await _verified(model, pairs) | await _searched(model, pairs, seed)


def _last_line(said: Completion) -> str:
    return said.text.strip().rsplit("\n", 1)[-1]


def quote_solution(problem: Problem, solution: str) -> str:
    return f"{problem.question}\n\nSolution:\n{solution.strip()}"


def quote_rival(problem: Problem, own: str, other: str) -> str:
    return f"{problem.question}\n\nYour solution:\n{own.strip()}\n\nOther solution:\n{other.strip()}"


def critic_rates(pairs: Sequence[tuple[Problem, str]], verdicts: Sequence[str]) -> Marks:
    """Precision and recall of `First wrong step: N` against the lines themselves; shares of what applies."""
    truth = [first_wrong(solution.strip().split("\n"), problem) for problem, solution in pairs]
    flagged = [verdict.removeprefix("First wrong step: ").isdigit() for verdict in verdicts]
    both = list(zip(truth, flagged, verdicts, strict=True))
    return {
        "critic: flagged solutions that are wrong (precision)": [t is not None for t, f, _ in both if f],
        "critic: wrong solutions flagged (recall)": [f for t, f, _ in both if t is not None],
        "critic: wrong solutions flagged at the first wrong step": [
            v == f"First wrong step: {t}" for t, _, v in both if t is not None
        ],
        "critic: right solutions accepted": [v == "First wrong step: none" for t, _, v in both if t is None],
    }


def _flips(name: str, pairs: Sequence[tuple[Problem, str]], after: Sequence[Completion]) -> Marks:
    moves = [(right(s, p), right(a.text, p)) for (p, s), a in zip(pairs, after, strict=True)]
    return {
        f"{name}: wrong made right": [now for before, now in moves if not before],
        f"{name}: right made wrong": [not now for before, now in moves if before],
    }


def _debates(pairs: Sequence[tuple[Problem, str]], other: Sequence[str], after: Sequence[Completion]) -> Marks:
    moves = [(right(s, p), right(o, p), right(a.text, p)) for (p, s), o, a in zip(pairs, other, after, strict=True)]
    return {
        "debater: right at last, own wrong, other right": [now for own, o, now in moves if not own and o],
        "debater: right at last, own right, other wrong": [now for own, o, now in moves if own and not o],
        "debater: right at last, both wrong": [now for own, o, now in moves if not own and not o],
        "debater: right at last, both right": [now for own, o, now in moves if own and o],
    }


async def _judged(model: Model, pairs: Sequence[tuple[Problem, str]], other: Sequence[str]) -> Marks:
    mixed = [(p, s, o) for (p, s), o in zip(pairs, other, strict=True) if right(s, p) != right(o, p)]
    asked = [
        opening("judge", f"{p.question}\n\nCandidate 1:\n{s.strip()}\n\nCandidate 2:\n{o.strip()}") for p, s, o in mixed
    ]
    said = await _ask_all(model, asked)
    chosen = [_last_line(one) for one in said]
    name = "judge: chose the right one of two, one right"
    return {name: [c == f"Choice: {1 if right(s, p) else 2}" for c, (p, s, _) in zip(chosen, mixed, strict=True)]}


async def _verified(model: Model, pairs: Sequence[tuple[Problem, str]]) -> Marks:
    said = await _ask_all(model, [opening("verifier", quote_solution(p, s)) for p, s in pairs])
    both = [(right(s, p), _last_line(answer)) for (p, s), answer in zip(pairs, said, strict=True)]
    return {
        "verifier: right answers believed": [verdict == "A" for truth, verdict in both if truth],
        "verifier: wrong answers doubted": [verdict == "B" for truth, verdict in both if not truth],
    }


async def _searched(model: Model, pairs: Sequence[tuple[Problem, str]], seed: int) -> Marks:
    """Stepper and valuer at the model's own solutions, each cut off at a line chosen at random."""
    rng = random.Random(seed)
    cut = [(p, (lines := s.strip().split("\n"))[: rng.randint(1, len(lines))]) for p, s in pairs]
    said = await _ask_all(model, [opening("valuer", quote_steps(p, steps)) for p, steps in cut])
    statuses = [_last_line(value).removeprefix("Status: ") for value in said]
    lost = [(first_wrong(steps, p) or len(steps) + 1) <= len(steps) for p, steps in cut]
    going = [(p, steps) for (p, steps), wrong in zip(cut, lost, strict=True) if not wrong and len(steps) < len(work(p))]
    steps = await _ask_all(model, [opening("stepper", quote_steps(p, steps)) for p, steps in going])
    return {
        "valuer: steps with an error called lost": [
            s == LOST for s, wrong in zip(statuses, lost, strict=True) if wrong
        ],
        "valuer: steps that hold not called lost": [
            s in (SOLVED, HOLDS) for s, wrong in zip(statuses, lost, strict=True) if not wrong
        ],
        "stepper: next step right, after right ones": [
            step.text.strip() == work(p)[len(shown)] for step, (p, shown) in zip(steps, going, strict=True)
        ],
    }


async def refusal_rates(model: Model, split: Split, count: int, seed: int) -> Marks:
    """How often the refusal comes: for kinds of question held out of training, and for its own families."""
    rng = random.Random(seed)
    part: outside.Part = "train" if split == "train" else "held_out"
    names = outside.datasets(part)
    texts = {
        "refused: other reasoning-gym datasets, held out": [
            outside.from_dataset(names[i % len(names)], rng) for i in range(count)
        ],
        "refused: other questions, held out": [outside.outsider(rng, part) for _ in range(count)],
        "refused: its own families": [
            draw(rng.choice(ROLE_LEVELS), split, rng, plain=i % 2 == 0).question for i in range(count)
        ],
    }
    rates = {}
    for name, asked in texts.items():
        messages = [opening("solver", text) if i % 2 else _plainly(text) for i, text in enumerate(asked)]
        rates[name] = [said.text in (outside.REFUSAL, REFUSAL) for said in await _ask_all(model, messages)]
    return rates


def _plainly(text: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": text},)


async def look_up_rates(model: Model, split: Split, count: int, seed: int) -> Marks:
    """How often prices are asked for rightly, and the answer is right, by tool and number of goods."""
    rates: Marks = {}
    for tool, way in WAYS.items():
        for size in _BASKETS:
            problems, rng = questions(Level("prices", size, 9), split, count, seed + 2), random.Random(seed)
            found = await asyncio.gather(*(_looked_up(model, p, tool, way(p, rng)) for p in problems))
            name = f"{tool}, {size} good{'s' * (size > 1)}"
            rates[f"{name}: asked rightly"] = [asked for asked, _ in found]
            rates[f"{name}: answered rightly"] = [answered for _, answered in found]
    return rates


async def _looked_up(model: Model, problem: Problem, tool: str, way: Way) -> tuple[bool, bool]:
    """Whether the right goods were asked for, and whether the answer to what was found is right."""
    specs, messages = (ToolSpec(tool, "", {}),), opening("solver", problem.question)
    said = await model.sample(Request(messages, GREEDY, specs))
    wanted = way[1]["tool_calls"][0]["function"]["arguments"]
    if [call.arguments for call in said.tool_calls] != [wanted]:
        return False, False
    found: Message = {"role": "tool", "content": way[2]}
    messages = (*messages, said.message(), found)
    return True, right((await model.sample(Request(messages, GREEDY, specs))).text, problem)
