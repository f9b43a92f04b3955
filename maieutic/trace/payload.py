"""Payloads: JSON as the trace writes it, exactly enough to be read back as the same values."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import orjson

from maieutic.errors import TraceError

_LONG_NUMBER = re.compile(rb"\d{19}")  # the fast reader makes floats of integers above 64 bits
_HEAD = re.compile(rb'\{"kind":"(\w+)","run":("(?:[^"\\]|\\.)*")')


def dump(value: Any) -> bytes:
    """Compact JSON, in UTF-8. Non-finite floats, which JSON has no word for, become null."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        pass  # integers above 64 bits, lone surrogates and keys that are not text: the standard library takes them
    try:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False, default=_plain).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise TraceError(f"A record can't be written to the trace as JSON: {error}.") from error


def parse(payload: bytes) -> dict[str, Any]:
    """What `dump` wrote."""
    try:
        value = json.loads(payload) if _LONG_NUMBER.search(payload) else orjson.loads(payload)
    except orjson.JSONDecodeError:
        value = json.loads(payload)
    if not isinstance(value, dict):
        raise TraceError("A line of the trace is not a JSON object.")
    return value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return _finite(_plain(value)) if is_dataclass(value) and not isinstance(value, type) else value


def floats(values: Sequence[float] | None) -> Any:
    """Shortest decimals that bring back every float32 exactly; non-finite ones as text."""
    if values is None:
        return None
    packed = np.asarray(values, np.float32)
    return packed if np.isfinite(packed).all() else [float(str(v)) if np.isfinite(v) else str(v) for v in packed]


def head_of(payload: bytes) -> tuple[str, str]:
    """Kind and run id of a payload, without parsing the rest of it."""
    match = _HEAD.match(payload)
    if match is None:
        raise TraceError("A line of the trace names neither its kind nor its run.")
    return match[1].decode(), json.loads(match[2])
