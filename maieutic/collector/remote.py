"""A collection behind a URL (s3://…, gs://…, anything fsspec knows): worked on in a folder here, uploaded as it grows.

Object stores can't append, so the work is done in a local folder of the same layout. At checkpoints and at the end what
changed is uploaded: what was asked for and the traces first, then the ledger as it stood before them, so that it is a
collection wherever it breaks off, and no line in it lacks its trace. Each upload appears under its name only once it is
whole. A start brings what is there, unless the folder here has it all.
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
from maieutic.errors import TraceError, UserError
from maieutic.settings import state_dir
from maieutic.url_store import StoreError, UrlStore

EVERY = 60.0  # seconds between two uploads
_EXPIRES = 180.0  # seconds after which a claim that was not renewed has lapsed
_STAMP, _STATE = "claim.json", ".remote.json"
_LEDGER = re.compile(r"(^|/)(results|failures|groups)\.jsonl$")
_NOT_OURS = re.compile(r"^(\.|claim\.json$|traces/(\.|index\.sqlite))")

_log = logging.getLogger(__name__)


def folder_for(url: str) -> Path:
    """Where a collection behind this URL is worked on: always the same folder on one machine."""
    name = re.sub(r"[^\w.-]+", "-", url.partition("://")[2]).strip("-")[-60:]
    digest = hashlib.blake2b(url.rstrip("/").encode(), digest_size=6).hexdigest()
    return state_dir() / "remote" / f"{name}-{digest}"


class Remote:
    """The far side of one collection. Its methods block; `kept` calls them beside the event loop."""

    def __init__(self, url: str, folder: Path) -> None:
        """UserError where nothing here can reach such a URL."""
        self._store = UrlStore(url)
        self.url = self._store.url
        self._folder = folder
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._stamps: list[str] = []  # the claim there has one of these, as long as nobody else has taken it
        self._sent: dict[str, list[int]] = {}

    def fetch(self) -> None:
        """Claim it, and have the folder here hold all that is there. UserError where somebody else is at work on it.

        What the folder holds beyond the last upload stays, unless another machine has gone on since.
        """
        names = self._store.names()
        there, mine, now = self._claim_there(), self._state(), time.time()
        latest = there.get("stamp") in mine.get("stamps", [])
        if there.get("open") and not latest and now - there["time"] < _EXPIRES:
            raise UserError(
                f"{there['owner']} is collecting into {self.url}: wait for it. If it is dead, its claim lapses in "
                f"{_EXPIRES - (now - there['time']):.0f} s."
            )
        self._store.sweep()
        if not there:
            self._adopt(names)
        elif latest:
            self._sent = mine.get("sent", {})
        else:
            self._replace()
        self._stamps = [there["stamp"]] if there else []
        self._renew(open_=True)

    def push(self, last: bool = False) -> None:
        """Upload what changed since the last time; with `last` the claim is given back. Raises OSError, and TraceError
        where another machine has taken it over, as this one was not heard of for too long.

        Where nothing came to be collected, nothing is left there.
        """
        self._refuse_overtaken()
        if last and not (self._folder / "collect.json").exists():
            self._store.remove(_STAMP)
            return
        ledger = {path: path.stat().st_size for path in self._files() if _LEDGER.search(self._relative(path))}
        files = sorted(self._files(), key=lambda path: (path.name != "collect.json", path.name))
        for path in files:
            if path not in ledger:
                self._send(path)
        for path, size in ledger.items():
            self._send(path, size)
        for relative in [name for name in self._sent if not (self._folder / name).exists()]:
            self._store.remove(relative)
            del self._sent[relative]
        self._renew(open_=not last)

    def _refuse_overtaken(self) -> None:
        there = self._claim_there()
        if there and there["stamp"] not in self._stamps:
            raise TraceError(
                f"{there['owner']} has gone on with {self.url}, since this machine was not heard of there for a while: "
                f"what was collected here meanwhile is not uploaded, and lies in {self._folder} until the next start."
            )

    def _adopt(self, names: set[str]) -> None:
        """What has no claim is either new, or a collection that was copied there. UserError for anything else."""
        here = (self._folder / "collect.json").exists()
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
                self._store.write(self._relative(path), file.read() if size is None else file.read(size))
        except FileNotFoundError:  # a segment that was sealed since
            sealed = path.with_name(path.name + ".zst")
            if not sealed.exists():
                raise
            self._send(sealed)
            return
        self._sent[self._relative(path)] = mark

    def _replace(self) -> None:
        """Drop what is here, and bring what is there."""
        for path in self._files():
            path.unlink()
        for path in self._folder.rglob("index.sqlite*"):
            path.unlink()
        for name in sorted(self._store.find(), key=lambda name: (name.endswith("collect.json"), name)):
            if _NOT_OURS.search(name):
                continue
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._store.read(name))
            stat = path.stat()
            self._sent[name] = [stat.st_size, stat.st_mtime_ns]

    def _renew(self, open_: bool) -> None:
        """Say that it is ours and up to date here. The stamp changes each time: who has another missed something."""
        stamp = secrets.token_hex(8)
        self._stamps.append(stamp)
        self._remember()  # a kill, or a failure, between this and what follows leaves one of them there
        claim = {"stamp": stamp, "owner": self._owner, "time": time.time(), "open": open_}
        self._store.write(_STAMP, json.dumps(claim).encode())
        self._stamps = [stamp]
        self._remember()

    def _claim_there(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._store.read(_STAMP))
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

    def _remember(self) -> None:
        temporary = self._folder / f"{_STATE}.tmp"
        temporary.write_text(json.dumps({"stamps": self._stamps, "sent": self._sent}))
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
        except StoreError as error:
            _tidy(folder)
            raise UserError(str(error)) from error
        except OSError as error:
            raise UserError(f"{remote.url} can't be brought to {folder} ({_said(error)}): make room there.") from error
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


def _tidy(folder: Path) -> None:
    """Remove the folder if nothing has been collected there."""
    if not (folder / "collect.json").exists():
        (folder / _STATE).unlink(missing_ok=True)
        (folder / ".remote.lock").unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()


def _said(error: OSError) -> str:
    if isinstance(error, StoreError):
        return error.why
    return error.strerror or str(error) or type(error).__name__
