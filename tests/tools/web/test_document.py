"""Text of pages: what there is of it, in whatever characters, and one sentence where there is none."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.errors import ToolError
from maieutic.tools.web.charset import decoded
from maieutic.tools.web.document import Document, read
from maieutic.tools.web.exchange import Answered
from maieutic.tools.web.viewport import find, window, windows
from tests.tools.web.conftest import article

URL = "https://a.example/page"


def page(body: bytes | str, kind: str = "text/html; charset=utf-8", cut: str | None = None) -> Document:
    data = body.encode() if isinstance(body, str) else body
    return read(Answered(200, {"content-type": kind} if kind else {}, data, cut), URL)


def test_html_becomes_markdown_without_its_menu() -> None:
    table = "<table><tr><th>bird</th><th>eggs</th></tr><tr><td>heron</td><td>4</td></tr></table>"
    made = page(article().replace("</article>", f"{table}<p>See <a href='/more'>more of it</a> there.</p></article>"))
    assert made.title == "Herons & tides" and made.kind == "html" and made.note is None
    assert made.text.startswith("# Herons") and "Home" not in made.text
    assert "| heron | 4 |" in made.text and "https://a.example/more" in made.text


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/atom+xml", "text/csv", ""])
def test_other_text_is_given_as_it_is(kind: str) -> None:
    assert page("a,b\n1,2\n", kind) == Document(None, "a,b\n1,2\n", "text")


def test_json_on_one_line_is_set_out() -> None:
    assert page('{"a":[1,"é"]}', "application/json").text == '{\n "a": [\n  1,\n  "é"\n ]\n}'
    assert page('{"a":', "application/json").text == '{"a":'


def test_html_is_known_by_its_beginning() -> None:
    for kind in ("", "application/octet-stream", "text/plain"):
        assert page("\n<!DOCTYPE html>" + article(), kind).kind == "html"


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", "text/html", "is empty"),
        (b" \n\t ", "text/html", "is empty"),
        (b"<html><body></body></html>", "text/html", "has no text"),
        (b"\x89PNG\r\n\x1a\n\0", "image/png", "image/png"),
        (bytes(range(256)) * 9, "application/octet-stream", "binary data"),
        (bytes(range(256)) * 9, "text/html", "not a text, though it says"),
        (b"PK\x03\x04\0\0", "application/zip", "application/zip"),
        (b"<div id=root></div><script src=a.js></script>", "text/html", "only with JavaScript"),
        (
            b"<noscript>You need to enable JavaScript to run this app.</noscript><div></div><script src=a></script>",
            "text/html",
            "only with JavaScript",
        ),
    ],
)
def test_what_is_no_text_is_one_sentence(body: bytes, kind: str, said: str) -> None:
    with pytest.raises(ToolError, match=said) as failed:
        page(body, kind)
    assert URL in str(failed.value) and str(failed.value).endswith(".")


def test_a_short_page_with_scripts_is_still_a_page() -> None:
    assert page("<html><body><p>The answer is 42.</p><script>x()</script></body></html>").text == "The answer is 42."


def test_deep_nesting_leaves_the_words() -> None:
    made = page("<div>" * 50_000 + "deep words" + "</div>" * 50_000)
    assert made.text == "deep words" and made.note is not None and "only its words" in made.note
    assert "deep words" in page("<x>" * 50_000 + "<p>deep words</p>").text


def test_a_very_long_page_is_read_in_part() -> None:
    body = "<html><body>" + "<p>One more paragraph of it.</p>" * 5_000
    made = read(Answered(200, {"content-type": "text/html"}, body.encode()), URL, largest=20_000)
    assert made.note == "only its first 20,000 characters were read" and len(made.text) < 20_000


def test_what_was_cut_is_noted_and_half_a_character_does_no_harm() -> None:
    made = page("äöü".encode()[:-1], "text/plain", cut="its end is missing")
    assert made.text == "äö" and made.note == "its end is missing"


SENTENCE = "Grüße aus Köln: die Bäume blühen schön."


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (SENTENCE.encode(), "text/plain"),
        (SENTENCE.encode("latin-1"), "text/plain; charset=iso-8859-1"),
        (SENTENCE.encode("latin-1"), 'text/plain; charset="ISO-8859-1"; x=y'),
        (SENTENCE.encode(), "text/plain; charset=iso-8859-1"),
        (SENTENCE.encode(), "text/plain; charset=utf-16"),
        (SENTENCE.encode("utf-16"), "text/plain; charset=utf-8"),
        (SENTENCE.encode("utf-8-sig"), "text/plain; charset=ascii"),
        (SENTENCE.encode(), "text/plain; charset=unheard-of"),
        (SENTENCE.encode(), "text/plain; charset=base64"),
        (SENTENCE.encode("latin-1"), "text/plain; charset=us-ascii"),
    ],
)
def test_charsets_right_and_wrong(body: bytes, kind: str) -> None:
    assert decoded(body, kind) == SENTENCE


def test_charsets_named_in_the_page() -> None:
    japanese = "日本語の文章です。"
    assert japanese in decoded(f"<meta charset='shift_jis'><p>{japanese}".encode("shift_jis"), "text/html")
    assert japanese in decoded(f'<?xml version="1.0" encoding="euc-jp"?><p>{japanese}'.encode("euc-jp"), "text/xml")


def test_a_broken_byte_costs_one_character() -> None:
    assert decoded(b"good \xff and \xc3\xa9", "text/plain; charset=utf-8") == "good \ufffd and é"


@given(st.binary(max_size=300), st.sampled_from(["", "text/html; charset=utf-8", "text/html; charset=cp1252"]))
def test_any_bytes_become_text_that_can_be_sent(body: bytes, kind: str) -> None:
    decoded(body, kind).encode("utf-8", "surrogatepass")
    try:
        made = page(body, kind)
    except ToolError:
        return
    assert made.text.strip()


def pdf(*pages: str, password: str | None = None) -> bytes:
    """A PDF with a line of text on each page."""
    pypdf = pytest.importorskip("pypdf", reason="NOT CHECKED: reading PDF, because pypdf is not installed")
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    fonts = DictionaryObject({NameObject("/F"): _names(font)})
    for text in pages:
        made = writer.add_blank_page(300, 300)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F 12 Tf 20 200 Td ({text}) Tj ET".encode())
        made[NameObject("/Contents")] = writer._add_object(stream)
        made[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _names(values: dict[str, str]) -> object:
    from pypdf.generic import DictionaryObject, NameObject

    return DictionaryObject({NameObject(key): NameObject(value) for key, value in values.items()})


def test_a_pdf_is_read_page_by_page() -> None:
    made = page(pdf("First leaf", "", "Third leaf"), "application/pdf")
    assert made.kind == "pdf" and made.text == "[PDF page 1]\nFirst leaf\n\n[PDF page 3]\nThird leaf"
    assert page(pdf("Open"), "application/octet-stream").kind == "pdf"
    assert page(pdf("Locked for nobody", password=""), "application/pdf").text.endswith("Locked for nobody")


def test_pdfs_that_cannot_be_read() -> None:
    whole = pdf("First leaf")
    for body, cut, said in [
        (b"%PDF-1.4 and then nothing", None, "damaged"),
        (whole[:200], None, "damaged|no text"),
        (pdf("Secret", password="pw"), None, "locked with a password"),
        (pdf(""), None, "no text: its pages may be images"),
        (whole, "only its first 10 MiB were read", "only its first 10 MiB"),
    ]:
        with pytest.raises(ToolError, match=said):
            page(body, "application/pdf", cut)


@given(st.text(max_size=400), st.integers(10, 80), st.integers(0, 4))
def test_windows_cover_a_text_with_their_overlap(text: str, size: int, overlap: int) -> None:
    all_ = windows(text, size, overlap)
    assert all_[0].start == 0 and all_[-1].end == len(text)
    assert [one.number for one in all_] == list(range(1, len(all_) + 1))
    for one, following in zip(all_, all_[1:], strict=False):
        assert following.start == one.end - overlap and one.end < following.end
    assert all(len(one.text) <= size and one.text == text[one.start : one.end] for one in all_)


def test_windows_end_where_a_sentence_does() -> None:
    text = "One sentence stands here. " * 100
    first, count = window(text, 1, 1_000, 50)
    assert first.text.endswith("here. ") and count == 3
    with pytest.raises(ToolError, match="There is no page 4: this text has 3 pages"):
        window(text, 4, 1_000, 50)


def test_words_are_found_across_lines_and_case() -> None:
    text = "x" * 990 + " The Grey\n  HERON waits. " + "y" * 2_000 + " grey heron"
    matches = find(text, "grey heron", 1_000, 100)
    assert [match.number for match in matches] == [2, 4]
    assert "The Grey HERON waits." in matches[0].around
    first, _ = window(text, matches[0].number, 1_000, 100)
    assert "Grey\n  HERON" in first.text
    assert find(text, "a.b*c", 1_000, 100) == []
