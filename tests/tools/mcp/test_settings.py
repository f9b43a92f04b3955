"""MCP servers in the user's settings, and tools of them by name."""

import sys
from pathlib import Path
from typing import Any

import pytest

from maieutic.cli.options import run_options
from maieutic.errors import ConfigError, UnknownName, UserError
from maieutic.llm.scripted import call_tool
from maieutic.settings import Settings, load_settings
from maieutic.tools.opening import open_tools
from maieutic.tools.options import ToolOptions
from tests.conftest import Ask
from tests.tools.mcp.conftest import SERVER, replies

CONFIG = f"""
mcp:
  t:
    command: [{sys.executable}, {SERVER}]
    env: {{GIVEN: given}}
    pass_env: [PASSED]
    tools: [add, environment]
"""


def settings(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "config.yaml").write_text(text)
    return load_settings({"MAIEUTIC_CONFIG": str(tmp_path)})


async def test_a_server_of_the_settings(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSED", "passed on")
    calls = [call_tool("t__add", a=1), call_tool("t__environment"), call_tool("t__refuse")]
    _, said = await replies(ask, ["mcp:t"], *calls, settings=settings(tmp_path, CONFIG))
    assert said[0] == "11"
    assert '"GIVEN": "given"' in said[1] and '"PASSED": "passed on"' in said[1]
    assert said[2] == "There is no tool t__refuse. Tools: t__add, t__environment."


@pytest.mark.slow
async def test_single_tools_of_a_server_share_one_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSED", "x")
    options = ToolOptions(mcp=settings(tmp_path, CONFIG).mcp)
    async with open_tools(["mcp:t/pid", "mcp:t/add"], options) as tools:
        assert list(tools) == ["t__pid", "t__add"]
    async with open_tools(["mcp:t/add", "mcp:t"], options) as tools:
        assert list(tools) == ["t__add", "t__environment"]


async def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSED", raising=False)

    async def refused(name: str, text: str, kind: type[UserError]) -> str:
        with pytest.raises(kind) as caught:
            async with open_tools([name], ToolOptions(mcp=settings(tmp_path, text).mcp)):
                pass
        return str(caught.value)

    needs = "The MCP server t needs the environment variable PASSED"
    assert await refused("mcp:t", CONFIG, ConfigError) == f"{needs} (pass_env): set it."
    http = "mcp: {t: {url: 'http://127.0.0.1:9', headers_env: {Authorization: PASSED}, tools: all}}"
    assert await refused("mcp:t", http, ConfigError) == f"{needs} for Authorization: set it."
    assert "There is no MCP server named 'u'." in await refused("mcp:u", CONFIG, UnknownName)


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("{command: [x]}", "tools' is missing"),
        ("{tools: all}", "give either a command or a url"),
        ("{tools: all, command: [x], url: http://x}", "give either a command or a url"),
        ("{tools: all, url: http://x, env: {A: b}}", "env and pass_env belong to a command"),
        ("{tools: all, command: [x], headers_env: {A: B}}", "headers_env belongs to a url"),
        ("{tools: all, command: []}", "at least 1 item"),
        ("{tools: all, command: [x], timeout: 0}", "greater than 0"),
        ("{tools: all, comand: [x]}", "Did you mean 'command'?"),
    ],
)
def test_a_wrong_setting_says_where(tmp_path: Path, server: str, message: str) -> None:
    with pytest.raises(ConfigError, match="line 1") as caught:
        settings(tmp_path, f"mcp: {{t: {server}}}")
    assert message in str(caught.value)


@pytest.mark.parametrize(("value", "sent"), [("abc", "Bearer abc"), ("Basic abc", "Basic abc")])
def test_a_bare_token_is_a_bearer_s(value: str, sent: str, tmp_path: Path) -> None:
    from maieutic.tools.mcp.reach import Url
    from maieutic.tools.opening import _toolset

    http = "mcp: {t: {url: 'http://x', headers_env: {Authorization: TOKEN, X-Key: TOKEN}, tools: all}}"
    made: Any = _toolset("t", settings(tmp_path, http).mcp["t"], None, {"TOKEN": value})
    assert made.reach == Url("http://x", {"Authorization": sent, "X-Key": value}, 60.0)
    assert value not in repr(made)


def test_the_option_names_servers() -> None:
    assert run_options(tool=["python"], mcp=["a", "b"]).tools == ("python", "mcp:a", "mcp:b")
