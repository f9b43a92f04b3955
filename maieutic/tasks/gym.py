"""Every dataset of reasoning-gym as `env:rg/NAME`, with its own scorer as the verifier `rg`.

A task says how it was made (dataset, settings, seed, index), and its scorer works from the entry made again from that:
entries hold tuples, sets and numbers as keys, which JSON would not bring back.

reasoning-gym makes item i of seed s from `Random(s + i)`, so that seeds 7 and 8 share all but one of their questions.
Here every seed of the request is spread first; `metadata` says which seed reasoning-gym was given.
"""

import hashlib
import json
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from maieutic.errors import TaskError, UnknownName
from maieutic.tasks.environment import Request, environment
from maieutic.tasks.gym_process import GymProcess, WorkerTimeout
from maieutic.tasks.numbers import plain
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import FULL_SCORE, verifier
from maieutic.types import Outcome, Verdict

GENERATE_SECONDS = 600.0
SCORE_SECONDS = 5.0
MAX_ANSWER = 20_000
_CHUNK = 64

_process = GymProcess()


@lru_cache(maxsize=1)
def dataset_names() -> tuple[str, ...]:
    """The names of all datasets of the installed reasoning-gym. Raises MissingExtra where there is none."""
    return tuple(_ask("names", seconds=GENERATE_SECONDS))


@environment("rg")
def reasoning_gym(request: Request) -> Iterator[Task]:
    """Tasks of the dataset `request.item`, configured by `request.options`, without end."""
    names = dataset_names()
    if request.item not in names:
        close = get_close_matches(request.item, names, n=8, cutoff=0.4)
        raise UnknownName("reasoning-gym dataset", request.item, close or names)
    block = 0
    while True:
        seed = _spread(request.seed, block)
        made = 0
        for question, answer in _items(request, seed):
            yield _task(request, question, answer, seed, block, made)
            made += 1
        block += 1


def _items(request: Request, seed: int) -> Iterator[tuple[str, str | None]]:
    start, step = 0, min(request.n, _CHUNK)
    while True:
        ask = ("items", request.item, request.options, seed, start, start + step)
        items = _ask(*ask, seconds=GENERATE_SECONDS)
        yield from items
        if len(items) < step:
            return
        start, step = start + step, _CHUNK


@lru_cache(maxsize=1)
def _version() -> str:
    return version("reasoning-gym")


def _spread(seed: int, block: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{block}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def _task(request: Request, question: str, answer: str | None, seed: int, block: int, index: int) -> Task:
    settings = json.dumps(request.options, sort_keys=True)
    place = f"{index}" if block == 0 else f"{block}.{index}"
    parts = ["rg", request.item, str(request.seed), place]
    if request.options:
        parts.append(hashlib.blake2b(settings.encode(), digest_size=4).hexdigest())
    return Task(
        id="/".join(parts),
        question=question,
        gold=answer,
        verifier="rg",
        metadata={
            "dataset": request.item,
            "options": dict(request.options),
            "seed": seed,
            "index": index,
            "reasoning_gym": _version(),
        },
    )


@verifier("rg")
def score(task: Task, answer: str) -> Verdict:
    """The dataset's own score of `answer`, and of `answer` without mathematical typesetting if that is higher."""
    try:
        dataset, options, seed, index = (task.metadata[key] for key in ("dataset", "options", "seed", "index"))
    except KeyError as error:
        raise TaskError(f"Task {task.id!r} does not come from env:rg: its metadata has no {error}.") from None
    if len(answer) > MAX_ANSWER:
        return Verdict(Outcome.FORMAT_ERROR, None, reason=f"longer than {MAX_ANSWER} characters")
    best = Verdict(Outcome.FORMAT_ERROR, None)
    for attempt in dict.fromkeys((answer, plain(answer).removesuffix("."))):
        verdict = _scored(task, "score", dataset, options, seed, index, task.question, attempt)
        if best.score is None or (verdict.score or 0) > best.score:
            best = verdict
        if best.outcome is Outcome.CORRECT:
            break
    return best


def _scored(task: Task, *request: Any) -> Verdict:
    try:
        kind, value = _process.ask(*request, seconds=SCORE_SECONDS)
    except WorkerTimeout as error:
        return Verdict(Outcome.TIMEOUT, None, reason=f"its scorer gave {error}")
    if kind == "ok":
        score = min(1.0, max(0.0, value))
        return Verdict(Outcome.CORRECT if score >= FULL_SCORE else Outcome.WRONG, score)
    if kind == "format":
        return Verdict(Outcome.FORMAT_ERROR, None, reason=value)
    if kind == "changed":
        made_by = task.metadata.get("reasoning_gym")
        raise TaskError(f"Task {task.id!r} was made by reasoning-gym {made_by}: {value}. Make the tasks again.")
    return Verdict(Outcome.TOOL_ERROR, None, reason=str(value))


def _ask(*request: Any, seconds: float) -> Any:
    """The value of a request that must succeed. Raises TaskError with the worker's sentence."""
    try:
        kind, value = _process.ask(*request, seconds=seconds)
    except WorkerTimeout as error:
        raise TaskError(f"env:rg/{request[1]} made no question: {error}.") from error
    if kind != "ok":
        raise TaskError(f"{value}.")
    return value
