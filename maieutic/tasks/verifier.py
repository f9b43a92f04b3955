"""The Verifier noun: what turns a model's text into a verdict, and the registry of them.

A verifier extracts the answer, then asks its check. Built-in checks compare by answer type; an own one is a function:

    @verifier("even")
    def even(task: Task, answer: str) -> bool:
        return int(answer) % 2 == 0
"""

import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, cast

from maieutic.errors import TaskError, UnknownName, UserError
from maieutic.tasks.abstention import abstains
from maieutic.tasks.extraction import extract
from maieutic.tasks.task import AnswerType, Task
from maieutic.types import Outcome, Verdict

Check = Callable[[Task, str], bool | float | Verdict]
FULL_SCORE = 1 - 1e-9

_BUILT_IN = (  # importing them registers theirs
    "maieutic.tasks.checks",
    "maieutic.tasks.code",
    "maieutic.tasks.gym",
    "maieutic.tasks.result_set",
)
_registry: dict[str, "Verifier"] = {}


@dataclass(frozen=True, slots=True)
class Verifier:
    """A named check of answers. `answer_type` overrides the task's for extraction; None keeps the task's."""

    name: str
    check: Check
    version: str = "1"
    answer_type: AnswerType | None = None

    @property
    def label(self) -> str:
        """Name and version, as recorded with every verdict."""
        return f"{self.name}@{self.version}"

    def verify(self, task: Task, text: str) -> Verdict:
        """The verdict on `text`, a model's whole answer to `task`.

        No explicit answer is `unparsed` with score None. An answer that says it is not known is `abstained` with score
        None, and the check is not asked. A check that raises gives `tool_error` with score None, so that one broken
        check never ends a run; user errors (a task that can't be checked at all) are raised.
        """
        answer = extract(text, self.answer_type or task.answer_type)
        if answer is None:
            return Verdict(Outcome.UNPARSED, None, None, "no explicit answer", self.label)
        return self.judge(task, answer)

    def judge(self, task: Task, answer: str) -> Verdict:
        """The verdict on `answer`, extracted already."""
        if abstains(answer) and not (isinstance(task.gold, str) and abstains(task.gold)):
            return Verdict(Outcome.ABSTAINED, None, answer, "", self.label)
        try:
            said = self.check(task, answer)
        except UserError:
            raise
        except Exception as error:  # an own check may raise anything, and a verdict is due all the same
            return Verdict(Outcome.TOOL_ERROR, None, answer, f"{type(error).__name__}: {error}", self.label)
        if isinstance(said, Verdict):
            return Verdict(said.outcome, said.score, answer, said.reason, self.label)
        score = float(said)
        if not 0 <= score <= 1 or math.isnan(score):
            return Verdict(Outcome.TOOL_ERROR, None, answer, f"score {score} is not in [0, 1]", self.label)
        return Verdict(Outcome.CORRECT if score >= FULL_SCORE else Outcome.WRONG, score, answer, "", self.label)


def verifier(name: str, *, version: str = "1", answer_type: AnswerType | None = None) -> Callable[[Check], Check]:
    """Register the decorated `(task, answer) -> bool | float | Verdict` as the verifier `name`."""

    def register(check: Check) -> Check:
        _registry[name] = Verifier(name, check, version, answer_type)
        return check

    return register


def get_verifier(name: str) -> Verifier:
    """The verifier called `name`: registered, of the environment of this name, an entry point of
    `maieutic.verifiers`, or "package.module:name".

    Raises UnknownName, listing the known ones.
    """
    for module in _BUILT_IN:
        importlib.import_module(module)
    file = f"maieutic.tasks.envs.{name}"
    if name not in _registry and name.isidentifier() and importlib.util.find_spec(file):
        importlib.import_module(file)
    if name in _registry:
        return _registry[name]
    if ":" in name:
        return _as_verifier(name, _imported(name))
    points = {point.name: point for point in entry_points(group="maieutic.verifiers")}
    if name in points:
        return _as_verifier(name, points[name].load())
    raise UnknownName("verifier", name, {*_registry, *points})


def verifier_for(task: Task) -> Verifier:
    """The verifier that `task` names, or that of its answer type. Raises TaskError where there is nothing to check."""
    if not task.checkable:
        raise TaskError(f"Task {task.id!r} has neither a gold answer nor a verifier: give it one of them.")
    return get_verifier(task.verifier or task.answer_type)


def verify(task: Task, text: str, answer: str | None = None) -> Verdict:
    """The verdict on `text` by the task's own verifier; on `answer`, where `text` holds no explicit answer."""
    own = verifier_for(task)
    verdict = own.verify(task, text)
    return own.judge(task, answer) if verdict.outcome is Outcome.UNPARSED and answer is not None else verdict


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"The verifier {path!r} can't be imported: {error}.") from error


def _as_verifier(name: str, found: Any) -> Verifier:
    if isinstance(found, Verifier):
        return found
    if callable(found):
        return Verifier(name, cast(Check, found))
    raise UserError(f"The verifier {name!r} is neither a Verifier nor a function (task, answer).")
