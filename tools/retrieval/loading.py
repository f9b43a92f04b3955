"""Reading a file as text: plain text, Markdown, HTML, PDF, and office formats through an optional part."""

import codecs
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from maieutic.tools.retrieval.document import Document, Page, Unreadable

MARKDOWN = {".md", ".markdown", ".mdx"}
HTML = {".html", ".htm", ".xhtml"}
OFFICE = {".docx", ".pptx", ".xlsx", ".epub"}
UNPACKED_TIMES = 8  # an office file may unpack to so many times the largest size of a file
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def load(path: Path, data: bytes, limit: int) -> Document:
    """The document in `data`, the content of `path`; `limit` is the largest size of a file. Raises Unreadable."""
    if not data.strip():
        raise Unreadable("is empty")
    suffix = path.suffix.lower()
    reader: Callable[[bytes], Document] = read_text
    if suffix == ".pdf" or data.startswith(b"%PDF-"):
        reader = read_pdf
    elif suffix in HTML:
        reader = read_html
    elif suffix in MARKDOWN:
        reader = _read_markdown
    elif suffix in OFFICE:
        return read_office(data, suffix, limit)
    return reader(data)


def read_text(data: bytes) -> Document:
    """Text in UTF-8, UTF-16 with a byte order mark, or Windows-1252; the last is said in the note."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return Document((Page(None, _decode(data, encoding)),))
    if b"\0" in data[:65536]:
        raise Unreadable("is not text")
    try:
        text, note = data.decode("utf-8"), None
    except UnicodeDecodeError:
        text, note = data.decode("cp1252", errors="replace"), "is not UTF-8 and was read as Windows-1252"
    if len(_CONTROL.findall(text)) + text.count("\ufffd") > len(text) / 100:
        raise Unreadable("is not text")
    return Document((Page(None, text),), note=note)


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not the {encoding} text that it says it is") from error


def _read_markdown(data: bytes) -> Document:
    plain = read_text(data)
    return Document(plain.pages, markdown=True, note=plain.note)


def read_html(data: bytes) -> Document:
    """The main text of a page, without menus and scripts; all of its text where no main part is found."""
    import trafilatura

    try:
        source: bytes | str = read_text(data).pages[0].text
    except Unreadable:
        source = data
    text = trafilatura.extract(source, output_format="markdown", include_comments=False, favor_recall=True)
    text = text or trafilatura.html2txt(source)
    if not text or not text.strip():
        raise Unreadable("has no text in it")
    return Document((Page(None, text),), markdown=True)


def read_pdf(data: bytes) -> Document:
    """The text of each page that has some. What only an image shows is not read."""
    import pypdf
    from pypdf.errors import DependencyError

    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("is encrypted: save it without a password")
        texts = [page.extract_text() for page in reader.pages]
    except Unreadable:
        raise
    except DependencyError as error:
        raise Unreadable("is encrypted: save it without a password") from error
    except RecursionError as error:
        raise Unreadable("is not a PDF that can be read (it is nested too deeply)") from error
    except Exception as error:  # a broken PDF can break its reader anywhere
        raise Unreadable(f"is not a PDF that can be read ({_brief(error)})") from error
    pages = [Page(number, _sound(text)) for number, text in enumerate(texts, 1) if text.strip()]
    if not pages:
        raise Unreadable("has no text in it: its pages may be images")
    return Document(tuple(pages))


def read_office(data: bytes, suffix: str, limit: int) -> Document:
    """A word processor's, slide show's, spreadsheet's or e-book file, as Markdown."""
    _refuse_bomb(data, limit * UNPACKED_TIMES)
    try:
        from markitdown import MarkItDown, StreamInfo
    except ImportError:
        raise Unreadable("needs an optional part that is not installed: pip install 'maieutic[documents]'") from None
    try:
        converted = MarkItDown(enable_plugins=False).convert_stream(
            io.BytesIO(data), stream_info=StreamInfo(extension=suffix)
        )
    except Exception as error:  # nor can it be known what a broken one does
        raise Unreadable(f"is not a {suffix} file that can be read ({_brief(error)})") from error
    if not converted.text_content.strip():
        raise Unreadable("has no text in it")
    return Document((Page(None, _sound(converted.text_content)),), markdown=True)


def _refuse_bomb(data: bytes, limit: int) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Unreadable("is damaged: it can't be unpacked") from error
    if unpacked > limit:
        raise Unreadable(f"unpacks to {unpacked / 2**20:,.0f} MiB, more than the {limit / 2**20:,.0f} MiB allowed")


def _sound(text: str) -> str:
    """The text without halves of characters, which can't be stored."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _brief(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:100]}" if said else type(error).__name__
