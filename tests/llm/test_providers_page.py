"""The table of docs/providers.md says what is found when each provider's server is asked. Slow: litellm."""

import re
from pathlib import Path
from typing import Any

import pytest

from maieutic.llm.profile import Profile
from maieutic.llm.providers_table import PROVIDERS
from maieutic.types import Delta, Request, Sampling, ToolSpec
from tests.support.provider_servers import KEY, ProviderServer, Said

PAGE = Path(__file__).resolve().parents[2] / "docs" / "providers.md"
EVERYTHING = Sampling(0.5, 0.9, 5, max_tokens=100, stop=("X",), seed=3, top_logprobs=2)
TOOL = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


def rows() -> dict[str, dict[str, str]]:
    """The table's rows by provider."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    head, *others = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    found = [dict(zip(head, cells, strict=True)) for cells in others if len(cells) == len(head)]
    return {row["name"].strip("`").partition("/")[0]: row for row in found}


def test_the_table_has_every_provider_and_its_variables() -> None:
    assert rows().keys() == PROVIDERS.keys()
    for name, row in rows().items():
        assert row["name"] == f"`{name}/NAME`"
        assert tuple(re.findall(r"`(\w+)`", row["key"])) == PROVIDERS[name].keys
        assert ("not needed" in row["key"]) == PROVIDERS[name].keyless


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_row_is_what_is_found(name: str) -> None:
    from maieutic.llm.providers import ProviderModel

    shown = re.search(rf"--model ({name}/\S+)", PAGE.read_text())
    assert shown is not None
    asked_for = "ollama/m" if name == "ollama" else shown[1]
    deltas: list[Delta] = []
    said = Said("hello there", "" if name == "openai" else "hm", [("add", {"a": 1})])
    request = Request(({"role": "user", "content": "hi"},), EVERYTHING, (TOOL,))
    with ProviderServer(name, [said, Said('{"a": 1}')]) as server:
        model: Any = ProviderModel(
            name, Profile(kind="litellm", model=asked_for, base_url=server.url, api_key_env="X"), KEY
        )
        got = await model.sample(request, deltas.append)
        formed = await model.sample(Request(request.messages, schema=SCHEMA))
        await model.close()
    found = {
        "streamed": len([d for d in deltas if d.text]) > 1,
        "tools": [call.name for call in got.tool_calls] == ["add"],
        "reasoning": got.reasoning is not None,
        "schema": "dropped" not in formed.extra,
        "log-probabilities": got.logprobs is not None,
        "token ids": got.token_ids is not None,
    }
    row = rows()[name]
    assert {column: row[column] for column in found} == {c: "yes" if holds else "no" for c, holds in found.items()}
    assert row["cost"] == ("listed" if got.usage.cost is not None else "`price`")
    assert row["left out"] == ", ".join(got.extra.get("dropped", []))
