"""Files behind a URL (s3://…, gs://…, anything fsspec knows): read and written whole, every failure one sentence.

A file appears under its name once it is whole. Stores of buckets do that by themselves and are written to directly;
elsewhere a file is written beside its name and moved there.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from maieutic.errors import MissingExtra, UserError

_BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}
_PART = ".maieutic-part"
# Whoever asks first is told soon that nobody answers; what comes later may be tried again for half a minute.
_FIRST = {"connect_timeout": 3, "retries": {"mode": "standard", "total_max_attempts": 2}}


def is_url(place: str | Path) -> bool:
    return "://" in str(place)


class StoreError(OSError):
    """What is behind the URL can't be used. `why` is a clause, the whole a sentence that says what to do."""

    def __init__(self, url: str, why: str, advice: str) -> None:
        super().__init__(f"{url} can't be used ({why}): {advice}.")
        self.why = why


class UrlStore:
    """The files below one URL, by their names relative to it.

    All methods block. They raise StoreError, and FileNotFoundError where there is no such file.
    """

    def __init__(self, url: str) -> None:
        """MissingExtra or UserError where nothing here can reach such a URL; nothing is asked of it yet."""
        self.url = url.rstrip("/")
        self._fs, self._root = _open(self.url)
        protocol = self._fs.protocol
        self._bucket = "" if _BUCKETS.isdisjoint([protocol] if isinstance(protocol, str) else protocol) else self._root
        self._bucket = self._bucket.partition("/")[0]

    def names(self) -> set[str]:
        """What is directly below the URL; empty where there is nothing yet. StoreError where even its bucket is not
        there, or within some seconds where no store is."""
        fs = _impatient(self._fs)
        fs.invalidate_cache()  # others write there, too
        try:
            found = self._ask("ls", self._root, fs=fs, detail=False)
        except FileNotFoundError:
            self._need_bucket()
            return set()
        names = {path.rstrip("/").rpartition("/")[2] for path in found}
        return {name for name in names if not name.endswith(_PART)}

    def find(self) -> list[str]:
        """All files below the URL, in the order of their names."""
        return [name for name in self._everything() if not name.endswith(_PART)]

    def read(self, name: str) -> bytes:
        data: bytes = self._ask("cat_file", f"{self._root}/{name}")
        return data

    def bring(self, name: str, file: Path) -> None:
        """Have a copy of a file here, which is never all in memory."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._ask("get_file", f"{self._root}/{name}", str(file))

    def write(self, name: str, data: bytes) -> None:
        """Write a file, or another in its place."""
        self._put(name, lambda path: self._ask("pipe_file", path, data))

    def send(self, name: str, file: Path) -> None:
        """The same with what a file here holds, which is never all in memory."""
        self._put(name, lambda path: self._ask("put_file", str(file), path))

    def remove(self, name: str) -> None:
        """Remove a file; nothing where there is none."""
        with suppress(FileNotFoundError):
            self._ask("rm_file", f"{self._root}/{name}")

    def sweep(self) -> None:
        """Remove what a writer that was killed has left half-written."""
        if not self._bucket:
            for name in self._everything():
                if name.endswith(_PART):
                    self.remove(name)

    def _put(self, name: str, write: Callable[[str], None]) -> None:
        path = f"{self._root}/{name}"
        if not self._bucket:
            self._ask("makedirs", path.rpartition("/")[0], exist_ok=True)
            write(path + _PART)
            self._ask("mv", path + _PART, path)
            return
        try:
            write(path)
        except FileNotFoundError:
            raise self._no_bucket() from None

    def _everything(self) -> Iterator[str]:
        self._fs.invalidate_cache()
        for path in sorted(self._ask("find", self._root)):
            yield path.removeprefix(self._root).lstrip("/")

    def _need_bucket(self) -> None:
        if self._bucket:
            try:
                self._ask("info", self._bucket)
            except FileNotFoundError:
                raise self._no_bucket() from None
            except StoreError as error:
                if not isinstance(error.__cause__, PermissionError):  # who may write to it may not know it
                    raise

    def _no_bucket(self) -> StoreError:
        return StoreError(self.url, f"there is no bucket {self._bucket}", "make it, or give another place")

    def _ask(self, what: str, *values: Any, fs: Any = None, **named: Any) -> Any:
        try:
            return getattr(fs or self._fs, what)(*values, **named)
        except FileNotFoundError:
            raise
        except Exception as error:  # each store's client has errors of its own, which have no class in common
            raise _explained(self.url, error) from error


def _open(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(url)
    except ImportError as error:
        raise MissingExtra(f"A place such as {url}", "remote") from error
    except ValueError as error:
        raise UserError(f"{url} can't be used: {error}.") from error
    return fs, str(path).rstrip("/")


def _impatient(fs: Any) -> Any:
    """The same file system, giving up soon where nobody answers: s3fs tries again five times what botocore has tried
    five times."""
    if not {"s3", "s3a"}.intersection([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol):
        return fs
    quick = type(fs)(**{**fs.storage_options, "config_kwargs": {**fs.config_kwargs, **_FIRST}})
    quick.retries = 1
    return quick


def _explained(url: str, error: Exception) -> StoreError:
    """The sentence for an error of fsspec or of a client below it."""
    said = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split()).rstrip(".")
    kind = type(error).__name__
    if "Credentials" in kind:
        names = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" if url.startswith("s3") else "its own"
        return StoreError(url, "no credentials for it were found", f"set {names}")
    if isinstance(error, PermissionError):
        return StoreError(url, f"access is denied: {said}", "give credentials that may list, read and write there")
    if isinstance(error, ConnectionError | TimeoutError) or "Connect" in kind or "Timeout" in kind:
        advice = "see that the server is up and rightly named, then start the same command again"
        return StoreError(url, said, advice)
    return StoreError(url, said, "give another place")
