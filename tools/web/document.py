"""The text of a fetched page: HTML as Markdown, PDF, and plain text in its many forms; a sentence for what has none."""

import io
import json
import logging
import re
from dataclasses import dataclass

from maieutic.errors import MissingExtra, ToolError
from maieutic.tools.web.charset import decoded
from maieutic.tools.web.exchange import Answered

LARGEST = 2_000_000  # characters of HTML that are read
DEEPEST = 256  # elements within each other
_TEXTS = ("json", "xml", "yaml", "javascript", "ecmascript", "toml", "x-sh", "sql", "x-tex", "rtf", "csv", "x-ndjson")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SCRIPT = re.compile(r"<script\b", re.IGNORECASE)
_BODY = re.compile(r"<(script|style|template)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]{0,200}>(.{0,500}?)</title", re.IGNORECASE | re.DOTALL)
_SHORT = 200  # characters; a page that asks for JavaScript says no more than this


@dataclass(frozen=True, slots=True)
class Document:
    """What can be read of a page. `kind` is html, pdf or text; `note` says what is missing, None for nothing."""

    title: str | None
    text: str
    kind: str
    note: str | None = None


def read(answer: Answered, url: str, largest: int = LARGEST) -> Document:
    """The text of an answer, of at most `largest` characters of HTML. Raises ToolError if it has none, MissingExtra."""
    kind = _kind(answer)
    if not answer.body.strip():
        raise ToolError(f"The page {url} is empty.")
    if kind == "pdf":
        return _of_pdf(answer, url)
    if kind not in ("html", "text"):
        raise ToolError(f"{url} is not a text that can be read here ({kind}).")
    text = decoded(answer.body, answer.headers.get("content-type", ""), answer.cut is not None)
    if len(_CONTROL.findall(text[:65536])) > len(text[:65536]) / 100:
        raise ToolError(f"{url} is not a text, though it says that it is {kind}.")
    if kind == "html":
        return _of_html(text, answer.cut, url, largest)
    return Document(None, _plain(text, answer), "text", answer.cut)


def _kind(answer: Answered) -> str:
    """html, pdf or text; anything else by its media type."""
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    start = answer.body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if media == "application/pdf" or start.startswith(b"%pdf-"):
        return "pdf"
    if "html" in media or start.startswith((b"<!doctype html", b"<html")):
        return "html"
    if media.startswith("text/") or any(part in media for part in _TEXTS):
        return "text"
    if media in ("", "application/octet-stream", "application/unknown"):
        return "text" if b"\0" not in answer.body[:65536] else "binary data"
    return media[:60]


def _plain(text: str, answer: Answered) -> str:
    """JSON on one line is set out line by line: it is paged and searched that way."""
    if "json" in answer.headers.get("content-type", "") and answer.cut is None and text.count("\n") < 3:
        try:
            return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
        except (ValueError, RecursionError):
            return text
    return text


def _of_html(html: str, note: str | None, url: str, largest: int) -> Document:
    try:
        import trafilatura
    except ImportError:
        raise MissingExtra("Reading web pages", "web") from None
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    if len(html) > largest:
        html, note = html[:largest], f"only its first {largest:,} characters were read"
    title = _title(html)
    try:
        if _depth(html) > DEEPEST:
            raise RecursionError
        text = trafilatura.extract(
            html, url=url, output_format="markdown", include_links=True, include_comments=False, favor_recall=True
        )
        if not (text and text.strip()):
            text = trafilatura.html2txt(html) or _words(html)
    except Exception:  # a page can break its reader anywhere; its words are still there
        text, note = _words(html), note or "its structure can't be read, only its words"
    text = (text or "").strip()
    if len(text) < _SHORT and _needs_scripts(html, text):
        raise ToolError(f"The page {url} shows its text only with JavaScript, which is not run here: try another page.")
    if not text:
        raise ToolError(f"The page {url} has no text.")
    return Document(title, text, "html", note)


def _depth(html: str) -> int:
    """About how deep elements lie within each other; tags that need no end don't count."""
    deepest = depth = 0
    for end in re.finditer(r"<(/?)(div|span|b|i|em|strong|font|table|ul|ol|blockquote|section|a|p)\b", html):
        depth += -1 if end[1] else end[2] != "p"
        depth = max(depth, 0)
        deepest = max(deepest, depth)
    return deepest


def _words(html: str) -> str:
    from html import unescape

    lines = (" ".join(line.split()) for line in unescape(_BODY.sub(" ", html)).splitlines())
    return "\n".join(line for line in lines if line)


def _needs_scripts(html: str, text: str) -> bool:
    if not _SCRIPT.search(html):
        return False
    return not text or "javascript" in f"{text} {html}".lower() and ("<noscript" in html.lower() or len(text) < 80)


def _title(html: str) -> str | None:
    from html import unescape

    found = _TITLE.search(html)
    return " ".join(unescape(found[1]).split()) or None if found else None


def _of_pdf(answer: Answered, url: str) -> Document:
    try:
        import pypdf
        from pypdf.errors import DependencyError
    except ImportError:
        raise MissingExtra("Reading PDF files", "web") from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    if answer.cut is not None:
        raise ToolError(f"The PDF at {url} can't be read: {answer.cut}.")
    try:
        reader = pypdf.PdfReader(io.BytesIO(answer.body))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ToolError(f"The PDF at {url} is locked with a password.")
        texts = [page.extract_text().strip() for page in reader.pages]
        title = reader.metadata.title if reader.metadata else None
    except ToolError:
        raise
    except DependencyError as error:
        raise ToolError(f"The PDF at {url} is encrypted in a way that can't be read here.") from error
    except Exception as error:  # a broken PDF can break its reader anywhere
        raise ToolError(f"The PDF at {url} is damaged and can't be read.") from error
    if not any(texts):
        raise ToolError(f"The PDF at {url} has no text: its pages may be images.")
    text = "\n\n".join(f"[PDF page {number}]\n{text}" for number, text in enumerate(texts, 1) if text)
    return Document(str(title) if title else None, text.encode("utf-8", "replace").decode(), "pdf")
