"""Every kind of file, and every way in which one can be bad: one clear sentence each, and nothing else is lost."""

import io
import os
import zipfile
from pathlib import Path

import pypdf
import pytest

from maieutic.tools.retrieval.document import Unreadable, split
from maieutic.tools.retrieval.index import Index
from maieutic.tools.retrieval.loading import load
from tests.tools.retrieval.conftest import Update, found, pdf

LIMIT = 1 << 20


def encrypted(password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("secret text")))
    writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * (LIMIT * 9))
    return out.getvalue()


BAD = {
    "empty.txt": (b"", "is empty"),
    "blank.md": (b" \n\n\t", "is empty"),
    "program.txt": (b"\x7fELF\x02\x01\x01\0\0\0\0\0" * 20, "is not text"),
    "noise.txt": (bytes(range(1, 256)) * 20, "is not text"),
    "utf16.txt": (b"\xff\xfe\x00", "is not the utf-16 text that it says it is"),
    "broken.pdf": (b"%PDF-1.4\n%broken", "is not a PDF that can be read"),
    "cut.pdf": (pdf("cut short")[:200], "is not a PDF that can be read"),
    "locked.pdf": (encrypted("word"), "is encrypted: save it without a password"),
    "scan.pdf": (pdf("", ""), "has no text in it: its pages may be images"),
    "nothing.html": (b"<html><script>var x = 1</script></html>", "has no text in it"),
    "bomb.docx": (bomb(), "unpacks to 9 MiB, more than the 8 MiB allowed"),
    "torn.docx": (b"PK\x03\x04torn", "is damaged: it can't be unpacked"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_sentence(name: str) -> None:
    data, reason = BAD[name]
    with pytest.raises(Unreadable) as told:
        load(Path(name), data, LIMIT)
    assert str(told.value).startswith(reason)


def test_bad_files_are_left_out_and_the_others_are_indexed(update: Update, folder: Path, place: Path) -> None:
    for name, (data, _) in BAD.items():
        (folder / name).write_bytes(data)
    (folder / "huge.txt").touch()
    os.truncate(folder / "huge.txt", LIMIT + 1)  # sparse
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.txt").symlink_to(folder / "not there")
    (folder / "again.txt").symlink_to(folder / "pumps.txt")
    (folder / "memory.txt").symlink_to("/proc/self/mem")  # a file that no one can read from its beginning
    os.mkfifo(folder / "pipe.txt")
    (folder / ".hidden.txt").write_text("hidden")
    report = update(largest=LIMIT)
    reasons = {Path(path).name: reason for path, reason in report.left_out.items()}
    assert reasons.keys() == {*BAD, "huge.txt", "nowhere.txt", "memory.txt", "pipe.txt"}
    assert all(reasons[name].startswith(reason) for name, (_, reason) in BAD.items())
    assert reasons["huge.txt"] == "has 1 MiB, more than the 1 MiB allowed (--max-size)"
    assert reasons["nowhere.txt"] == "is a link that leads nowhere"
    assert reasons["memory.txt"].startswith("can't be read (")
    assert reasons["pipe.txt"] == "is not a file"
    assert report.documents == report.added == 3
    index = Index(place)
    assert found(index, "valve seat") == ["valves.txt"]
    index.close()


def test_what_was_readable_once_is_kept(update: Update, folder: Path, opened: Index) -> None:
    (folder / "pumps.txt").write_bytes(b"\0\1\2")
    report = update()
    assert report.left_out == {str(folder / "pumps.txt"): "is not text; what was indexed of it before is kept"}
    assert found(opened, "cavitates prime") == ["pumps.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder: a closed folder was not checked")
def test_a_folder_that_is_closed_keeps_its_documents(update: Update, folder: Path, opened: Index) -> None:
    (folder / "sub").chmod(0)
    try:
        report = update()
    finally:
        (folder / "sub").chmod(0o700)
    assert report.left_out[str(folder / "sub")].startswith("can't be looked into")
    assert (report.removed, found(opened, "valve seat")) == (0, ["valves.txt"])


def test_pages_of_a_pdf_are_known() -> None:
    document = load(Path("x.pdf"), pdf("first page", "", "third page"), LIMIT)
    assert [(page.number, page.text.strip()) for page in document.pages] == [(1, "first page"), (3, "third page")]


def test_a_pdf_with_an_empty_password_can_be_read() -> None:
    assert load(Path("x.pdf"), encrypted(""), LIMIT).pages[0].text.strip() == "secret text"


def test_the_main_text_of_a_page_is_read() -> None:
    html = b"<html><body><nav>Menu</nav><article><h1>Pumps</h1><p>Bleed the air out of the inlet line first, "
    html += b"then start the pump slowly and watch the gauge.</p></article><script>var x = 1</script></body></html>"
    document = load(Path("x.html"), html, LIMIT)
    assert "Bleed the air" in document.pages[0].text and "var x" not in document.pages[0].text


@pytest.mark.parametrize(
    ("data", "text", "noted"),
    [
        ("größer".encode(), "größer", False),
        ("größer".encode("utf-8-sig"), "größer", False),
        ("größer".encode("utf-16"), "größer", False),
        ("größer, viel größer als alles andere".encode("cp1252"), "größer, viel größer als alles andere", True),
    ],
)
def test_encodings(data: bytes, text: str, noted: bool) -> None:
    document = load(Path("x.txt"), data, LIMIT)
    assert (document.pages[0].text, document.note is not None) == (text, noted)


def test_office_files_are_read_or_the_part_is_named() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    with pytest.raises(Unreadable) as told:
        load(Path("x.docx"), out.getvalue(), LIMIT)
    try:
        import markitdown  # noqa: F401
    except ImportError:
        assert str(told.value).endswith("pip install 'maieutic[documents]'")
    else:
        assert str(told.value).startswith("is not a .docx file that can be read")


WORD = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default '
    'Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName='
    '"/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main'
    '+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
    'Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>',
    "word/document.xml": '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    "<w:p><w:r><w:t>Bleed the inlet line.</w:t></w:r></w:p></w:body></w:document>",
}


@pytest.mark.filterwarnings("ignore")  # theirs
def test_a_word_document_is_read() -> None:
    pytest.importorskip("markitdown", reason="markitdown is not installed: reading office files was not checked")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in WORD.items():
            archive.writestr(name, text)
    document = load(Path("x.docx"), out.getvalue(), LIMIT)
    assert document.markdown and document.pages[0].text.strip() == "Bleed the inlet line."


@pytest.mark.parametrize("suffix", ["txt", "md"])
def test_pieces_are_the_whole_text_and_know_their_place(suffix: str) -> None:
    text = "\n\n# One\n\n" + "A sentence of the first part. " * 30 + "\n\n\n## Two\n\n" + "ein Wörtchen\t" * 60 + "\n\n"
    document = load(Path(f"x.{suffix}"), text.encode(), LIMIT)
    pieces = split(document, 200)
    assert len(pieces) > 5
    assert all(text[piece.start : piece.end] == piece.text for piece in pieces)
    assert "".join(piece.text for piece in pieces).strip() == text.strip()
    assert all(len(piece.text.strip()) <= 200 for piece in pieces)
