"""Folders to index, indexes of them, and PDFs written by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maieutic.tools.retrieval.index import Index
from maieutic.tools.retrieval.indexing import Report, Wanted, update_index

for part in ("faiss", "semantic_text_splitter", "pypdf", "trafilatura"):
    pytest.importorskip(
        part, reason=f"{part} is not installed: nothing of indexing and searching documents was checked"
    )

TEXTS = {
    "install.md": "# Installing\n\nRun the installer and restart the daemon.\n\n## Removing\n\nRemove the package.\n",
    "pumps.txt": "A pump that cavitates loses its prime. Bleed the air out of the inlet line.\n",
    "sub/valves.txt": "A valve seat wears out. Lap the seat with grinding paste.\n",
}

Update = Callable[..., Report]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small documents."""
    for name, text in TEXTS.items():
        path = tmp_path / "handbook" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "handbook"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the index of a test lies."""
    return tmp_path / "indexes" / "handbook"


@pytest.fixture
def update(folder: Path, place: Path) -> Update:
    """Index `folder`, with whatever else is wanted."""

    def update_(**wanted: object) -> Report:
        return update_index(place, Wanted(**{"paths": (folder,), **wanted}))  # type: ignore[arg-type]

    return update_


@pytest.fixture
def opened(place: Path, update: Update) -> Iterator[Index]:
    """The index of `folder`."""
    update()
    index = Index(place)
    yield index
    index.close()


def found(index: Index, query: str, k: int = 1, **options: str) -> list[str]:
    """The names of the files whose passages are found."""
    return [Path(hit.passage.path).name for hit in index.search(query, k, **options)]  # type: ignore[arg-type]


def pdf(*pages: str) -> bytes:
    """A PDF with these texts, a page each; an empty text is a page without any."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for i, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * i} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    body, offsets = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode("ascii")
