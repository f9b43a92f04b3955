"""A small index of documents, and the tools over it, for tests of what looks things up."""

from collections.abc import Mapping
from pathlib import Path

from maieutic.tools.retrieval import retrieval_tool, source_tool
from maieutic.tools.retrieval.indexing import Wanted, update_index
from maieutic.tools.tool import Tool

BIRDS = {
    "heron.txt": "The grey heron weighs up to two kilograms. It stands in shallow water and waits for fish.",
    "owl.txt": "The barn owl weighs about 350 grams. It hunts voles over open fields at night.",
    "kite.txt": "The red kite has a wingspan of 180 centimetres. It steals nest material from gardens.",
}


def document_tools(folder: Path, texts: Mapping[str, str] = BIRDS) -> list[Tool]:
    """`retrieve` and `open_source` over `texts`, indexed under `folder` with the embedder that needs nothing."""
    documents, place = folder / "documents", folder / "indexes" / "birds"
    documents.mkdir()
    for name, text in texts.items():
        (documents / name).write_text(text)
    update_index(place, Wanted((documents,), embedder="hashed"))
    return [retrieval_tool("birds", root=place.parent), source_tool("birds", root=place.parent)]
