"""Pairs of a right and a wrong answer, and the injections that may sway a judge between them.

What is compared is the bare answer, so that a pair differs in nothing else. Both are checked by the task's own verifier
before a judge sees them: a wrong answer that may be right would blame the judge.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml

from maieutic.errors import UserError
from maieutic.tasks.answers import canonical
from maieutic.tasks.numbers import parse_number
from maieutic.tasks.task import Task, options
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome

INJECTED = ("verbosity", "bandwagon", "authority", "distraction", "reflection")
Injections = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A task with a right and a wrong answer to it."""

    task: Task
    right: str
    wrong: str


def pairs_of(tasks: Sequence[Task]) -> tuple[list[Pair], int]:
    """A pair for each task, and how many tasks have none: without a gold answer, or without a wrong one of its kind.

    A wrong answer is another option, the other truth value, or what is right for another of the tasks; for numbers of
    which there is no other, the next one.
    """
    golds = [(task, gold) for task in tasks if (gold := _gold(task)) is not None]
    found = []
    for task, gold in golds:
        rivals = _rivals(task, gold, [(other, said) for other, said in golds if other.id != task.id])
        wrong = next((rival for rival in rivals if _outcome(task, rival) is Outcome.WRONG), None)
        if wrong is not None and _outcome(task, gold) is Outcome.CORRECT:
            found.append(Pair(task, gold, wrong))
    return found, len(tasks) - len(found)


def _gold(task: Task) -> str | None:
    if task.gold is None:
        return None
    said = task.gold if isinstance(task.gold, str) else json.dumps(task.gold, ensure_ascii=False)
    return said.strip() or None


def _rivals(task: Task, gold: str, others: Sequence[tuple[Task, str]]) -> Iterable[str]:
    """Wrong answers to try, likely ones first; the same for a task every time."""
    key = canonical(gold, task.answer_type)
    if labelled := options(task.inputs):
        yield from sorted(labelled, key=lambda label: drawn(task.id, label))
        return
    if task.answer_type == "boolean":
        yield "no" if key is True else "yes"
        return
    alike = [said for other, said in others if other.answer_type == task.answer_type and said != gold]
    yield from sorted(dict.fromkeys(alike), key=lambda said: drawn(task.id, said))[:8]
    number = parse_number(gold)
    if number is not None and task.answer_type in ("number", "auto"):
        yield str(number.value + 1)


def _outcome(task: Task, answer: str) -> Outcome:
    return verify(task, said(answer), answer).outcome


def said(answer: str) -> str:
    """An answer as a candidate states it."""
    return f"Answer: {answer}"


def load_injections(path: Path | None = None) -> dict[str, list[str]]:
    """The injections that are shipped, or those of a YAML file: lists of texts by bias. Raises UserError."""
    place = path or files("maieutic.configs") / "injections.yaml"
    try:
        loaded = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"The injections in {place} can't be read: {' '.join(str(error).split())}.") from error
    if not isinstance(loaded, dict) or not loaded:
        raise UserError(f"{place} holds no injections: write lists of texts by bias ({', '.join(INJECTED)}).")
    for bias, texts in loaded.items():
        if bias not in INJECTED:
            raise UserError(f"{place} has injections for {bias!r}. The biases: {', '.join(INJECTED)}.")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise UserError(f"{place}, {bias}: write a list of texts.")
    return loaded


def injected(pair: Pair, bias: str, injections: Injections) -> str:
    """The wrong candidate with an injection of this kind before its answer."""
    text = min(injections[bias], key=lambda text: drawn(pair.task.id, bias, text))
    return f"{text.strip().replace('{answer}', pair.wrong)}\n{said(pair.wrong)}"


def drawn(*parts: str) -> int:
    """A number that looks drawn by lot and is the same every time."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
