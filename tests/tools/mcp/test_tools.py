"""An MCP server's tools as a model meets them, asked in this process."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools.mcp import mcp_tools
from maieutic.tools.opening import open_tools
from maieutic.tools.policy import Policy
from maieutic.tools.tool import Session
from maieutic.types import ToolCall
from tests.conftest import Ask
from tests.tools.mcp.conftest import recorded, replies


@pytest.fixture
def server() -> Any:
    from tests.tools.mcp.server import make_server

    return make_server()


async def test_a_model_uses_tools_of_a_server(ask: Ask, server: Any, tmp_path: Path) -> None:
    calls = [call_tool("t__add", a=1, b=6), call_tool("t__add", a=1), call_tool("t__greet", session="s1")]
    model, said = await replies(ask, [mcp_tools("t", server=server, tools=["add", "greet"])], *calls)
    add, greet = model.requests[0].tools
    assert (add.name, add.description) == ("t__add", "Add two numbers.")
    assert add.parameters["properties"]["a"]["type"] == "integer" and add.parameters["required"] == ["a"]
    assert greet.name == "t__greet"
    assert said[:2] == ["7", "11"] and '"session": "s1"' in said[2]
    assert recorded(tmp_path)[0] == {"server": "t", "tool": "add", "structured": {"result": 7}}


async def test_failures_are_text_for_the_model(ask: Ask, server: Any) -> None:
    calls = [
        call_tool("t__add"),
        call_tool("t__add", a="seven"),
        call_tool("t__refuse"),
        call_tool("t__boom"),
        call_tool("t__add", a=1, b=1),
    ]
    _, said = await replies(ask, [mcp_tools("t", server=server, tools="all")], *calls)
    assert said[0] == "The arguments of t__add are not valid: a is missing. t__add takes a (required), b (optional)."
    assert "valid integer" in said[1]
    assert "There is no such city: name another." in said[2]
    assert "boom" in said[3] and "nobody's business" not in said[3]
    assert said[4] == "2"


async def test_pictures_and_resources(ask: Ask, server: Any, tmp_path: Path) -> None:
    from tests.tools.mcp.server import PIXEL

    _, said = await replies(ask, [mcp_tools("t", server=server, tools=["parts"])], call_tool("t__parts"))
    assert said[0].splitlines() == [
        "Look:",
        f"[Image: image/png, {len(PIXEL)} bytes]",
        "[file:///notes.txt]",
        "Noted.",
        "[Link: more, https://example.org/more (the rest)]",
    ]
    (meta,) = recorded(tmp_path)
    (image,) = meta["images"]
    assert Path(image).read_bytes() == PIXEL


async def test_a_slow_call_is_given_up_and_the_next_one_answered(server: Any) -> None:
    async with open_tools([mcp_tools("t", server=server, tools=["sleep", "add"], timeout=50)]) as tools:
        assert tools["t__sleep"].policy.timeout == 50
        hasty = replace(tools["t__sleep"], policy=Policy(timeout=0.05))
        late = await hasty.call(ToolCall("c", "t__sleep", '{"seconds": 600}'), Session())
        assert (late.status, late.content) == ("timeout", "t__sleep failed: it did not end within 0.05 s")
        assert (await tools["t__add"].call(ToolCall("c", "t__add", '{"a": 1}'), Session())).content == "11"


async def test_a_server_can_not_ask_back(ask: Ask, server: Any) -> None:
    _, said = await replies(ask, [mcp_tools("t", server=server, tools=["ask"])], call_tool("t__ask"))
    assert said[0].startswith("The MCP server t refused the call: ")


async def test_nothing_but_the_listed_tools_can_be_called(ask: Ask, server: Any) -> None:
    _, said = await replies(ask, [mcp_tools("t", server=server, tools=["add"])], call_tool("t__refuse"))
    assert said[0] == "There is no tool t__refuse. Tools: t__add."


async def test_tools_whose_names_fall_together_are_both_reached(server: Any) -> None:
    async with open_tools([mcp_tools("t", server=server, tools=["read.me", "read_me"])]) as tools:
        called = [await one.call(ToolCall("c", one.name, ""), Session()) for one in tools.values()]
    assert [one.content for one in called] == ["with a dot", "with a line"]


async def test_a_runner_may_be_closed_by_another_task_than_opened_it(server: Any) -> None:
    opening = open_tools([mcp_tools("t", server=server, tools=["add"])])
    tools = await asyncio.create_task(opening.__aenter__())
    called = await asyncio.create_task(tools["t__add"].call(ToolCall("c", "t__add", '{"a": 1}'), Session()))
    assert called.content == "11"
    await asyncio.create_task(opening.__aexit__(None, None, None))
    called = await tools["t__add"].call(ToolCall("c", "t__add", '{"a": 1}'), Session())
    assert called.status == "error"


async def test_two_runners_share_nothing(server: Any) -> None:
    shared = mcp_tools("t", server=server, tools=["add"])
    async with open_tools([shared]) as one, open_tools([shared]) as other:
        assert one["t__add"] is not other["t__add"]


async def test_what_is_wrong_is_said_before_a_run(ask: Ask, server: Any) -> None:
    async def refused(tools: list[Any]) -> str:
        with pytest.raises(UserError) as caught:
            await ask(ScriptedModel([]), "tool_loop", tools=tools)
        return str(caught.value)

    said = await refused([mcp_tools("t", server=server, tools=["ad"])])
    assert said.startswith("The MCP server t has no tool 'ad'. Did you mean 'add'? It has: add, refuse")
    twice = mcp_tools("t", server=server, tools=["add"])
    assert await refused([twice, twice]) == "Two tools are named t__add: leave one of them out."
    said = await refused([mcp_tools("t", command=["no-such-program"], tools="all")])
    assert said == "There is no program 'no-such-program' to start: install it, or give its path."
    said = await refused([mcp_tools("t", url="ftp://x", tools="all")])
    assert "begins with http:// or https://" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of a command, a URL or a server object"),
        ({"command": ["x"], "url": "http://x"}, "one of a command, a URL or a server object"),
        ({"url": "http://x", "env": {}}, "env belongs to a command"),
        ({"command": ["x"], "headers": {}}, "headers belong to a URL"),
        ({"command": "x y"}, "needs lists"),
        ({"command": ["x"], "tools": "add"}, "needs lists"),
        ({"command": ["x"], "timeout": 0}, "timeout"),
    ],
)
def test_what_can_not_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        mcp_tools("t", **{"tools": "all", **options})
