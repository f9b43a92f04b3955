"""The built-in verifiers: one for each answer type, `exact`, and `original`.

They compare with the gold answer through `canonical`, with three allowances that only a known gold answer makes safe: a
gold number with a percent sign or a unit says what the bare number means, a task may ask for a relative tolerance, and
the text of a choice stands for its letter.
"""

import json

from maieutic.errors import TaskError
from maieutic.tasks.answers import canonical
from maieutic.tasks.numbers import parse_number
from maieutic.tasks.task import ANSWER_TYPES, AnswerType, Task, options
from maieutic.tasks.verifier import Check, verifier, verifier_for
from maieutic.types import Outcome, Verdict


def gold_text(task: Task, answer_type: AnswerType) -> str:
    """The gold answer as text that `canonical` reads. Raises TaskError where there is none."""
    if task.gold is None:
        raise TaskError(f"Task {task.id!r} has no gold answer to check against.")
    if isinstance(task.gold, str) and (answer_type != "json" or canonical(task.gold, "json") is not None):
        return task.gold
    return json.dumps(task.gold, ensure_ascii=False)


def _by_type(answer_type: AnswerType) -> Check:
    def check(task: Task, answer: str) -> bool | Verdict:
        text = gold_text(task, answer_type)
        gold = canonical(text, answer_type)
        if gold is None:
            raise TaskError(f"The gold answer of task {task.id!r} is not of type {answer_type}.")
        found = canonical(answer, answer_type)
        if found is None:
            return Verdict(Outcome.FORMAT_ERROR, None, reason=f"not of type {answer_type}")
        return found == gold or (answer_type in ("number", "auto") and _same_number(task, text, answer))

    return check


def _same_number(task: Task, gold_answer: str, answer: str) -> bool:
    gold, found = parse_number(gold_answer), parse_number(answer)
    if gold is None or found is None:
        return False
    value = found.value / 100 if gold.percent and not found.percent and not found.unit else found.value
    if gold.unit and found.unit and gold.unit != found.unit:
        return False
    allowed = abs(gold.value) * task.tolerance if task.tolerance else 0
    return any(abs(candidate - gold.value) <= allowed for candidate in (value, found.value))


def number(task: Task, answer: str) -> bool | float | Verdict:
    """Equal to the gold number, within the task's tolerance; a unit has to agree where both give one."""
    said = _by_type("number")(task, answer)
    if said is not True:
        return said
    gold, found = parse_number(gold_text(task, "number")), parse_number(answer)
    return not (gold and found and gold.unit and found.unit and gold.unit != found.unit)


def choice(task: Task, answer: str) -> bool | Verdict:
    """The gold option, by its letter or by its text where the task's inputs give `choices`."""
    labelled = options(task.inputs)
    gold = _letter(gold_text(task, "choice"), labelled)
    if gold is None:
        raise TaskError(f"The gold answer of task {task.id!r} is not one of its choices.")
    found = _letter(answer, labelled)
    if found is None or (labelled and found not in labelled):
        return Verdict(Outcome.FORMAT_ERROR, None, reason="not one of the choices")
    return found == gold


def exact(task: Task, answer: str) -> bool:
    """The gold text itself, letter for letter, but for white space around it."""
    return answer.strip() == gold_text(task, "text").strip()


def original(task: Task, answer: str) -> Verdict:
    """As the task under `original` in the metadata is checked: for another wording of it, in which its own verifier
    would not know it again."""
    asked = Task.model_validate(task.metadata["original"])
    return verifier_for(asked).judge(asked, answer)


def _letter(answer: str, labelled: dict[str, str]) -> object | None:
    key = canonical(answer, "text")
    by_text = [label for label, text in labelled.items() if canonical(text, "text") == key]
    label = canonical(answer, "choice")
    return by_text[0] if len(by_text) == 1 and label not in labelled else label


BUILT_IN = frozenset((*ANSWER_TYPES, "exact"))
_SPECIAL: dict[str, Check] = {"number": number, "choice": choice}

for _type in ANSWER_TYPES:
    verifier(_type, answer_type=_type)(_SPECIAL.get(_type) or _by_type(_type))
verifier("exact", answer_type="text")(exact)
verifier("original")(original)
