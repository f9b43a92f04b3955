"""The process in which reasoning-gym generates questions and scores answers; started by `gym_process`.

It is a process of its own for three reasons. Some datasets iterate over sets, so that the same seed gives other
questions under another hash seed: this process has a fixed one. Some scorers evaluate the answer as an expression, so
that an answer can run for ever or be code: this process can be killed, refuses what isn't arithmetic, and is cut off
from files, network and other programs while it scores. And importing reasoning-gym takes a second that the main
process need not wait for.

Requests and replies are JSON over pipes: `["names"]`, `["items", name, options, seed, start, stop]` and
`["score", name, options, seed, index, question, answer]`; replies are `["ok", value]` or `[kind, sentence]`.
"""

import ast
import dataclasses
import json
import os
import re
import resource
import sys
import typing
from functools import lru_cache
from multiprocessing.connection import Connection
from types import GenericAlias
from typing import Any

from maieutic.tasks.gym_confirm import confirmed
from maieutic.tasks.verifier import FULL_SCORE

MEMORY_BYTES = 4 << 30
_RESERVED = ("seed", "size")
# Datasets whose scorer calls eval or sympy's parse_expr on the answer.
_EVALUATED = frozenset(
    "binary_matrix composite countdown intermediate_integration n_queens number_sorting polynomial_multiplication "
    "puzzle24 simple_integration spiral_matrix string_insertion".split()
)
_EXPRESSION = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Constant, ast.Name, ast.Load, ast.List,
    ast.Tuple, ast.Call,
)  # fmt: skip
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc asin acos atan sinh cosh tanh exp log ln sqrt Abs erf Ei Si Ci li gamma".split()
)
_FORBIDDEN_EVENTS = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "webbrowser.", "urllib.", "pty.", "sys.")
_HARMLESS_EVENTS = frozenset({"os.listdir", "os.scandir", "sys._getframe", "sys.unraisablehook", "sys.excepthook"})


class Refused(Exception):
    """A request that can't be served; `kind` tells the other side what to make of it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Guard:
    """An audit hook that, while on, lets nothing through to files, processes or the network."""

    on = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on or event in _HARMLESS_EVENTS:
            return
        writes = event == "open" and not str(args[1] or "r").startswith("r")
        if writes or event.startswith(_FORBIDDEN_EVENTS):
            raise Refused("format", f"the answer tried to use {event}")


def main() -> None:
    """Serve requests from standard input until it is closed."""
    requests, replies = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # whatever a dataset prints must not end up among the replies
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    guard = _Guard()
    sys.addaudithook(guard)
    while True:
        try:
            request = json.loads(requests.recv_bytes())
        except EOFError:
            return
        replies.send_bytes(json.dumps(_reply(request, guard)).encode())


def _reply(request: list[Any], guard: _Guard) -> list[Any]:
    try:
        match request:
            case ["names"]:
                return ["ok", sorted(_datasets())]
            case ["items", name, options, seed, start, stop]:
                dataset = _dataset(name, json.dumps(options), seed)
                return ["ok", [_public(name, dataset, index) for index in range(start, min(stop, dataset.config.size))]]
            case ["score", name, options, seed, index, question, answer]:
                return ["ok", _score(_dataset(name, json.dumps(options), seed), name, index, question, answer, guard)]
        raise Refused("bug", f"unknown request {request[0]!r}")
    except Refused as refusal:
        return [refusal.kind, str(refusal)]
    except Exception as error:
        return ["error", f"{type(error).__name__}: {error}"]


def _datasets() -> dict[str, tuple[Any, Any]]:
    import reasoning_gym  # noqa: F401  (importing it fills the registry)
    from reasoning_gym.factory import DATASETS

    return dict(DATASETS)


@lru_cache(maxsize=16)
def _dataset(name: str, options: str, seed: int) -> Any:
    dataset_class, config_class = _datasets()[name]
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    hints = typing.get_type_hints(config_class)
    values: dict[str, Any] = {}
    for key, text in json.loads(options).items():
        if key not in fields or key == "seed":
            known = ", ".join(sorted(set(fields) - set(_RESERVED)))
            raise Refused("user", f"rg/{name} has no setting {key!r}: it knows {known}")
        values[key] = _value(name, fields[key], hints[key], text)
    try:
        config = config_class(**values, seed=seed)
        if hasattr(config, "validate"):
            config.validate()
        return dataset_class(config)
    except (AssertionError, ValueError, TypeError, KeyError) as error:
        raise Refused("user", f"rg/{name} refuses these settings: {error}") from error


def _value(name: str, field: Any, hint: Any, text: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    given: Any = text
    bare = typing.get_origin(hint) or hint
    listed = bare in (list, tuple) or any(typing.get_origin(part) is list for part in typing.get_args(hint))
    try:
        if text[:1] in ("[", "{"):
            given = json.loads(text)
        elif listed or "Sequence" in str(hint):
            given = [part.strip() for part in text.split(",")]
        if hint == tuple[str]:  # as reasoning-gym spells "any number of them"
            hint = tuple[str, ...]
        elif hint is tuple and field.default:
            hint = GenericAlias(tuple, (type(field.default[0]), ...))
        return TypeAdapter(hint).validate_python(given)
    except (ValidationError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        kind = getattr(hint, "__name__", str(hint))
        raise Refused("user", f"rg/{name} can't use {field.name}={text!r} ({kind}): {reason}") from error


def _public(name: str, dataset: Any, index: int) -> list[Any]:
    try:
        entry = dataset[index]
    except Exception as error:
        message = f"rg/{name} makes no question with these settings: {type(error).__name__}: {error}"
        raise Refused("user", message.rstrip(".")) from error
    answer = entry["answer"]
    return [entry["question"], None if answer is None else str(answer)]


@lru_cache(maxsize=1024)
def _entry(dataset: Any, index: int) -> dict[str, Any]:
    entry: dict[str, Any] = dataset[index]
    return entry


def _score(dataset: Any, name: str, index: int, question: str, answer: str, guard: _Guard) -> float:
    entry = _entry(dataset, index)
    if entry["question"] != question:
        raise Refused("changed", "this version of reasoning-gym asks another question there")
    if name in _EVALUATED:
        _refuse_code(answer)
    guard.on = True
    try:
        score = float(dataset.score_answer(answer, entry))
        source = entry["metadata"].get("source_dataset", name)
        return score if score < FULL_SCORE or confirmed(source, answer, entry) else 0.0
    except Exception as error:
        raise Refused("format", f"its scorer can't read the answer: {type(error).__name__}: {error}") from error
    finally:
        guard.on = False


def _refuse_code(answer: str) -> None:
    """Refuse an answer that would do more than compute when it is evaluated."""
    try:
        tree = ast.parse(answer.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Not Python, but sympy's parser also takes "x!" and the like: no calls, attributes or strings there.
        if re.search(r"""__|[A-Za-z]\s*\.|\.\s*[A-Za-z]|["']|[A-Za-z]\w+\s*\(""", answer):
            raise Refused("format", "the answer is not an expression") from None
        return
    nodes = list(ast.walk(tree))
    # SymPy parses, and so evaluates, a string that meets a function or an operator.
    computes = any(isinstance(node, ast.Call | ast.BinOp) for node in nodes)
    for node in nodes:
        quotes = computes and isinstance(node, ast.Constant) and not isinstance(node.value, int | float)
        calls = isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS)
        private = isinstance(node, ast.Name) and "_" in node.id
        if not isinstance(node, _EXPRESSION) or calls or private or quotes:
            raise Refused("format", "the answer is code and not an expression")


if __name__ == "__main__":
    main()
