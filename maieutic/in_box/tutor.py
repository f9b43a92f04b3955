"""The tutor: a program that answers what recipes ask a teacher, about the families that the in-box model knows.

It works the questions out and marks solutions exactly, in the wording of the in-box model's own training text, so what
it says is worth what that text was worth. It is there to try and to measure loops with a teacher without another model.
It answers `lemma`, `critique_data`, and plain questions; it sees what any teacher sees and no gold answer. It knows one
way of working only: where `lemma` asks for another method, it starts afresh in the same one.
"""

import random
import re
from collections.abc import Callable, Mapping
from hashlib import blake2b

from maieutic.errors import ModelError
from maieutic.in_box.families import Fault, FaultKind, Problem, without_term, work
from maieutic.in_box.marking import Slip, first_slip
from maieutic.in_box.reading import problem_of
from maieutic.llm.scripted import ScriptedModel
from maieutic.recipes.critique_data import CRITICISE, REFINE
from maieutic.recipes.lemma import FIX, INJECT, LOCATE, RESTART
from maieutic.types import Completion, Request

Fields = Mapping[str, str]

_FAULTS: dict[str, FaultKind] = {
    "calculation": "ten",
    "counting": "near",
    "confusing concept": "operator",
    "confusing formula": "operator",
    "question misinterpretation": "operand",
}
_NUMBERED = re.compile(r"\d+\. ")
_TRIES = 20


def tutor(name: str = "tutor") -> ScriptedModel:
    """The tutor as a model. Its tokens are bytes, and nothing is sampled: the same request gets the same reply."""
    return ScriptedModel(_reply, name=name)


def _reply(request: Request) -> Completion:
    asked = next((m["content"] for m in reversed(request.messages) if m["role"] == "user"), None)
    return Completion(answer(str(asked or ""), request.sampling.seed or 0), weights="tutor", template="tutor")


def answer(asked: str, seed: int = 0) -> str:
    """What the tutor says to a prompt; `seed` chooses among errors to inject. ModelError for what it can't answer."""
    for form, say in _FORMS:
        if (found := form.fullmatch(asked)) is None:
            continue
        fields = found.groupdict()
        if (problem := problem_of(fields["question"])) is not None:
            return say(problem, fields, _luck(asked, seed))
    if (problem := problem_of(asked)) is not None:
        return "\n".join(work(problem))
    raise ModelError(
        "The tutor can't answer this: it knows sums, products and leg counting, and what lemma and critique_data ask."
    )


def _locate(problem: Problem, fields: Fields, _: random.Random) -> str:
    slip = _slip(_unnumbered(fields["solution"]), problem)
    return f"{slip.why}\nAnswer: {slip.line}; {slip.kind}" if slip else "Every step is right.\nAnswer: none"


def _inject(problem: Problem, fields: Fields, rng: random.Random) -> str:
    """The solution with an error of this kind in it, whose answer is wrong."""
    right = work(problem)
    for _ in range(_TRIES):
        if fields["kind"] == "missing step" and problem.family != "products" and len(problem.terms) > 1:
            wrong = work(without_term(problem, rng))
        else:
            wrong = work(problem, Fault(rng.randrange(len(right) - 1), _FAULTS.get(fields["kind"], "near")), rng)
        if wrong[-1] != right[-1]:
            return "\n".join(wrong)
    raise ModelError(f"The tutor finds no error of the kind {fields['kind']} that makes this answer wrong.")


def _fix(problem: Problem, fields: Fields, _: random.Random) -> str:
    """What is wrong with the last step, and the solution from there."""
    lines = fields["beginning"].strip().splitlines()
    slip = _slip(lines, problem)
    if slip is None:
        raise ModelError("The tutor finds nothing wrong with this beginning.")
    return "\n".join([slip.why, *slip.goes_on])


def _criticise(problem: Problem, fields: Fields, _: random.Random) -> str:
    """Every step up to the first wrong one, as the in-box model's critic says it."""
    lines = _unnumbered(fields["solution"])
    slip = _slip(lines, problem)
    said = [f"Step {i}: {line}, right" for i, line in enumerate(lines[: slip.line - 1 if slip else None], 1)]
    if slip is not None:
        should = slip.goes_on[0] if slip.goes_on else "nothing"
        said.append(f"Step {slip.line}: {should}, wrong")
    found = slip.line if slip else "none"
    return "\n".join([*said, f"First wrong step: {found}", f"Answer: {found}"])


def _anew(problem: Problem, fields: Fields, rng: random.Random) -> str:
    return "\n".join(work(problem))


def _slip(lines: list[str], problem: Problem) -> Slip | None:
    """The first wrong step among those that are there."""
    slip = first_slip(lines, problem)
    return slip if slip is not None and slip.line <= len(lines) else None


def _unnumbered(solution: str) -> list[str]:
    return [_NUMBERED.sub("", line, count=1) for line in solution.strip().splitlines()]


def _form(template: str) -> re.Pattern[str]:
    """What recognises a prompt that was made of a template, and gives the fields back."""
    parts = re.split(r"\{(\w+)\}", template)
    names: set[str] = set()
    made = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            made.append(re.escape(part))
        else:
            made.append(f"(?P<{part}>.*?)" if part not in names else f"(?P={part})")
            names.add(part)
    return re.compile("".join(made), re.DOTALL)


def _luck(asked: str, seed: int) -> random.Random:
    return random.Random(blake2b(f"{seed}\0{asked}".encode(), digest_size=8).digest())


_FORMS: list[tuple[re.Pattern[str], Callable[[Problem, Fields, random.Random], str]]] = [
    (_form(LOCATE), _locate),
    (_form(INJECT), _inject),
    (_form(FIX), _fix),
    (_form(RESTART), _anew),
    (_form(CRITICISE), _criticise),
    (_form(REFINE), _anew),
]
