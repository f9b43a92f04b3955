"""Every graph has a page in docs/graphs that says the same things in the same places."""

import re
from pathlib import Path

import pytest

from maieutic.graphs.registry import SHIPPED, load_graph
from tests.support import drawings

PAGES = Path(__file__).resolve().parents[2] / "docs" / "graphs"
HEADINGS = [
    "Drawing",
    "Settings",
    "Calls per question",
    "Needs",
    "When to use it, and when not",
    "What was measured",
    "Its trace",
]

pytestmark = pytest.mark.skipif(not PAGES.is_dir(), reason="runs in a checkout only")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_page_has_its_parts_in_order(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    assert page.startswith(f"# `{name}`")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("name", SHIPPED)
def test_a_page_names_every_setting(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    settings = page.partition("## Settings")[2].partition("## Calls")[0]
    assert set(type(load_graph(name).settings).model_fields) <= set(re.findall(r"^\| `(\w+)`", settings, re.MULTILINE))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_page_shows_the_graph_as_it_is(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    assert "```mermaid" in page
    assert drawings.written(page, name) == page, "run `make rooms`"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_list_of_graphs_leads_to_every_page(name: str) -> None:
    assert f"({name}.md)" in (PAGES / "README.md").read_text()
