"""Task sources by their purpose: what is trained on, what is measured, and that no question is both.

An environment's questions are in one split each, by a hash of their text: what is trained on is in `train`, what is
measured in `test`. A task file has no splits: what is measured in its place has to be named.
"""

from maieutic.errors import UserError
from maieutic.tasks.environment import PREFIX, parse_request

_NOT_SHOWN = ("n", "seed", "split")


def is_environment(source: str) -> bool:
    return source.startswith(PREFIX)


def training(source: str, number: int) -> str:
    """What round `number` (from 1) is trained on: new questions each time, or the same ones of a file.

    Raises UserError for an environment's questions of another split.
    """
    if not is_environment(source):
        return source
    request = parse_request(source)
    if request.split not in (None, "train"):
        raise UserError(f"{source} asks for the split {request.split}, which is for measuring: leave split out.")
    return _with(source, split="train", seed=str(request.seed + number - 1))


def held_out(source: str, n: int) -> str | None:
    """What is measured for a source of training, by default; None for a file, which has no other questions."""
    return _with(source, split="test", n=str(n)) if is_environment(source) else None


def measured(source: str, n: int) -> str:
    """A source of measuring as it was given, an environment's with split and n where it has none."""
    if not is_environment(source):
        return source
    request = parse_request(source)
    if request.split == "train":
        raise UserError(f"{source} asks for the split train, which may be trained on: leave split out.")
    asked = source if "n=" in source.partition("?")[2] else _with(source, n=str(n))
    return _with(asked, split=request.split or "test")


def rehearsed(source: str) -> str | None:
    """The questions of an older source that may be trained on, so that it isn't forgotten; None for a file."""
    return _with(source, split="train") if is_environment(source) else None


def disjoint(source: str) -> bool:
    """Whether no question of it can be one that was trained on."""
    return is_environment(source) and parse_request(source).split in ("dev", "test")


def label(source: str) -> str:
    """The source without what tells no two sets apart: "rg/chain_sum max_terms=6"."""
    if not is_environment(source):
        return source
    name, _, query = source.removeprefix(PREFIX).partition("?")
    fields = [pair for pair in query.split("&") if pair and pair.partition("=")[0] not in _NOT_SHOWN]
    return " ".join([name, *fields])


def _with(source: str, **fields: str) -> str:
    """The same environment with other values of these fields."""
    name, _, query = source.partition("?")
    kept = [pair for pair in query.split("&") if pair and pair.partition("=")[0] not in fields]
    return f"{name}?{'&'.join([*kept, *(f'{key}={value}' for key, value in fields.items())])}"
