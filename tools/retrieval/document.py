"""What is read from a file: its pages of text, and the pieces that are searched."""

from dataclasses import dataclass


class Unreadable(Exception):
    """A file that can't be indexed; the text goes on after the file's name: "is empty", "is encrypted"."""


@dataclass(frozen=True, slots=True)
class Page:
    """Text that belongs together. `number` counts from 1, and is None where a document has no pages."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text. `markdown` says that its headings can be trusted; `note` what was done to be able to read it."""

    pages: tuple[Page, ...]
    markdown: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one page: characters `start` to `end` of the page's text."""

    page: int | None
    start: int
    end: int
    text: str


def split(document: Document, characters: int) -> list[Chunk]:
    """The document cut at its own joints into pieces of at most `characters`; together they are the whole text.

    Pieces of nothing but white space are kept with the piece before them, so that no character is lost.
    """
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

    splitter = (MarkdownSplitter if document.markdown else TextSplitter)(characters, trim=False)
    chunks: list[Chunk] = []
    for page in document.pages:
        on_page: list[Chunk] = []
        for start, text in splitter.chunk_indices(page.text):
            if on_page and not text.strip():
                last = on_page.pop()
                start, text = last.start, last.text + text
            on_page.append(Chunk(page.number, start, start + len(text), text))
        chunks += [chunk for chunk in on_page if chunk.text.strip()]
    return chunks
