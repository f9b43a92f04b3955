"""The arguments of an MCP tool: its JSON schema as it is for the model, and what of a call is checked here.

That they are one JSON object with all that is required; the rest is for the server to judge, which knows its own rules.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

_NOT_GIVEN: Any = object()
_SESSION = "session"


def arguments_of(name: str, schema: dict[str, Any]) -> type[BaseModel]:
    """A model that takes what the schema requires and whatever else is given, and shows the schema."""
    shown = {key: value for key, value in schema.items() if key != "$schema"}
    shown = {"type": "object", "properties": {}, **shown}
    properties = shown["properties"] if isinstance(shown["properties"], dict) else {}
    required = shown.get("required")
    must = set(required) if isinstance(required, list) else set()

    class Shown(BaseModel):
        model_config = ConfigDict(extra="allow", protected_namespaces=())

        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return shown

    fields: dict[str, Any] = {}
    for number, one in enumerate([*properties, *sorted(must.difference(properties))]):
        default = ... if one in must else _NOT_GIVEN
        if one == _SESSION:  # a tool's function gets its session under this name
            fields[f"{_SESSION}_"] = (Any, Field(default, validation_alias=one))
        else:
            fields[f"field_{number}"] = (Any, Field(default, alias=one))
    made: type[BaseModel] = create_model(f"{name}_arguments", __base__=Shown, **fields)
    return made


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a call has, by the server's own names."""
    return {
        _SESSION if name == f"{_SESSION}_" else name: value for name, value in values.items() if value is not _NOT_GIVEN
    }
