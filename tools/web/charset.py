"""Which characters the bytes of a page are: what it says of itself is believed as long as it fits."""

import codecs
import re

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_META = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w:.-]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""^<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w:.-]{1,40})""", re.IGNORECASE)
_HEADER = re.compile(r"""charset\s*=\s*["']?([\w:.-]{1,40})""", re.IGNORECASE)
_WEB = {"iso-8859-1": "cp1252", "ascii": "cp1252"}  # what browsers take these names for


def decoded(body: bytes, content_type: str, cut: bool = False) -> str:
    """The text of a body. Bytes that fit nothing become U+FFFD, so that a page is never lost over one of them.

    UTF-8 goes before what a page says of itself: other text is hardly ever valid UTF-8 by accident. `cut` says that
    the last character may be broken.
    """
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body.decode(encoding, errors="replace")
    for encoding in ("utf-8", *_named(body, content_type)):
        try:
            decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
            return decoder.decode(body, final=not cut)
        except (LookupError, UnicodeError):
            continue
    return _guessed(body)


def _named(body: bytes, content_type: str) -> list[str]:
    names = [match[1] for match in [_HEADER.search(content_type)] if match]
    names += [match[1].decode("ascii") for match in [_XML.match(body), _META.search(body[:2048])] if match]
    return [known for name in names if (known := _known(name)) is not None]


def _known(name: str) -> str | None:
    """Python's name for a charset that holds text; None for the others, such as base64, and for unknown ones."""
    try:
        info = codecs.lookup(name)
    except LookupError:
        return None
    return _WEB.get(info.name, info.name) if getattr(info, "_is_text_encoding", True) else None


def _guessed(body: bytes) -> str:
    usual = body.decode("utf-8", errors="replace")
    if usual.count("\ufffd") <= max(3, len(usual) // 1000):
        return usual
    from charset_normalizer import from_bytes

    best = from_bytes(body[:200_000]).best()
    return body.decode(best.encoding, errors="replace") if best is not None else usual
