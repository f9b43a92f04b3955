"""Files behind a URL: whole or not at all, and every failure a sentence that says what to do."""

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from maieutic.errors import MissingExtra, UserError
from maieutic.url_store import StoreError, UrlStore, is_url
from tests.support.raw_server import RawServer
from tests.support.s3 import NAMES


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> UrlStore:
    return UrlStore(f"file://{tmp_path}/far/away" if request.param == "file" else f"memory://{uuid.uuid4().hex}/away/")


def test_files_are_written_read_listed_and_removed(store: UrlStore, tmp_path: Path) -> None:
    assert store.names() == set()
    with pytest.raises(FileNotFoundError):
        store.read("a.txt")
    store.write("a.txt", b"one")
    store.write("a.txt", b"two")
    big = tmp_path / "big"
    big.write_bytes(b"x" * 100_000)
    store.send("deep/er/b.txt", big)
    assert (store.read("a.txt"), store.read("deep/er/b.txt")) == (b"two", big.read_bytes())
    assert store.names() == {"a.txt", "deep"} and store.find() == ["a.txt", "deep/er/b.txt"]
    store.remove("a.txt")
    store.remove("a.txt")
    assert store.find() == ["deep/er/b.txt"]


def test_what_a_killed_writer_left_is_not_seen_and_swept_away(store: UrlStore) -> None:
    store.write("a.txt", b"one")
    fs, root = fsspec.url_to_fs(store.url)
    fs.pipe_file(f"{root}/b.txt.maieutic-part", b"ha")
    assert store.names() == {"a.txt"} and store.find() == ["a.txt"]
    store.sweep()
    assert not fs.exists(f"{root}/b.txt.maieutic-part") and store.read("a.txt") == b"one"


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/runs") and not is_url("runs") and not is_url(Path("/tmp/runs"))


def test_urls_that_nothing_here_can_reach() -> None:
    with pytest.raises(UserError, match="can't be used"):
        UrlStore("nonsense://bucket/runs")
    fsspec.register_implementation("farfarfs", "no_such_module.FileSystem", errtxt="It is not installed")
    with pytest.raises(MissingExtra, match=r"maieutic\[remote\]"):
        UrlStore("farfarfs://bucket/runs")


class NoCredentialsError(Exception):
    """As each store's client has one, derived from nothing that others know."""


class EndpointConnectionError(Exception):
    """Likewise."""


class Moody(fsspec.AbstractFileSystem):
    """Answers everything with one error."""

    protocol = "moody"
    cachable = False
    error: ClassVar[Exception]

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        raise self.error


@pytest.fixture
def moody() -> str:
    fsspec.register_implementation("moody", Moody, clobber=True)
    return "moody://bucket/runs"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoCredentialsError("Unable to locate."), "(no credentials for it were found): set its own."),
        (
            PermissionError("Forbidden."),
            "(access is denied: Forbidden): give credentials that may list",
        ),
        (
            EndpointConnectionError("Nobody\n there."),
            "(Nobody there): see that the server is up and rightly named",
        ),
        (TimeoutError(), "(TimeoutError): see that the server is up"),
        (OSError(28, "No space left on device"), "(No space left on device): give another place."),
        (RuntimeError("It is a riddle"), "(It is a riddle): give another place."),
    ],
)
def test_every_failure_says_what_to_do(error: Exception, sentence: str, moody: str) -> None:
    Moody.error = error
    with pytest.raises(StoreError) as refusal:
        UrlStore(moody).names()
    assert str(refusal.value).startswith(f"{moody} can't be used {sentence}")
    assert sentence.startswith(f"({refusal.value.why})")


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing."""


def test_a_store_that_does_not_answer_is_asked_twice_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'maieutic[remote]'")
    for name, value in NAMES.items():
        monkeypatch.setenv(name, value)
    with RawServer(hang_up) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url.removesuffix("/v1"))
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        with pytest.raises(StoreError, match=r"see that the server is up and rightly named, then start the same"):
            UrlStore("s3://bucket/runs").names()
        assert 1 <= server.connections <= 4  # aiohttp itself asks again once
    begun = time.monotonic()
    with pytest.raises(StoreError, match=r"s3://bucket/runs can't be used \(Could not connect to the endpoint URL"):
        UrlStore("s3://bucket/runs").names()
    assert time.monotonic() - begun < 10
