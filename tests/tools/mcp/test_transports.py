"""MCP servers in processes of their own: what they are given, how they end, what happens when they are lost."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import ToolError, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools.mcp import mcp_tools
from maieutic.tools.mcp.reach import Command
from maieutic.tools.mcp.server import Server
from maieutic.tools.opening import open_tools
from tests.conftest import Ask
from tests.tools.mcp.conftest import SERVER, recorded, replies

STDIO = [sys.executable, str(SERVER)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_stdio(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "of ours")
    tools = [mcp_tools("t", command=STDIO, env={"GIVEN": "yes"}, tools=["add", "environment", "pid"])]
    _, said = await replies(ask, tools, call_tool("t__add", a=4), call_tool("t__environment"), call_tool("t__pid"))
    assert said[0] == "14"
    environment = json.loads(said[1])
    assert environment["GIVEN"] == "yes" and environment["PATH"] == os.environ["PATH"]
    assert not {"A_SECRET", "HOME", "USER", "SHELL", "MAIEUTIC_HOME"} & set(environment)
    await until(lambda: not running(int(said[2])))


@pytest.mark.slow
async def test_a_server_that_dies_is_started_again_once(ask: Ask, tmp_path: Path) -> None:
    tools = [mcp_tools("t", command=STDIO, tools="all")]
    marker = str(tmp_path / "died")
    calls = [
        call_tool("t__die"),
        call_tool("t__add", a=1),
        call_tool("t__die_once", marker=marker),
        call_tool("t__die"),
        call_tool("t__die"),
        call_tool("t__add", a=1),
    ]
    _, said = await replies(ask, tools, *calls)
    lost = (
        "The MCP server t ended while it worked on this call. Whether the call took effect is not known, and what the "
        "server kept in memory is lost."
    )
    gone = "The MCP server t ended and could not be brought back: its tools can't be used now."
    assert said == [lost, "11", "still here", lost, lost, gone]
    assert [meta.get("restarted") for meta in recorded(tmp_path)] == [None, True, True, None, None, None]


@pytest.mark.slow
async def test_a_server_that_ended_between_calls_is_started_before_the_next() -> None:
    server = Server("t", Command(tuple(STDIO)))
    try:
        await server.open()
        first = (await server.call("pid", {}, False)).structured_content["result"]
        os.kill(first, 9)
        await until(lambda: server._connection is not None and server._connection.gone)
        both = await asyncio.gather(*(server.call("pid", {}, False) for _ in range(2)))
        second = {result.structured_content["result"] for result in both}
        assert len(second) == 1 and first not in second and server.restarts == 1
    finally:
        await server.close()
    with pytest.raises(ToolError, match="was left when the run ended"):
        await server.call("pid", {}, False)
    await until(lambda: not running(second.pop()))


async def test_a_program_that_is_no_server_is_refused_with_its_last_words(ask: Ask) -> None:
    program = "import sys; print('Usage: give me a folder.', file=sys.stderr); sys.exit(2)"
    tools = [mcp_tools("t", command=[sys.executable, "-c", program], tools="all")]
    with pytest.raises(UserError) as caught:
        await ask(ScriptedModel([]), "tool_loop", tools=tools)
    why = "it ended before it answered (its last words: Usage: give me a folder.)"
    expected = f"The MCP server t can't be used: {why}."
    assert str(caught.value) == expected


OLDER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    params = asked.get("params", {})
    if asked["method"] == "initialize":
        known = {"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}}
        answer["result"] = {**known, "serverInfo": {"name": "older", "version": "1"}}
    elif asked["method"] == "tools/list" and "cursor" not in params:
        answer["result"] = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}], "nextCursor": "2"}
    elif asked["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "fail", "inputSchema": {"type": "object"}}]}
    elif asked["method"] == "tools/call" and params["name"] == "echo":
        answer["result"] = {"content": [{"type": "text", "text": json.dumps(params["arguments"])}]}
    else:
        answer["error"] = {"code": -32000, "message": "not that"}
    print(json.dumps(answer), flush=True)
"""


async def test_a_server_of_an_older_protocol_that_lists_its_tools_in_pages(ask: Ask) -> None:
    tools = [mcp_tools("t", command=[sys.executable, "-c", OLDER], tools="all")]
    model, said = await replies(
        ask, tools, call_tool("t__echo", x=[1, None]), call_tool("t__fail"), call_tool("t__echo")
    )
    assert said == ['{"x": [1, null]}', "The MCP server t refused the call: not that.", "{}"]
    assert model.requests[0].tools[0].parameters == {"type": "object", "properties": {}}


@pytest.mark.slow
async def test_much_on_stderr_and_other_things_on_stdout_do_no_harm(ask: Ask) -> None:
    program = (
        f"import runpy, sys; print('Welcome!', flush=True); sys.stderr.write('x' * 1_000_000);"
        f"sys.argv = ['server']; runpy.run_path({str(SERVER)!r}, run_name='__main__')"
    )
    tools = [mcp_tools("t", command=[sys.executable, "-c", program], tools=["add"])]
    _, said = await replies(ask, tools, call_tool("t__add", a=1))
    assert said == ["11"]


@pytest.fixture
def url() -> Iterator[str]:
    with subprocess.Popen([*STDIO, "http"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
        finally:
            process.kill()


def over_http(url: str, token: str = "secret", **options: Any) -> list[Any]:
    return [mcp_tools("t", url=url, headers={"Authorization": f"Bearer {token}"}, **options)]


async def test_streamable_http(ask: Ask, url: str) -> None:
    slow = mcp_tools("slow", url=url, headers={"Authorization": "Bearer secret"}, tools=["sleep"], timeout=0.5)
    calls = [call_tool("t__add", a=4), call_tool("t__refuse"), call_tool("slow__sleep", seconds=600)]
    _, said = await replies(ask, [*over_http(url, tools="all"), slow], *calls, call_tool("t__add", a=5))
    assert said[0] == "14" and "name another" in said[1]
    assert said[2] == "slow__sleep failed: it did not end within 0.5 s" and said[3] == "15"


@pytest.mark.slow
async def test_http_that_refuses_or_is_not_there(ask: Ask, url: str) -> None:
    with pytest.raises(UserError, match="HTTP status 401") as caught:
        await ask(ScriptedModel([]), "tool_loop", tools=over_http(url, "wrong token", tools="all"))
    assert "wrong token" not in str(caught.value)
    with pytest.raises(UserError, match="The MCP server t can't be used: "):
        await ask(ScriptedModel([]), "tool_loop", tools=over_http("http://127.0.0.1:9/mcp", tools="all"))


@pytest.mark.slow
async def test_http_that_is_lost_says_so() -> None:
    with subprocess.Popen([*STDIO, "http"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
        try:
            async with open_tools(over_http(url, tools=["add"])) as tools:
                process.kill()
                process.wait()
                said = [await call(tools["t__add"]) for _ in range(3)]
        finally:
            process.kill()
    assert said[0].startswith("The MCP server t ended while it worked on this call.")
    assert said[1].startswith("The MCP server t ended and can't be started again: ")
    assert said[2].startswith("The MCP server t ended and could not be brought back")


async def call(tool: Any) -> str:
    from maieutic.tools.tool import Session
    from maieutic.types import ToolCall

    return str((await tool.call(ToolCall("c", tool.name, '{"a": 1}'), Session())).content)
