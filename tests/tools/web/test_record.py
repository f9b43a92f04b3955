"""The record of the web: a run repeated exactly, without a network, and what is said where it is not whole."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from maieutic.errors import ToolError, UserError
from maieutic.settings import Settings
from maieutic.terminal.options import RunOptions
from maieutic.tools.web.engines import Tavily
from maieutic.tools.web.exchange import Answered, Asked
from maieutic.tools.web.reader import Reader
from maieutic.tools.web.record import FILE, Record
from tests.tools.web.conftest import article, fetcher_for


async def test_what_was_fetched_once_is_read_again_without_a_network(site: HTTPServer, tmp_path: Path) -> None:
    away = Response(status=302, headers={"location": "/b"})
    site.expect_oneshot_request("/robots.txt").respond_with_data("User-agent: *\nDisallow: /no")
    site.expect_oneshot_request("/a").respond_with_response(away)
    site.expect_oneshot_request("/b").respond_with_data(article(), content_type="text/html")
    first = await Reader(fetcher_for(site, robots=True, record=Record(tmp_path))).page(site.url_for("/a"))
    assert first.url == site.url_for("/b") and "herons" in first.text
    for mode in ("record", "replay"):
        again = Reader(fetcher_for(site, robots=True, record=Record(tmp_path, mode)))  # type: ignore[arg-type]
        assert await again.page(site.url_for("/a")) == first
        with pytest.raises(ToolError, match=r"robots\.txt"):
            await again.page(site.url_for("/no/x"))
    assert len(site.log) == 3
    with pytest.raises(ToolError, match="not in the record of this run"):
        await Reader(fetcher_for(site, robots=True, record=Record(tmp_path, "replay"))).page(site.url_for("/c"))


async def test_a_failure_is_replayed_and_tried_again_while_recording(site: HTTPServer, tmp_path: Path) -> None:
    url = "http://10.0.0.1/"
    with pytest.raises(ToolError) as first:
        await fetcher_for(site, record=Record(tmp_path)).fetch(url)
    with pytest.raises(ToolError) as replayed:
        await fetcher_for(site, record=Record(tmp_path, "replay")).fetch(url)
    assert str(first.value) == str(replayed.value) and "not on the public internet" in str(first.value)

    async def works() -> Answered:
        return Answered(200, {}, b"now it does", at=5.0)

    async def never() -> Answered:
        raise AssertionError("what is recorded is not asked again")

    asked = Asked(url, headers=(("accept", "text/plain"),))
    failing = Record(tmp_path)

    async def fails() -> Answered:
        raise ToolError("it does not work")

    with pytest.raises(ToolError, match="it does not work"):
        await failing.through(asked, fails)
    assert (await failing.through(asked, works)).body == b"now it does"
    assert (await failing.through(asked, never)).at == 5.0


async def test_all_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    record, number = Record(tmp_path), 0

    async def ask() -> Answered:
        nonlocal number
        number += 1
        mine = number
        await asyncio.sleep(0.01)
        return Answered(200, {}, str(mine).encode())

    answers = await asyncio.gather(*(record.through(Asked("https://a.example/"), ask) for _ in range(8)))
    assert len({answer.body for answer in answers}) == 1


async def test_requests_differ_by_method_body_and_headers_that_matter(tmp_path: Path) -> None:
    record = Record(tmp_path)
    kinds = [
        Asked("https://a.example/"),
        Asked("https://a.example/?b"),
        Asked("https://a.example/", "POST"),
        Asked("https://a.example/", "POST", body=b"x"),
        Asked("https://a.example/", headers=(("accept", "x"),)),
    ]
    for number, asked in enumerate(kinds):

        async def ask(number: int = number) -> Answered:
            return Answered(200, {}, str(number).encode())

        assert (await record.through(asked, ask)).body == str(number).encode()


async def test_a_search_is_recorded_without_its_key(site: HTTPServer, tmp_path: Path) -> None:
    def answer(request: Request) -> Response:
        return Response('{"results": [{"url": "https://a.example/", "title": "A", "content": "b"}]}')

    site.expect_oneshot_request("/search").respond_with_handler(answer)
    url = site.url_for("").rstrip("/")
    found = await Tavily("secret-key", url=url, record=Record(tmp_path)).search("herons", 3)
    assert await Tavily("other-key", url=url, record=Record(tmp_path, "replay")).search("herons", 3) == found
    assert b"secret-key" not in (tmp_path / FILE).read_bytes()
    with pytest.raises(ToolError, match="not in the record"):
        await Tavily("other-key", url=url, record=Record(tmp_path, "replay")).search("other herons", 3)


def test_a_record_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="record one first"):
        Record(tmp_path, "replay")
    (tmp_path / FILE).write_bytes(b"this is no database, whatever its name says" * 10)
    with pytest.raises(UserError, match="can't be used"):
        Record(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be used"):
        Record(tmp_path / "file" / "folder")


async def test_replaying_changes_nothing(tmp_path: Path) -> None:
    record = Record(tmp_path)

    async def ask() -> Answered:
        return Answered(200, {"content-type": "text/plain"}, b"text", "cut", 7.0)

    asked = Asked("https://a.example/")
    first = await record.through(asked, ask)
    before = (tmp_path / FILE).read_bytes()
    assert await Record(tmp_path, "replay").through(asked, ask) == first
    assert (tmp_path / FILE).read_bytes() == before
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("SELECT method, url, fetched_at FROM answers").fetchall() == [
            ("GET", "https://a.example/", 7.0)
        ]
    db.close()


def test_the_options_of_the_terminal_choose_the_record(tmp_path: Path) -> None:
    settings = Settings()
    with pytest.raises(UserError, match="--web-cache DIR"):
        RunOptions(web_replay=True).with_web(settings)
    assert RunOptions().with_web(settings) == settings
    web = RunOptions(web_cache=tmp_path, web_replay=True).with_web(settings).web
    assert (web.cache, web.cache_mode) == (tmp_path, "replay")
