"""How a tool becomes known: one line, or another package's entry point."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import maieutic
from maieutic.errors import UnknownName, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools import registry
from maieutic.tools.registry import find_tool, load_tools, register_tool, tool_names
from maieutic.tools.tool import Session
from maieutic.types import ToolCall
from tests.conftest import Ask

MODULE = '''
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper() + "!"
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with two installed packages, as an installer leaves them; one of them is broken."""
    site = tmp_path / "site"
    for name, module, points in (
        ("loud-tools", MODULE, "shout = loud_tools:shout"),
        ("broken-tools", "import there_is_no_such_module", "broken = broken_tools:x\nnumber = loud_tools:__name__"),
    ):
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name.replace('-', '_')}.py").write_text(module)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[maieutic.tools]\n{points}\n")
    monkeypatch.syspath_prepend(str(site))
    yield site
    for module_name in ("loud_tools", "broken_tools"):
        sys.modules.pop(module_name, None)


@pytest.fixture
def forget() -> Iterator[None]:
    """What a test registers is not there for the next."""
    before = dict(registry._registered)
    yield
    registry._registered.clear()
    registry._registered.update(before)


async def test_a_tool_of_an_installed_package_is_found_by_its_name(installed: Path, ask: Ask) -> None:
    assert "shout" in tool_names()
    model = ScriptedModel([call_tool("shout", text="hey"), "Answer: 7"])
    assert (await ask(model, tools=["shout"])).answer == "7"
    assert model.requests[1].messages[-1]["content"] == "HEY!"


def test_the_command_lists_it_and_says_what_is_wrong_with_others(installed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "maieutic", "tools", "--json"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(installed), "HOME": str(installed), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    assert described["shout"]["description"] == "Say it louder."
    assert described["shout"]["unavailable"] is None
    said = described["broken"]["unavailable"]
    assert "The tool broken of broken-tools can't be loaded from broken_tools:x: ModuleNotFoundError" in said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("broken", "of broken-tools can't be loaded"), ("number", "number is not a tool: it must be a typed function")],
)
async def test_an_entry_point_that_is_no_tool_is_said_in_a_sentence(installed: Path, name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        await load_tools([name])


async def test_one_function_and_one_line(forget: None, ask: Ask) -> None:
    @maieutic.register_tool(timeout=5, retries=1)
    def double(n: int) -> int:
        """Double a number."""
        return 2 * n

    assert find_tool("double") is double and (double.policy.timeout, double.policy.retries) == (5, 1)
    model = ScriptedModel([call_tool("double", n=21), "Answer: 7"])
    await ask(model, tools=["double"])
    assert model.requests[1].messages[-1]["content"] == "42"
    assert register_tool(double) is double


async def test_an_unknown_tool_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'python'"):
        find_tool("pyton")


async def test_a_function_in_a_module_is_a_tool_by_its_path(installed: Path) -> None:
    loaded = await load_tools(["loud_tools:shout"])
    result = await loaded["shout"].call(ToolCall("1", "shout", '{"text": "a"}'), Session())
    assert result.content == "A!"
