"""The tools `search` and `read_page` as a model meets them: replies, pages of a text, errors, the trace."""

import asyncio
import json
import threading
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.settings import Settings, WebSettings
from maieutic.tools.options import ToolOptions
from maieutic.tools.registry import load_tools
from maieutic.tools.tool import Session, Tool
from maieutic.tools.web import page_tool, search_tool
from maieutic.tools.web.engines import SearXNG
from maieutic.tools.web.page_file import PageFile
from maieutic.tools.web.reader import FRESH, Reader
from maieutic.tools.web.record import Record
from maieutic.trace.reader import TraceReader
from maieutic.types import ToolCall, ToolResult
from tests.conftest import Ask
from tests.tools.web.conftest import article, fetcher_for


async def use(tool: Tool, **arguments: object) -> ToolResult:
    return await tool.call(ToolCall("1", tool.name, json.dumps(arguments)), Session())


async def test_a_run_searches_reads_and_is_repeated_offline(ask: Ask, site: HTTPServer, tmp_path: Path) -> None:
    found = {"results": [{"url": site.url_for("/herons"), "title": "Herons", "content": "nine of them"}]}
    site.expect_request("/search").respond_with_json(found)
    site.expect_request("/robots.txt").respond_with_data("")
    site.expect_request("/herons").respond_with_data(article(), content_type="text/html")
    said: list[list[str]] = []
    for mode in ("record", "replay"):
        model = ScriptedModel(
            [
                call_tool("search", query="how many herons"),
                call_tool("read_page", url=site.url_for("/herons")),
                "Answer: nine",
            ]
        )
        web = WebSettings(
            allow_hosts=(f"127.0.0.1:{site.port}",),
            cache=tmp_path / "web",
            cache_mode=mode,  # type: ignore[arg-type]
        )
        provider = SearXNG(site.url_for("/"), record=Record(tmp_path / "web", mode))  # type: ignore[arg-type]
        result = await ask(
            model,
            "tool_loop",
            task="How many herons?",
            tools=[search_tool(provider), "read_page"],
            settings=Settings(web=web),
        )
        assert result.answer == "nine"
        said.append([str(one["content"]) for one in model.requests[-1].messages if one["role"] == "tool"])
        site.clear()
    assert said[0] == said[1]
    assert said[0][0] == f"[1] Herons\n{site.url_for('/herons')}\nnine of them"
    assert said[0][1].startswith(f"Herons & tides\n{site.url_for('/herons')}\n\n# Herons\n\nNine herons stood")
    with TraceReader(tmp_path / "traces") as reader:
        first, second = reader.run(result.run_id).events_of("tool_result")
    assert first.fields["meta"] == {"provider": "searxng", "urls": [site.url_for("/herons")]}
    assert second.fields["meta"]["fetched"].endswith("+00:00") and second.fields["meta"]["pages"] == 1


async def test_a_long_text_is_read_page_by_page_and_fetched_once(site: HTTPServer) -> None:
    text = "".join(f"Line {number} of the long text.\n" for number in range(1000))
    site.expect_request("/long").respond_with_data(text, content_type="text/plain")
    tool = page_tool(Reader(fetcher_for(site)), size=5_000)
    url = site.url_for("/long")
    first = await use(tool, url=url)
    assert first.content.startswith(f"{url}\npage 1 of 6, characters 0-") and first.content.endswith(
        "[Goes on: page=2]"
    )
    last = await use(tool, url=f"{url}#part", page=6)
    assert "Line 999 of the long text." in last.content and "Goes on" not in last.content
    beyond = await use(tool, url=url, page=7)
    assert beyond.status == "error" and beyond.content == "There is no page 7: this text has 6 pages."
    found = await use(tool, url=url, find="line 777 OF")
    assert found.content.startswith(f"{url}\n\npage 5: … ") and found.meta["matches"] == 1
    many = await use(tool, url=url, find="long text")
    assert many.content.endswith("[988 more places]")
    none = await use(tool, url=url, find="owl")
    assert "'owl' does not stand in this text" in none.content and none.status == "ok"
    assert len(site.log) == 1


async def test_a_page_is_fetched_again_when_it_is_old(site: HTTPServer) -> None:
    now = 0.0
    reader = Reader(fetcher_for(site), kept=1, clock=lambda: now)
    for path in "ab":
        site.expect_request(f"/{path}").respond_with_data(path, content_type="text/plain")
    await reader.page(site.url_for("/a"))
    now = FRESH - 1
    await reader.page(site.url_for("/a"))
    assert len(site.log) == 1
    now = FRESH + 1
    await reader.page(site.url_for("/a"))
    await reader.page(site.url_for("/b"))
    await reader.page(site.url_for("/a"))
    assert len(site.log) == 4


async def test_who_asks_for_a_page_at_once_shares_one_fetch_and_may_leave(site: HTTPServer) -> None:
    arrived, released = threading.Event(), threading.Event()

    def late(request: Request) -> Response:
        arrived.set()
        released.wait(60)
        return Response("text", mimetype="text/plain")

    site.expect_request("/a").respond_with_handler(late)
    reader = Reader(fetcher_for(site))
    readers = [asyncio.create_task(reader.page(site.url_for("/a"))) for _ in range(5)]
    await asyncio.to_thread(arrived.wait, 60)
    readers[0].cancel()
    released.set()
    pages = await asyncio.gather(*readers, return_exceptions=True)
    assert isinstance(pages[0], asyncio.CancelledError)
    assert [page.text for page in pages[1:] if not isinstance(page, BaseException)] == ["text"] * 4
    assert len(site.log) == 1


async def test_mistakes_of_a_model_are_sentences() -> None:
    search, page = search_tool(SearXNG("http://127.0.0.1:9")), page_tool()
    for arguments, said in [
        ({"query": " "}, "The query is empty"),
        ({"query": "x" * 1001}, "give at most 1,000"),
        ({"query": "x", "k": 0}, "ask for 1 to 20"),
    ]:
        result = await use(search, **arguments)
        assert result.status == "error" and said in result.content
    for url, said in [("not a url", "space"), ("file:///etc/passwd", "Only http and https"), ("", "Only http")]:
        result = await use(page, url=url)
        assert result.status == "error" and said in result.content


async def test_a_search_without_a_provider_stops_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MAIEUTIC_SEARXNG_URL", "BRAVE_API_KEY", "TAVILY_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match="No web search is set up: set one of MAIEUTIC_SEARXNG_URL"):
        await load_tools(["search"])
    with pytest.raises(UserError, match="set TAVILY_API_KEY"):
        await load_tools(["search"], ToolOptions(web=WebSettings(search="tavily")))
    monkeypatch.setenv("TAVILY_API_KEY", "k")
    assert "search" in await load_tools(["search"])
    with pytest.raises(UserError, match="allow_hosts has 'a b'"):
        await load_tools(["read_page"], ToolOptions(web=WebSettings(allow_hosts=("a b",))))
    with pytest.raises(UserError, match="can't be read in 'elsewhere'"):
        await load_tools(["read_page@elsewhere"])
    with pytest.raises(UserError, match="1000 or more"):
        page_tool(size=10)


async def test_pages_of_ones_own_stand_in_for_the_web(tmp_path: Path) -> None:
    path = tmp_path / "pages.jsonl"
    path.write_text(json.dumps({"url": "https://a.example/", "title": "Owls", "text": "Owls hunt mice."}))
    tools = await load_tools([f"search@{path}", f"read_page@{path}"])
    found = await use(tools["search"], query="mice")
    assert found.content == "[1] Owls\nhttps://a.example/\nOwls hunt mice."
    assert (await use(tools["search"], query="zebra")).content == "Nothing was found: try other words."
    assert (await use(tools["read_page"], url="https://a.example/")).content.endswith("\n\nOwls hunt mice.")
    pages = PageFile(path)
    missing = await use(page_tool(pages), url="https://b.example/")
    assert missing.status == "error" and "search for one" in missing.content
    pages.close()


async def test_an_index_of_documents_stands_in_for_the_web(tmp_path: Path) -> None:
    for part in ("faiss", "semantic_text_splitter"):
        pytest.importorskip(part, reason=f"NOT CHECKED: searching an index, because {part} is not installed")
    from maieutic.tools.retrieval.indexing import Wanted, update_index
    from maieutic.tools.retrieval.shelf import Shelf
    from maieutic.tools.web.indexed import IndexedPages

    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "pumps.txt").write_text("A pump that cavitates loses its prime. " * 60)
    (tmp_path / "docs" / "valves.txt").write_text("A valve seat wears out.")
    update_index(tmp_path / "indexes" / "handbook", Wanted(paths=(tmp_path / "docs",), embedder="hashed"))
    assert Shelf(tmp_path / "indexes").find("handbook")
    pages = IndexedPages("handbook", tmp_path / "indexes")
    found = await pages.search("why does the pump lose its prime?", 2)
    assert found[0].title == "docs/pumps.txt" and found[0].url.startswith("index://handbook/")
    assert len({one.url for one in found}) == len(found)
    read = await pages.page(found[0].url)
    assert read.text == "A pump that cavitates loses its prime. " * 60
    for url in ("index://handbook/99", "index://other/1", "https://a.example/"):
        result = await use(page_tool(pages), url=url)
        assert result.status == "error" and "no document" in result.content
