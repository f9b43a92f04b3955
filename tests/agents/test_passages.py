from pathlib import Path

import pytest

from maieutic.agents.pages import addresses, among
from maieutic.agents.passages import Passage, new_ones, read_passages, shown
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.types import ToolResult
from tests.conftest import Ask


def result(content: str, status: str = "ok", **meta: object) -> ToolResult:
    return ToolResult("c", "search", content, status, 0.0, dict(meta))  # type: ignore[arg-type]


def test_results_of_a_search_are_read_with_title_and_url() -> None:
    content = (
        "[1] Owls (2024)\nhttps://a.example\nAn owl.\n[2] is no heading\n\n[2] Herons\nhttps://b.example\nA heron."
    )
    found = read_passages(result(content, urls=["https://a.example", "https://b.example"]))
    assert [(one.title, one.place) for one in found] == [
        ("Owls (2024)", "https://a.example"),
        ("Herons", "https://b.example"),
    ]
    assert found[0].text == "An owl.\n[2] is no heading"


def test_a_reply_of_another_form_is_one_passage_and_a_failed_one_none() -> None:
    assert [one.text for one in read_passages(result("Just a text.\nMore."))] == ["Just a text.\nMore."]
    assert read_passages(result("It failed.", "error")) == []
    assert read_passages(result("Nothing was found: try other words.", hits=[])) == []


def test_what_is_known_is_not_new() -> None:
    one, again, other = Passage("Owls", "a", "p1"), Passage("owls ", "b", "p2"), Passage("Kites", "c", "p3")
    assert new_ones([one], [again, other, other]) == [other]
    assert new_ones([one], [again, one], by_title=False) == [again]
    assert shown([]) == "(none)" and shown([one, other], 8).endswith("[cut]")


def test_addresses_of_the_latest_search() -> None:
    assert addresses(result("", hits=[{"source": 3}, {"source": 3}, {"source": 1}])) == ["source 3", "source 1"]
    found = addresses(result("See https://a.example/x, and (https://b.example)."))
    assert found == ["https://a.example/x", "https://b.example"]
    assert among("3", ["source 3"]) == "source 3" and among("Source 3", ["source 3"]) == "source 3"
    assert among("https://a.example#top", ["https://a.example"]) == "https://a.example"
    assert among("https://a.example/y", ["https://a.example"]) is None


async def test_documents_of_an_index_are_found_read_on_and_cited(ask: Ask, tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    from tests.support.documents import document_tools

    long = "The barn owl weighs about 350 grams. " + "It hunts voles over open fields. " * 200
    tools = document_tools(tmp_path, {"owl.txt": long, "kite.txt": "The red kite steals."})
    model = ScriptedModel(
        {
            "You research": [
                call_tool("retrieve", query="barn owl weight", k=1),
                call_tool("browse", urls=["source 1"]),
                call_tool("browse", urls=["source 2"]),
                "It weighs 350 grams [1].\nAnswer: 350 grams",
            ],
            "You read one page": '{"new": ["It weighs 350 grams."], "page_down": true}',
        }
    )
    answer = await ask(model, "deep_research", "How heavy is the barn owl?", tools=tools)
    reads = [str(r.messages[1]["content"]) for r in model.requests if "one page" in str(r.messages[0]["content"])]
    assert len(reads) == 2 and "characters 0-4000" in reads[0] and "characters 4000-" in reads[1]
    assert answer.answer == "350 grams" and "Sources:\n[1]" in answer.text and "owl.txt" in answer.text
