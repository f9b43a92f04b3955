"""The arguments of a tool: a model of them made from a function's signature, and what is wrong with those of a call."""

import inspect
import json
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError

from maieutic.errors import ToolError, UserError

_SHOWN = 80


def model_of(function: Callable[..., Any]) -> type[BaseModel]:
    """The arguments that a function takes, `session` left out. Raises UserError for a signature that can't be asked
    for in JSON."""
    name = function.__name__
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise UserError(f"The types of the tool {name} can't be read: {error}.") from error
    fields: dict[str, Any] = {}
    for one, parameter in inspect.signature(function).parameters.items():
        if one == "session":
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise UserError(f"The tool {name} can't take {parameter}: a model gives its arguments by name.")
        if one not in hints:
            raise UserError(f"The tool {name} needs a type for its parameter {one!r}.")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        if one.startswith("_") or hasattr(BaseModel, one):  # pydantic keeps such names for itself
            fields[f"field_{len(fields)}"] = (hints[one], Field(default, alias=one, title=one.strip("_").title()))
        else:
            fields[one] = (hints[one], default)
    try:
        made: type[BaseModel] = create_model(
            f"{name}_arguments", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields
        )
        made.model_json_schema()
    except PydanticUserError as error:
        what = str(error).split("\n", 1)[0].rstrip(".")
        raise UserError(f"The tool {name} has a parameter whose type has no JSON schema: {what}.") from error
    return made


def read(model: type[BaseModel], name: str, text: str) -> dict[str, Any]:
    """The arguments in a call's JSON. Raises ToolError with sentences that say how to do better."""
    try:
        read_ = model.model_validate_json(text.strip() or "{}")
    except ValidationError as error:
        wrong = [_wrong(problem, model, text) for problem in error.errors(include_url=False)]
        said = "; ".join(dict.fromkeys(wrong))
        raise ToolError(f"The arguments of {name} are not valid: {said}. {_takes(model, name)}") from None
    given = {field.alias or one: getattr(read_, one) for one, field in type(read_).model_fields.items()}
    return {**given, **(read_.model_extra or {})}


def _wrong(problem: Any, model: type[BaseModel], text: str) -> str:
    field = ".".join(map(str, problem["loc"]))
    kind = problem["type"]
    if kind == "json_invalid":
        return _malformed(text)
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        close = get_close_matches(field, _names(model), n=1, cutoff=0.5)
        return f"there is no field {field}{f', did you mean {close[0]}' if close else ''}"
    if kind == "model_type" and not field:
        return f"expected one JSON object, given {_shown(problem['input'])}"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    expected = message.replace("Input should be ", "expected ", 1)
    return f"{field or 'arguments'}: {expected[:1].lower()}{expected[1:]}, given {_shown(problem['input'])}"


def _malformed(text: str) -> str:
    """Where a text stops being JSON, with what stands there."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        around = text[max(0, error.pos - 20) : error.pos + 20]
        where = f"line {error.lineno}, column {error.colno}"
        end = " (it ends too early)" if error.pos >= len(text.rstrip()) else ""
        reason = f"{error.msg[:1].lower()}{error.msg[1:]}"
        return f"they are not JSON: {reason} at {where}, near {json.dumps(around, ensure_ascii=False)}{end}"
    except RecursionError:
        return "they are nested too deeply"
    return "they are not strict JSON"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _takes(model: type[BaseModel], name: str) -> str:
    parts = [
        f"{field.alias or one} ({'required' if field.is_required() else 'optional'})"
        for one, field in model.model_fields.items()
    ]
    return f"{name} takes {', '.join(parts)}." if parts else f"{name} takes no arguments: {{}}."
