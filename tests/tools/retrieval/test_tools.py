"""What a model gets from `retrieve` and `open_source`, in runs of its own."""

from pathlib import Path

import pytest

from maieutic.errors import UnknownName, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools.registry import load_tools
from maieutic.tools.retrieval import retrieval_tool, source_tool
from maieutic.tools.retrieval.indexing import Wanted, update_index
from maieutic.tools.retrieval.shelf import Shelf
from maieutic.tools.tool import Session, Tool
from maieutic.trace.reader import TraceReader
from maieutic.types import ToolCall, ToolResult
from tests.conftest import Ask
from tests.tools.retrieval.conftest import Update, pdf


async def use(tool: Tool, arguments: str) -> ToolResult:
    return await tool.call(ToolCall("1", tool.name, arguments), Session())


@pytest.fixture
def root(update: Update, place: Path, folder: Path) -> Path:
    """Where the index handbook lies."""
    (folder / "manual.pdf").write_bytes(pdf("Cover", "Torque the flange to 40 Nm"))
    (folder / "long.txt").write_text("Seals age. " * 1600)
    update()
    return place.parent


async def test_a_run_searches_reads_on_and_cites(ask: Ask, root: Path, tmp_path: Path) -> None:
    model = ScriptedModel(
        [
            call_tool("retrieve", query="which torque for the flange?", k=2),
            call_tool("open_source", source=3, page=2),
            "See [1].\nAnswer: 40 Nm",
        ]
    )
    tools = [retrieval_tool("handbook", root=root), source_tool("handbook", root=root)]
    result = await ask(model, "tool_loop", task="Which torque?", tools=tools)
    assert result.answer == "40 Nm"
    said = str(model.requests[1].messages[-1]["content"])
    assert said.startswith("[1] source 3: handbook/manual.pdf, page 2, characters 0-")
    assert "Torque the flange to 40 Nm" in said and "\n\n[2] source" in said
    with TraceReader(tmp_path / "traces") as reader:
        first, second = reader.run(result.run_id).events_of("tool_result")
    assert first.fields["meta"]["hits"][0]["page"] == 2
    assert first.fields["meta"]["hits"][0]["path"].endswith("manual.pdf")
    assert second.fields["status"] == "ok"


async def test_replies_are_bounded(root: Path) -> None:
    result = await use(retrieval_tool("handbook", root=root), '{"query": "seals age", "k": 20}')
    assert len(result.content) < 14_000 and "left out: ask for fewer" in result.content
    opened = await use(source_tool("handbook", root=root), '{"source": 2}')
    assert "characters 0-4000 of 17600" in opened.content and opened.content.endswith("[Goes on: at=4000]")
    rest = await use(source_tool("handbook", root=root), '{"source": 2, "at": 16000}')
    assert "characters 16000-17600 of 17600" in rest.content and "Goes on" not in rest.content


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"source": 99}', "There is no source 99"),
        ('{"source": 3, "page": 7}', "has no text on a page 7; it has text on pages 1 to 2"),
        ('{"source": 2, "at": 19000}', "has characters 0 to 17600"),
        ('{"source": 2, "at": -1}', "has characters 0 to 17600"),
    ],
)
async def test_mistakes_are_told_to_the_model(root: Path, arguments: str, said: str) -> None:
    result = await use(source_tool("handbook", root=root), arguments)
    assert result.status == "error" and said in result.content


async def test_queries_without_a_meaning(root: Path) -> None:
    tool = retrieval_tool("handbook", root=root)
    assert (await use(tool, '{"query": " "}')).content == "The query is empty: say what you look for."
    assert (await use(tool, '{"query": "!?"}')).content == "Nothing was found: try other words."
    assert "ask for 1 to 20" in (await use(tool, '{"query": "x", "k": 0}')).content


async def test_tools_are_known_by_name_and_index(folder: Path) -> None:
    with pytest.raises(UserError, match="There is no index yet"):
        await load_tools(["retrieve"])
    update_index(Shelf().place("one"), Wanted((folder,)))
    loaded = await load_tools(["retrieve", "open_source@one"])
    assert list(loaded) == ["retrieve", "open_source"]
    assert "valves" in (await use(loaded["retrieve"], '{"query": "valve seat"}')).content
    with pytest.raises(UnknownName, match="no index named 'on'.*Did you mean 'one'"):
        await load_tools(["retrieve@on"])
    update_index(Shelf().place("two"), Wanted((folder,)))
    with pytest.raises(UserError, match=r"several indexes \(one, two\): say which"):
        await load_tools(["retrieve"])
