"""What a tool asks for, and what a model is told that asked for something else."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from maieutic.errors import UserError
from maieutic.tools.tool import Session, tool
from maieutic.types import ToolCall


@tool
async def convert(amount: float, unit: Literal["mi", "km"], places: Annotated[int, Field(le=9)] = 3) -> float:
    """Convert."""
    return round(amount * 1.609344 if unit == "mi" else amount / 1.609344, places)


async def said(arguments: str) -> str:
    result = await convert.call(ToolCall("1", "convert", arguments), Session())
    assert result.status == "error"
    return result.content


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("{}", ["amount is missing", "unit is missing"]),
        ('{"amount": "ten", "unit": "mi"}', ["amount: expected a valid number", 'given "ten"']),
        ('{"amount": 1, "unit": "ft"}', ["unit: expected 'mi' or 'km', given \"ft\""]),
        ('{"amount": 1, "unit": "mi", "placs": 2}', ["there is no field placs, did you mean places"]),
        ('{"amount": 1, "unit": "mi", "x": 2}', ["there is no field x."]),
        ('{"amount": 1, "unit": "mi", "places": 20}', ["places: expected less than or equal to 9", "given 20"]),
        ('{"amount": 1, "unit" "mi"}', ["not JSON", "line 1, column 22", "near"]),
        ('{"amount": 1,', ["not JSON", "it ends too early"]),
        ("[1]", ["expected one JSON object, given [1]"]),
        ('"{}"', ["expected one JSON object"]),
    ],
)
async def test_what_is_wrong_is_said_with_the_field_what_was_given_and_what_is_expected(
    arguments: str, parts: list[str]
) -> None:
    text = await said(arguments)
    assert text.startswith("The arguments of convert are not valid: ")
    assert text.endswith("convert takes amount (required), unit (required), places (optional).")
    for part in parts:
        assert part in text


async def test_a_huge_wrong_value_is_not_repeated_whole() -> None:
    assert len(await said('{"amount": "' + "x" * 10_000 + '", "unit": "mi"}')) < 400


async def test_what_is_repaired_works() -> None:
    result = await convert.call(ToolCall("1", "convert", '{"amount": 26.2, "unit": "mi"}'), Session())
    assert (result.content, result.status) == ("42.165", "ok")


def test_the_schema_says_what_annotations_say() -> None:
    schema = convert.spec.parameters
    assert schema["required"] == ["amount", "unit"]
    assert schema["properties"]["places"]["maximum"] == 9
    assert schema["additionalProperties"] is False


async def test_parameters_may_have_the_names_that_pydantic_keeps_for_itself() -> None:
    @tool
    async def describe(schema: str, json: bool = False, model_dump: int = 1) -> str:
        """Describe."""
        return f"{schema} {json} {model_dump}"

    assert list(describe.spec.parameters["properties"]) == ["schema", "json", "model_dump"]
    result = await describe.call(ToolCall("1", "describe", '{"schema": "s", "json": true}'), Session())
    assert result.content == "s True 1"
    result = await describe.call(ToolCall("1", "describe", '{"json": 1, "shema": "s"}'), Session())
    assert "schema is missing" in result.content and "did you mean schema" in result.content


async def parts_of() -> AsyncIterator[str]:
    yield "x"


def pieces_of() -> Iterator[str]:
    yield "x"


async def any_number(*numbers: int) -> int:
    return sum(numbers)


async def any_name(**values: int) -> int:
    return sum(values.values())


async def untyped(x):  # type: ignore[no-untyped-def]
    return x


async def unknown_type(x: "Nowhere") -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


async def no_schema(x: Session) -> str:
    return ""


class Callable_:
    async def __call__(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (parts_of, "yields its result in parts: return it whole"),
        (pieces_of, "yields its result in parts"),
        (any_number, "can't take \\*numbers: int: a model gives its arguments by name"),
        (any_name, "can't take \\*\\*values"),
        (untyped, "needs a type for its parameter 'x'"),
        (unknown_type, "types of the tool unknown_type can't be read: name 'Nowhere' is not defined"),
        (no_schema, "no_schema has a parameter whose type has no JSON schema"),
        (lambda: "", "can't be named '<lambda>'"),
        (Callable_(), "give a function made with def"),
        (3, "3 can't be a tool"),
    ],
)
def test_what_can_be_no_tool_is_refused_in_a_sentence(function: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        tool(function)
