"""Search providers, asked at servers on this machine that answer in their formats, in good times and bad ones."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from maieutic.errors import MaieuticError, MissingExtra, ToolError, UnknownName, UserError
from maieutic.tools.web.engines import Brave, SearXNG, Tavily
from maieutic.tools.web.metasearch import Metasearch
from maieutic.tools.web.page_file import PageFile
from maieutic.tools.web.provider import Found, SearchProvider, find_provider

PATHS = {"searxng": "/search", "brave": "/res/v1/web/search", "tavily": "/search"}
EMPTY: dict[str, Any] = {
    "searxng": {"query": "q", "number_of_results": 0, "results": [], "answers": [], "unresponsive_engines": []},
    "brave": {"type": "search", "query": {"original": "q"}},
    "tavily": {"query": "q", "results": [], "response_time": 0.4},
}
FULL: dict[str, Any] = {
    "searxng": {
        "query": "q",
        "results": [
            {"url": "https://a.example/1", "title": "One", "content": "first &amp; best", "engine": "x", "score": 2.0},
            {"url": "javascript:alert(1)", "title": "No", "content": ""},
            {"url": "https://a.example/2", "title": "Two", "content": None, "publishedDate": "2026-01-02T00:00:00"},
        ],
        "unresponsive_engines": [["other", "timeout"]],
    },
    "brave": {
        "type": "search",
        "web": {
            "type": "search",
            "results": [
                {"title": "One", "url": "https://a.example/1", "description": "<strong>first</strong> &amp; best"},
                {"title": "Two", "url": "https://a.example/2", "description": "", "page_age": "2026-01-02T00:00:00"},
            ],
        },
    },
    "tavily": {
        "query": "q",
        "results": [
            {
                "title": "One",
                "url": "https://a.example/1",
                "content": "first & best",
                "score": 0.9,
                "raw_content": None,
            },
            {"title": "Two", "url": "https://a.example/2", "content": "", "published_date": "2026-01-02T00:00:00"},
        ],
        "response_time": 0.4,
    },
}


def provider(name: str, site: HTTPServer, timeout: float = 20.0) -> SearchProvider:
    url = site.url_for("").rstrip("/")
    if name == "searxng":
        return SearXNG(url, timeout=timeout)
    return {"brave": Brave, "tavily": Tavily}[name]("secret-key", url=url, timeout=timeout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", PATHS)
async def test_results_are_read(name: str, site: HTTPServer) -> None:
    site.expect_request(PATHS[name]).respond_with_json(FULL[name])
    assert await provider(name, site).search("herons", 8) == [
        Found("One", "https://a.example/1", "first & best"),
        Found("Two", "https://a.example/2", "", "2026-01-02T00:00:00"),
    ]
    assert len(await provider(name, site).search("herons", 1)) == 1


async def test_each_is_asked_in_its_own_way(site: HTTPServer) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        request.get_data()
        seen.append(request)
        return Response(json.dumps({"results": [], "web": {"results": []}}), mimetype="application/json")

    for path in set(PATHS.values()):
        site.expect_request(path).respond_with_handler(answer)
    for name in PATHS:
        await provider(name, site).search("herons & tides", 7)
    await SearXNG(site.url_for("/").replace("://", "://me:pw@")).search("q", 1)
    searxng, brave, tavily, login = seen
    assert dict(searxng.args) == {"q": "herons & tides", "format": "json"} and "authorization" not in searxng.headers
    assert dict(brave.args) == {"q": "herons & tides", "count": "7"}
    assert brave.headers["x-subscription-token"] == "secret-key"
    assert tavily.method == "POST" and tavily.json == {"query": "herons & tides", "max_results": 7}
    assert tavily.headers["authorization"] == "Bearer secret-key"
    assert login.headers["authorization"] == "Basic bWU6cHc="


@pytest.mark.parametrize("name", PATHS)
async def test_nothing_found_is_no_error(name: str, site: HTTPServer) -> None:
    site.expect_request(PATHS[name]).respond_with_json(EMPTY[name])
    assert await provider(name, site).search("herons", 8) == []


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>not json</html>", "JSON that can be read"),
        (200, b"[1, 2", "JSON that can be read"),
        (200, b"[]", "form that is not known"),
        (200, b'{"results": 5, "web": {"results": {"a": 1}}}', "form that is not known"),
        (401, b'{"detail": {"error": "Unauthorized: missing or invalid API key."}}', "does not accept its key"),
        (403, b"", "does not accept its key"),
        (422, b'{"error": {"code": "SUBSCRIPTION_TOKEN_INVALID", "detail": "The token is invalid."}}', "is invalid"),
        (429, b"", "too many searches: try again later"),
        (432, b'{"detail": {"error": "This request exceeds your plan."}}', "exceeds your plan"),
        (500, b"", "trouble of its own"),
        (302, b"", "refused the search .HTTP 302."),
    ],
)
async def test_every_failure_is_a_sentence_without_the_key(
    name: str, status: int, body: bytes, said: str, site: HTTPServer
) -> None:
    headers = {"location": "https://elsewhere.example/"} if status == 302 else {}
    site.expect_request(PATHS[name]).respond_with_response(Response(body, status=status, headers=headers))
    with pytest.raises(ToolError, match=said) as failed:
        await provider(name, site).search("herons", 8)
    assert "secret-key" not in str(failed.value)


async def test_a_get_waits_when_asked_to_and_a_post_is_not_sent_twice(site: HTTPServer) -> None:
    busy = Response(status=429, headers={"retry-after": "0"})
    site.expect_ordered_request(PATHS["brave"]).respond_with_response(busy)
    site.expect_ordered_request(PATHS["brave"]).respond_with_json(FULL["brave"])
    assert len(await provider("brave", site).search("herons", 8)) == 2
    site.clear()
    site.expect_ordered_request(PATHS["tavily"]).respond_with_response(busy)
    with pytest.raises(ToolError, match="too many searches: try again in 0 s"):
        await provider("tavily", site).search("herons", 8)
    site.clear()
    site.expect_request(PATHS["brave"]).respond_with_response(Response(status=429, headers={"retry-after": "3600"}))
    with pytest.raises(ToolError, match="in 3600 s"):
        await provider("brave", site).search("herons", 8)
    assert len(site.log) == 1


@pytest.mark.parametrize("name", PATHS)
async def test_a_provider_that_is_not_there_or_too_slow(name: str, site: HTTPServer) -> None:
    released = threading.Event()

    def late(request: Request) -> Response:
        released.wait(60)
        return Response("{}")

    site.expect_request(PATHS[name]).respond_with_handler(late)
    try:
        with pytest.raises(ToolError, match=r"did not answer within 0\.2 s"):
            await provider(name, site, timeout=0.2).search("herons", 8)
    finally:
        released.set()
    nobody: SearchProvider = {"searxng": SearXNG("http://127.0.0.1:9")}.get(name) or {"brave": Brave, "tavily": Tavily}[
        name
    ]("k", url="http://127.0.0.1:9")
    with pytest.raises(ToolError, match="can't be reached"):
        await nobody.search("herons", 8)


async def test_searxng_says_what_it_lacks(site: HTTPServer) -> None:
    site.expect_request("/search").respond_with_response(Response(status=403))
    with pytest.raises(ToolError, match="add json to search.formats"):
        await provider("searxng", site).search("herons", 8)
    site.clear()
    site.expect_request("/search").respond_with_json({"results": [], "unresponsive_engines": [["duck", "CAPTCHA"]]})
    with pytest.raises(ToolError, match="engines did not answer .duck."):
        await provider("searxng", site).search("herons", 8)


def test_the_environment_says_who_searches() -> None:
    with pytest.raises(UserError, match="MAIEUTIC_SEARXNG_URL, BRAVE_API_KEY, TAVILY_API_KEY"):
        find_provider(env={})
    with pytest.raises(UserError, match="set BRAVE_API_KEY"):
        find_provider("brave", env={"BRAVE_API_KEY": " "})
    with pytest.raises(UserError, match="not a URL"):
        find_provider(env={"MAIEUTIC_SEARXNG_URL": "localhost"})
    with pytest.raises(UnknownName, match="Did you mean 'tavily'"):
        find_provider("tavilly", env={})
    assert find_provider(env={"TAVILY_API_KEY": "k"}).name == "tavily"
    both = {"TAVILY_API_KEY": "k", "BRAVE_API_KEY": "k"}
    assert find_provider(env=both).name == "brave"
    assert find_provider("tavily", env=both).name == "tavily"


async def test_metasearch_gives_what_ddgs_gives() -> None:
    def rows(query: str, k: int) -> list[dict[str, Any]]:
        if query == "limited":
            raise ToolError("The search engines behind ddgs refuse for now: try again later.")
        return [{"title": "One", "href": "https://a.example/1", "body": "first"}, {"title": "x", "href": "ftp://a"}]

    metasearch = Metasearch(rows=rows)
    assert await metasearch.search("herons", 5) == [Found("One", "https://a.example/1", "first")]
    with pytest.raises(ToolError, match="refuse for now"):
        await metasearch.search("limited", 5)


def test_the_package_ddgs_has_what_is_used_of_it() -> None:
    try:
        assert Metasearch().name == "ddgs"
    except MissingExtra:
        pytest.skip("NOT CHECKED: whether ddgs has the names that are used of it, because it is not installed")
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

    assert callable(DDGS(timeout=15).text)
    assert issubclass(RatelimitException, DDGSException) and issubclass(TimeoutException, DDGSException)


LINES = [
    {"url": "https://birds.example/heron", "title": "Herons", "text": "Herons wade in shallow water and eat fish."},
    {"url": "https://birds.example/owl#top", "title": "Owls", "text": "Owls hunt at night. They hear mice."},
    {"url": "https://birds.example/plain", "text": "An untitled page on fishing for trout."},
]


def page_file(folder: Path, *lines: object) -> Path:
    path = folder / "pages.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n\n")
    return path


async def test_pages_of_ones_own_are_found_and_read(tmp_path: Path) -> None:
    pages = PageFile(page_file(tmp_path, *LINES))
    found = await pages.search("which bird hunts MICE at night?", 2)
    assert [one.url for one in found] == ["https://birds.example/owl"]
    assert found[0].title == "Owls" and "hear mice" in found[0].snippet
    assert {one.url.rpartition("/")[2] for one in await pages.search("fish", 5)} == {"heron", "plain"}
    assert await pages.search('"; DROP TABLE x --', 5) == [] == await pages.search("?!", 5)
    assert (await pages.page("https://birds.example/owl#x")).text.startswith("Owls hunt")
    with pytest.raises(ToolError, match="among the 3 that can be read"):
        await pages.page("https://elsewhere.example/")
    pages.close()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([LINES[0], "{broken"], "line 2: this is not JSON"),
        ([{"url": "https://a.example"}], "line 1: a page needs url and text"),
        (["[1]"], "line 1: a page needs"),
        ([], "There are no pages in"),
    ],
)
def test_a_file_of_pages_that_is_wrong_says_where(lines: list[object], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        find_provider(str(page_file(tmp_path, *lines)))


def test_a_file_of_pages_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MaieuticError, match="can't be read: No such file"):
        find_provider(str(tmp_path / "none.jsonl"))
