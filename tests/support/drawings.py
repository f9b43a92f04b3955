"""The drawings of the graphs in their pages, written from the graphs themselves by `make rooms`."""

import re
from pathlib import Path

from maieutic.graphs.registry import SHIPPED, load_graph

PAGES = Path(__file__).resolve().parents[2] / "docs" / "graphs"
_DRAWING = re.compile(r"(?<=^```mermaid\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)


def written(page: str, graph: str) -> str:
    """The page's text with its first drawing brought up to date."""
    drawn = load_graph(graph).mermaid().strip() + "\n"
    return _DRAWING.sub(lambda _: drawn, page, count=1)


if __name__ == "__main__":
    for name in SHIPPED:
        place = PAGES / f"{name}.md"
        if place.exists():
            place.write_text(written(place.read_text(), name))
