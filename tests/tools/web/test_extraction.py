"""Pages become text in a process that can be killed."""

from collections.abc import Iterator

import pytest

from maieutic.errors import ToolError
from maieutic.tools.web.exchange import Answered
from maieutic.tools.web.extraction import Extraction

pytest.importorskip("trafilatura")
HTML = Answered(200, {"content-type": "text/html"}, b"<html><title>Owls</title><body><p>Owls are birds.</p></body>")
URL = "https://birds.example/owl"
# Reads a page's two messages and then goes wrong, at first only; the next process is the real one.
HANGS = "import os, time; os.read(0, 1); time.sleep(60)"
DIES = "import os; os.read(0, 1); os._exit(1)"


@pytest.fixture
def extraction() -> Iterator[Extraction]:
    made = Extraction(seconds=30)
    yield made
    made.close()


async def test_a_page_is_read_as_in_this_process(extraction: Extraction) -> None:
    document = await extraction.read(HTML, URL)
    assert (document.title, document.text, document.kind) == ("Owls", "Owls are birds.", "html")


async def test_what_has_no_text_is_the_same_sentence(extraction: Extraction) -> None:
    with pytest.raises(ToolError, match=r"The page https://birds\.example/owl is empty\."):
        await extraction.read(Answered(200, {"content-type": "text/html"}, b"  "), URL)
    assert (await extraction.read(HTML, URL)).title == "Owls"  # the process lives on


@pytest.mark.parametrize(("program", "sentence"), [(HANGS, r"took longer than 0\.3 s"), (DIES, "broke its reader")])
async def test_a_page_that_never_ends_or_breaks_its_reader_is_given_up(program: str, sentence: str) -> None:
    extraction = Extraction(seconds=0.3, start=0.5, program=("-c", program))
    with pytest.raises(ToolError, match=sentence):
        await extraction.read(HTML, URL)
    assert extraction._child is None  # nothing runs on
    extraction.close()


async def test_the_process_gets_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAVE_API_KEY", "secret")
    reply = "{'kind': 'tool', 'value': str('BRAVE_API_KEY' in os.environ)}"
    program = f"""
import json, os
from multiprocessing.connection import Connection
requests, replies = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
requests.recv_bytes(), requests.recv_bytes()
replies.send_bytes(json.dumps({reply}).encode())
"""
    extraction = Extraction(seconds=30, program=("-c", program))
    with pytest.raises(ToolError, match="^False$"):
        await extraction.read(HTML, URL)
    extraction.close()
