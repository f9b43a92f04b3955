"""The `Sample` noun: a row of any format as the filters see it: what was asked, what was said, what the row states."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from maieutic.errors import UserError
from maieutic.recipes.recipe import Row

Decode = Callable[[Sequence[int]], str]
MASKED = -100  # the label of what is not learnt
_SIDES = {"gpt": True, "function_call": True, "assistant": True, "agent": True}  # everybody else asks


@dataclass(frozen=True, slots=True)
class Sample:
    """`asked` are the texts before the model, tools' output included; `said` are the model's own, thoughts included.

    `question` is the first thing a person asked. What a row doesn't state is None, or empty.
    """

    row: Row
    place: str
    asked: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    question: str = ""
    gold: str | None = None
    licence: str | None = None
    solved: float | None = None
    finished: tuple[str, ...] = ()
    has_ids: bool = False
    bare: bool = False  # of no known format: all its texts count as said

    @property
    def text(self) -> str:
        return "\n".join((*self.asked, *self.said))


@dataclass(slots=True)
class _Found:
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)

    def add(self, message: Any) -> None:
        """A message in any of the shapes that formats have."""
        if isinstance(message, str):
            self.asked.append(message)
            self.people.append(message)
            return
        role = str(message.get("role") or message.get("from") or message.get("source") or "")
        texts = list(_texts(message))
        if _SIDES.get(role):
            self.said += texts or [""]  # an empty answer is one
            return
        self.asked += texts
        if role in ("user", "human"):
            self.people += texts


def sample_of(row: Row, place: str, decode: Decode | None = None) -> Sample:
    """The row as a sample. Raises UserError for a row of token ids where nothing can tell what they say."""
    found, bare = _Found(), False
    if "input_ids" in row:
        _ids(row, place, decode, found)
    elif not _read(row, found):
        bare = True
        found.said += _strings(row)
    task = _task(row)
    question = str(task.get("question") or next(iter(found.people), ""))
    gold = task.get("gold")
    return Sample(
        row,
        place,
        tuple(found.asked),
        tuple(found.said),
        question,
        None if gold is None else gold if isinstance(gold, str) else json.dumps(gold, sort_keys=True),
        _stated(row, task, "licence", "license"),
        _solved(row),
        tuple(_finish_reasons(row)),
        _has_ids(row),
        bare,
    )


def _ids(row: Row, place: str, decode: Decode | None, found: _Found) -> None:
    if decode is None:
        raise UserError(f"{place} holds token ids: say with --tokenizer which tokenizer they are of.")
    ids = row["input_ids"]
    labels = row.get("labels") or ids
    for learnt, part in _runs(ids, labels):
        (found.said if learnt else found.asked).append(decode(part))
    found.people += found.asked[:1]


def _runs(ids: list[int], labels: list[int]) -> Iterator[tuple[bool, list[int]]]:
    start = 0
    for i in range(1, len(ids) + 1):
        if i == len(ids) or (labels[i] == MASKED) != (labels[start] == MASKED):
            yield labels[start] != MASKED, ids[start:i]
            start = i


def _read(row: Row, found: _Found) -> bool:
    """Whether the row is of a known shape; its texts are in `found` then."""
    known = False
    for name in ("messages", "conversations", "prompt", "turns", "steps"):
        value = row.get(name)
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
            known = True
            if name == "conversations" and row.get("system"):
                found.asked.append(str(row["system"]))
            for message in [value] if isinstance(value, str) else value:
                found.add(message)
    for name in ("completion", "chosen", "rejected", "reply"):
        for message in _listed(row.get(name)):
            known = True
            found.said += [message] if isinstance(message, str) else list(_texts(message)) or [""]
    for one in _listed(row.get("calls")) if row.get("kind") == "episode" else ():
        known = True
        for message in (*one["messages"], one["reply"]):
            found.add(message)
    for node in _listed(row.get("nodes")):
        known = True
        found.add(node["message"])
    for below in _listed(row.get("subagent_trajectories")):
        _read(below, found)
    if not known and isinstance(row.get("question"), str):
        known = True
        found.add(row["question"])
    return known


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(message: dict[str, Any]) -> Iterator[str]:
    """All that a message says: text, thoughts, calls, and what tools gave back."""
    for name in ("reasoning", "reasoning_content", "content", "value", "message"):
        value = message.get(name)
        if isinstance(value, str) and value:
            yield value
        elif isinstance(value, list):
            yield from (str(part["text"]) for part in value if isinstance(part, dict) and "text" in part)
    for call in message.get("tool_calls") or ():
        function = call.get("function", call)
        arguments = function.get("arguments")
        yield arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    for result in (message.get("observation") or {}).get("results", ()):
        if isinstance(result.get("content"), str):
            yield result["content"]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _task(row: Row) -> dict[str, Any]:
    """The task that a row carries, as an object or as JSON text; a line of a task file is one itself."""
    task = row.get("task", row if isinstance(row.get("question"), str) else None)
    if isinstance(task, str):
        try:
            task = json.loads(task)
        except ValueError:
            return {}
    return task if isinstance(task, dict) else {}


def _stated(row: Row, task: dict[str, Any], *names: str) -> str | None:
    places = (row, row.get("meta"), row.get("metadata"), task.get("metadata"))
    for place in places:
        for name in names:
            if isinstance(place, dict) and isinstance(place.get(name), str):
                return str(place[name])
    return None


def _solved(row: Row) -> float | None:
    meta = row.get("meta")
    value = meta.get("solved") if isinstance(meta, dict) else row.get("solved")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _finish_reasons(value: Any) -> Iterator[str]:
    """Wherever a row keeps how a call ended."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "finish_reason" and isinstance(inner, str):
                yield inner
            else:
                yield from _finish_reasons(inner)
    elif isinstance(value, list) and not (value and isinstance(value[0], int | float)):
        for inner in value:
            yield from _finish_reasons(inner)


def _has_ids(value: Any) -> bool:
    if isinstance(value, dict):
        return any((bool(inner) and str(name).endswith("_ids")) or _has_ids(inner) for name, inner in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        items = list(value)
        return bool(items) and not isinstance(items[0], int | float) and any(_has_ids(inner) for inner in items)
    return False
