"""A collection behind a URL (s3://…, gs://…, anything fsspec knows): worked on in a folder here, uploaded as it grows.

Object stores can't append, so the work is done in a local folder of the same layout. At checkpoints and at the end what
changed is uploaded: traces first, then the ledger as it stood before them, so that no line there lacks its trace. Each
upload appears under its name only once it is whole. A start brings what is there, unless the folder here has it all.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from maieutic.collector.claim import claimed
from maieutic.errors import MissingExtra, TraceError, UserError
from maieutic.settings import state_dir

EVERY = 60.0  # seconds between two uploads
_EXPIRES = 180.0  # seconds after which a claim that was not renewed has lapsed
_STAMP, _STATE = "claim.json", ".remote.json"
_LEDGER = re.compile(r"(^|/)(results|failures|groups)\.jsonl$")
_PART = ".maieutic-part"
_NOT_OURS = re.compile(rf"^(\.|claim\.json$|traces/(\.|index\.sqlite))|{_PART}$")

_log = logging.getLogger(__name__)


def is_remote(out: str | Path) -> bool:
    return "://" in str(out)


def folder_for(url: str) -> Path:
    """Where a collection behind this URL is worked on: always the same folder on one machine."""
    name = re.sub(r"[^\w.-]+", "-", url.partition("://")[2]).strip("-")[-60:]
    digest = hashlib.blake2b(url.rstrip("/").encode(), digest_size=6).hexdigest()
    return state_dir() / "remote" / f"{name}-{digest}"


class Remote:
    """The far side of one collection. Its methods block; `kept` calls them beside the event loop."""

    def __init__(self, url: str, folder: Path) -> None:
        """UserError where nothing here can reach such a URL."""
        self.url = url.rstrip("/")
        self._folder = folder
        self._fs, self._root = _open(self.url)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._stamp = ""
        self._sent: dict[str, list[int]] = {}

    def names(self) -> set[str]:
        """What is directly below the URL; empty where there is nothing yet."""
        try:
            return {path.rstrip("/").rpartition("/")[2] for path in self._fs.ls(self._root, detail=False)}
        except FileNotFoundError:
            return set()

    def fetch(self) -> None:
        """Claim it, and have the folder here hold all that is there. UserError where somebody else is at work on it.

        What the folder holds beyond the last upload stays, unless another machine has gone on since.
        """
        there, mine, now = self._claim_there(), self._state(), time.time()
        if there.get("open") and there.get("owner") != mine.get("owner") and now - there["time"] < _EXPIRES:
            raise UserError(
                f"{there['owner']} is collecting into {self.url}: wait for it. If it is dead, its claim lapses in "
                f"{_EXPIRES - (now - there['time']):.0f} s."
            )
        if not there:
            self._adopt()
        elif there["stamp"] in (mine.get("stamp"), mine.get("next")):
            self._sent = mine.get("sent", {})
        else:
            self._replace()
        self._stamp = there.get("stamp", "")
        self._renew(open_=True)

    def push(self, last: bool = False) -> None:
        """Upload what changed since the last time; with `last` the claim is given back. Raises OSError."""
        ledger = {path: path.stat().st_size for path in self._files() if _LEDGER.search(self._relative(path))}
        files = sorted(self._files(), key=lambda path: (self._relative(path) == "collect.json", path.name))
        for path in files:
            if path not in ledger:
                self._send(path)
        for path, size in ledger.items():
            self._send(path, size)
        for relative in [name for name in self._sent if not (self._folder / name).exists()]:
            with suppress(FileNotFoundError):
                self._fs.rm_file(f"{self._root}/{relative}")
            del self._sent[relative]
        self._renew(open_=not last)

    def _adopt(self) -> None:
        """What has no claim is either new, or a collection that was copied there. UserError for anything else."""
        names, here = self.names(), (self._folder / "collect.json").exists()
        if names and ("collect.json" not in names or here):
            raise UserError(f"{self.url} is there and is not what was collected here: give a new place.")
        if names:
            self._replace()

    def _send(self, path: Path, size: int | None = None) -> None:
        """Upload a file, or its first `size` bytes, if it is not there as it is."""
        try:
            stat = path.stat()
            mark = [stat.st_size if size is None else size, stat.st_mtime_ns]
            if self._sent.get(self._relative(path)) == mark:
                return
            with path.open("rb") as file:
                self._put(self._relative(path), file.read() if size is None else file.read(size))
        except FileNotFoundError:  # a segment that was sealed since
            sealed = path.with_name(path.name + ".zst")
            if not sealed.exists():
                raise
            self._send(sealed)
            return
        self._sent[self._relative(path)] = mark

    def _put(self, relative: str, data: bytes) -> None:
        name = f"{self._root}/{relative}"
        self._fs.makedirs(name.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(name + _PART, data)
        self._fs.mv(name + _PART, name)

    def _replace(self) -> None:
        """Drop what is here, and bring what is there."""
        for path in self._files():
            path.unlink()
        for path in self._folder.rglob("index.sqlite*"):
            path.unlink()
        for name in sorted(self._fs.find(self._root)):
            relative = name.removeprefix(self._root).lstrip("/")
            if _NOT_OURS.search(relative):
                continue
            path = self._folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._fs.cat_file(name))
            stat = path.stat()
            self._sent[relative] = [stat.st_size, stat.st_mtime_ns]

    def _renew(self, open_: bool) -> None:
        """Say that it is ours and up to date here. The stamp changes each time: who has another missed something."""
        before, self._stamp = self._stamp, secrets.token_hex(8)
        self._remember(before, self._stamp)  # a kill between this and what follows leaves one of the two there
        claim = {"stamp": self._stamp, "owner": self._owner, "time": time.time(), "open": open_}
        self._put(_STAMP, json.dumps(claim).encode())
        self._remember(self._stamp, self._stamp)

    def _claim_there(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._fs.cat_file(f"{self._root}/{_STAMP}"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise UserError(f"{self.url}/{_STAMP} is damaged ({error}): remove it, and start again.") from error
        return found

    def _state(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._folder / _STATE).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def _remember(self, stamp: str, following: str) -> None:
        temporary = self._folder / f"{_STATE}.tmp"
        state = {"stamp": stamp, "next": following, "owner": self._owner, "sent": self._sent}
        temporary.write_text(json.dumps(state))
        os.replace(temporary, self._folder / _STATE)

    def _files(self) -> Iterator[Path]:
        """The files here that belong there."""
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not _NOT_OURS.search(self._relative(path)):
                yield path

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


@asynccontextmanager
async def kept(remote: Remote, folder: Path, every: float = EVERY) -> AsyncIterator[None]:
    """Bring what is there, upload every so many seconds, and once more at the end, whatever ended the block.

    Raises UserError where it can't be had, and TraceError where the last upload fails; one that fails on the way is
    made good by the next.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder, ".remote.lock"):
        try:
            await asyncio.to_thread(remote.fetch)
        except OSError as error:
            raise UserError(f"{remote.url} can't be used ({_said(error)}): give another place.") from error
        uploading = asyncio.create_task(_push_every(remote, every))
        try:
            yield
        finally:
            uploading.cancel()
            await asyncio.gather(uploading, return_exceptions=True)
            try:
                await asyncio.to_thread(remote.push, True)
            except OSError as error:
                raise TraceError(
                    f"Not all of it could be uploaded to {remote.url} ({_said(error)}). Nothing is lost: it is in "
                    f"{folder}, and the same command goes on from there."
                ) from error


async def _push_every(remote: Remote, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        pushing = asyncio.ensure_future(asyncio.to_thread(remote.push))
        try:
            await asyncio.shield(pushing)
        except asyncio.CancelledError:  # two uploads at once would undo each other
            await asyncio.gather(pushing, return_exceptions=True)
            raise
        except OSError as error:
            _log.warning("The upload to %s failed (%s); it is tried again in %g s.", remote.url, _said(error), every)


def _open(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(url)
    except ImportError as error:
        raise MissingExtra(f"A directory such as {url}", "remote") from error
    except ValueError as error:
        raise UserError(f"{url} can't be used: {error}.") from error
    return fs, str(path).rstrip("/")


def _said(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
