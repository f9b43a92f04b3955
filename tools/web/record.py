"""The record of the web: what was asked and what came back, in SQLite, so that a run can be repeated exactly."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import zstandard

from maieutic.errors import ToolError, UserError
from maieutic.tools.web.exchange import Answered, Ask, Asked

Mode = Literal["record", "replay"]
FILE = "web.sqlite"
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, method TEXT NOT NULL, url TEXT NOT NULL, fetched_at REAL, status INTEGER, headers TEXT,
    body BLOB, cut TEXT, failure TEXT
)
"""
_KEEP = """
INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET fetched_at = excluded.fetched_at, status = excluded.status,
    headers = excluded.headers, body = excluded.body, cut = excluded.cut, failure = excluded.failure
WHERE failure IS NOT NULL
"""
_FIND = "SELECT status, headers, body, cut, fetched_at, failure FROM answers WHERE key = ?"


class Record:
    """A folder of recorded answers. With mode record, what is not there yet is asked and kept, a failure too, which is
    asked again the next time; with replay, nothing is asked."""

    def __init__(self, folder: Path, mode: Mode = "record") -> None:
        """Raises UserError where there is nothing to replay, or nothing can be kept."""
        self.mode = mode
        self._path = folder / FILE
        if mode == "replay" and not self._path.is_file():
            raise UserError(
                f"There is no record of web pages in {folder}: record one first, with --web-cache {folder}."
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._open() as db:
                if mode == "record":
                    db.execute(_TABLE)
                db.execute("SELECT key, cut, failure FROM answers LIMIT 1").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"The record of web pages in {folder} can't be used: {error}.") from error

    async def through(self, asked: Asked, ask: Ask) -> Answered:
        """The recorded answer, or what `ask` brings. Raises ToolError: the recorded failure, or that there is none."""
        key = _key(asked)
        found = await asyncio.to_thread(self._find, key)
        if self.mode == "replay":
            if found is None:
                raise ToolError(
                    f"{asked.url} is not in the record of this run, and nothing is fetched while replaying."
                )
            return _raised(found)
        if isinstance(found, Answered):
            return found
        try:
            answer: Answered | str = await ask()
        except ToolError as error:
            answer = str(error)
        await asyncio.to_thread(self._keep, key, asked, answer)
        kept = await asyncio.to_thread(self._find, key)  # another may have been first: then all have what that one got
        return _raised(answer if kept is None else kept)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        mode = "ro" if self.mode == "replay" else "rwc"
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60)) as db, db:
            yield db

    def _find(self, key: str) -> Answered | str | None:
        with self._open() as db:
            row = db.execute(_FIND, (key,)).fetchone()
        if row is None:
            return None
        status, headers, body, cut, at, failure = row
        if failure is not None:
            return str(failure)
        return Answered(status, json.loads(headers), zstandard.ZstdDecompressor().decompress(body), cut, at)

    def _keep(self, key: str, asked: Asked, answer: Answered | str) -> None:
        with self._open() as db:
            if isinstance(answer, str):
                db.execute(_KEEP, (key, asked.method, asked.url, None, None, None, None, None, answer))
                return
            headers, body = json.dumps(answer.headers), zstandard.ZstdCompressor().compress(answer.body)
            values = (answer.at, answer.status, headers, body, answer.cut, None)
            db.execute(_KEEP, (key, asked.method, asked.url, *values))


def _key(asked: Asked) -> str:
    parts = [asked.method, asked.url, sorted(asked.headers), hashlib.sha256(asked.body).hexdigest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _raised(answer: Answered | str) -> Answered:
    if isinstance(answer, str):
        raise ToolError(answer)
    return answer
