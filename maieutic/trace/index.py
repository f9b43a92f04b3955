"""The index: which runs a directory of segments holds, and where their lines lie.

It is a cache in SQLite, brought up to date by readers and never by writers, and thrown away and rebuilt when it is
missing, damaged or of another make. The segments are the truth.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maieutic.errors import TraceError, UnknownName
from maieutic.trace.lost import LOST, TABLES, Lost, gone_with, has_back, lost_in, sizes_of_ledgers
from maieutic.trace.payload import head_of, parse
from maieutic.trace.record import RunSummary
from maieutic.trace.segment import (
    ENVELOPE,
    TAIL,
    Damage,
    Newer,
    being_written,
    check_version,
    list_segments,
    load,
    scan,
    size,
    unreadable,
)
from maieutic.types import Outcome

FILE = "index.sqlite"
_MAKE = 3  # raised when the tables change; an index of another make is rebuilt
_PAGE = 1000  # runs that are held at once, however many there are
_COLUMNS = tuple(RunSummary.__dataclass_fields__)
_TABLES = f"""
CREATE TABLE IF NOT EXISTS segments (segment TEXT PRIMARY KEY, size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, {", ".join(_COLUMNS[1:])}, segment TEXT, offset INTEGER);
CREATE TABLE IF NOT EXISTS spans (run_id TEXT, segment TEXT, offset INTEGER, length INTEGER);
CREATE INDEX IF NOT EXISTS spans_of_run ON spans (run_id, segment, offset);
CREATE INDEX IF NOT EXISTS runs_in_order ON runs (segment, offset);
CREATE INDEX IF NOT EXISTS runs_of_task ON runs (task_key, segment, offset);
{TABLES}PRAGMA user_version = {_MAKE};
"""


class _Stale(sqlite3.DatabaseError):
    """The index tells of segments that are not there any more: it is rebuilt like a damaged one."""


class Index:
    """The index of one directory. `damaged` and `notes` say what the last `refresh` could not read; `lost` what it
    missed, and None where it missed nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.segments: dict[str, Path] = {}
        self.damaged: dict[str, TraceError] = {}
        self.notes: list[str] = []
        self.lost: Lost | None = None
        begun = list_segments(root) or (root / FILE).exists()
        self._database = _open(root / FILE) if begun else _connect(":memory:")

    def close(self) -> None:
        self._database.close()

    def refresh(self) -> None:
        """Take in what was written since; TraceError when a segment is of a newer format."""
        try:
            self._refresh()
        except sqlite3.DatabaseError as error:
            self._rebuild(error)

    def runs(self, filters: dict[str, Any]) -> Iterator[RunSummary]:
        """Runs whose columns equal `filters`, in the order they were begun, without those in damaged segments."""
        for name in filters:
            if name not in _COLUMNS:
                raise UnknownName("property of runs", name, _COLUMNS)
        wanted = "".join(f" AND {name} IS ?" for name in filters)
        for row in self._pages(", ".join(_COLUMNS), wanted, [*filters.values()]):
            yield _summary(row)

    def tasks(self) -> Iterator[str]:
        """The keys of the tasks, in the order in which their first runs were begun; runs in damaged segments are left
        out."""
        whole, damaged = self._whole("before.")
        first = (
            f" AND NOT EXISTS (SELECT 1 FROM runs AS before WHERE before.task_key = runs.task_key AND "
            f"(before.segment, before.offset) < (runs.segment, runs.offset){whole})"
        )
        for (key,) in self._pages("task_key", first, damaged):
            yield key

    def _pages(self, columns: str, wanted: str, values: list[Any]) -> Iterator[tuple[Any, ...]]:
        """Rows of runs in the order they were begun, a page of them in memory; `wanted` are further conditions."""
        whole, damaged = self._whole()
        query = (
            f"SELECT {columns}, segment, offset FROM runs WHERE (segment, offset) > (?, ?){whole}{wanted} "
            f"ORDER BY segment, offset LIMIT {_PAGE}"
        )
        last: tuple[str, int] = ("", -1)
        while rows := self._rows(query, [*last, *damaged, *values]):
            yield from (row[:-2] for row in rows)
            last = rows[-1][-2:]

    def _whole(self, of: str = "") -> tuple[str, list[str]]:
        """The condition that no line of a run is in a segment that is damaged or gone, and its values; none where none
        is, as it is asked for every task."""
        condition = ""
        if self.damaged:
            places = ", ".join("?" * len(self.damaged))
            condition += f" AND {of}run_id NOT IN (SELECT run_id FROM spans WHERE segment IN ({places}))"
        if self.lost is not None and self.lost.segments:
            condition += f" AND {of}run_id NOT IN (SELECT run_id FROM gone)"
        return condition, list(self.damaged)

    def has_lost(self, run_id: str, whole: bool) -> bool:
        """Whether the run had lines in a segment that is gone; with `whole`, whether it is known by anything at all."""
        return bool(self._rows(f"SELECT 1 FROM {LOST if whole else 'gone'} WHERE run_id = ?", [run_id]))

    def spans(self, run_id: str) -> list[tuple[str, int, int]]:
        """Segment, offset and length of the run's lines, in the order they were written; empty for an unknown run."""
        query = "SELECT segment, offset, length FROM spans WHERE run_id = ? ORDER BY segment, offset"
        return self._rows(query, [run_id])

    def _rows(self, query: str, values: list[Any]) -> list[Any]:
        """What a query brings; from a new index where the old one turns out to be damaged."""
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            self._rebuild(error)
            return self._database.execute(query, values).fetchall()

    def _rebuild(self, error: sqlite3.DatabaseError) -> None:
        if "locked" in str(error):
            raise TraceError(f"The index of {self._root} is in use by another program: try again.") from error
        gone = gone_with(self._database, self.segments)
        self._database.close()
        self._database = _recreate(self._root / FILE)
        with self._database as database:
            database.executemany("INSERT OR IGNORE INTO gone VALUES (?, ?)", gone)
        self._refresh(anew=True)

    def _refresh(self, anew: bool = False) -> None:
        self.damaged, self.notes, self.lost = {}, [], None
        ledgers = sizes_of_ledgers(self._root)  # before the segments: a ledger names a run once its lines are on disk
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            self.segments = list_segments(self._root)
            known: dict[str, int] = dict(database.execute("SELECT segment, size FROM segments"))
            if not known.keys() <= self.segments.keys():
                self.segments = list_segments(self._root)  # one that was being sealed may have had neither name
            if not known.keys() <= self.segments.keys():
                raise _Stale("a segment is gone")
            for name, path in self.segments.items():
                self._take_in(name, path, known.get(name, 0))
            if has_back(database) and not anew:
                raise _Stale("a run's beginning is back, and what comes after it has to be read again")
            self.lost = lost_in(
                database, self._root, self.segments, {} if self.damaged else ledgers, bool(self.damaged)
            )

    def _take_in(self, name: str, path: Path, start: int) -> None:
        """A segment that can't be read hides its own runs, and none of the others."""
        try:
            length = size(path)
            if length < start:
                raise _Stale("a segment has shrunk")
            data = load(path, start) if length > start else b""
        except FileNotFoundError:
            sealed = path.with_name(path.name + ".zst")
            if sealed.exists():  # since the directory was listed
                self.segments[name] = sealed
                self._take_in(name, sealed, start)
            elif path.is_symlink():
                self.damaged[name] = TraceError(
                    f"Segment {path} is a link to nothing: put the file there, or remove it."
                )
            return
        except OSError as error:
            self.damaged[name] = unreadable(path, error)
            return
        except TraceError as error:
            self.damaged[name] = error
            return
        if data:
            self._add(name, path, data, start)

    def _add(self, name: str, path: Path, data: bytes, start: int) -> None:
        """Take in lines that begin at `start` of a segment."""
        end = offset = start
        lines = _Lines(self._database, name)
        self._database.execute("SAVEPOINT segment")
        try:
            for item in scan(data):
                if isinstance(item, Damage):
                    self._report(name, path, start + item.offset, len(data) - item.offset, item.torn)
                    break
                offset, payload = start + item[0], item[1]
                end = offset + ENVELOPE + len(payload) + len(TAIL)
                if offset == 0:
                    check_version(name, payload)
                else:
                    lines.add(payload, offset, end - offset)
        except Newer:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, TraceError) as error:
            self._database.execute("ROLLBACK TO segment")
            why = str(error).rstrip(".") if isinstance(error, TraceError) else f"{type(error).__name__} {error}"
            self.damaged[name] = TraceError(
                f"Segment {path} can't be read at byte {offset} ({why}): upgrade with pip install -U maieutic if a "
                "newer version wrote it, or move it out of the directory to read the others."
            )
            return
        lines.flush()
        self.notes += lines.notes
        self._database.execute("INSERT OR REPLACE INTO segments VALUES (?, ?)", [name, end])

    def _report(self, name: str, path: Path, offset: int, rest: int, torn: bool) -> None:
        if not torn:
            self.damaged[name] = TraceError(
                f"Segment {path} is damaged at byte {offset}: move it out of the directory to read the others."
            )
        elif not being_written(path):
            self.notes.append(f"Segment {name} ends in a torn line: {rest} bytes from byte {offset} on were dropped.")


class _Lines:
    """Gathers one segment's lines for the tables; neighbouring lines of a run become one span."""

    def __init__(self, database: sqlite3.Connection, segment: str) -> None:
        self._database = database
        self._segment = segment
        self._spans: list[list[Any]] = []
        self._last: dict[str, list[Any]] = {}
        self._calls: Counter[str] = Counter()
        self._begun: set[str] = set()
        self._again: set[str] = set()

    def add(self, payload: bytes, offset: int, length: int) -> None:
        kind, run_id = head_of(payload)
        if kind == "run":
            new = self._begin(run_id, parse(payload)["data"], offset)
            (self._begun if new else self._again).add(run_id)
        if run_id in self._again:
            return
        last = self._last.get(run_id)
        if last is not None and last[2] + last[3] == offset:
            last[3] += length
        else:
            self._last[run_id] = [run_id, self._segment, offset, length]
            self._spans.append(self._last[run_id])
        if kind == "call":
            self._calls[run_id] += 1
        elif kind in ("verdict", "finish"):
            self._end(kind, run_id, parse(payload))

    def flush(self) -> None:
        self._database.executemany("INSERT INTO spans VALUES (?, ?, ?, ?)", self._spans)
        counts = [(number, run_id) for run_id, number in self._calls.items()]
        self._database.executemany("UPDATE runs SET calls = calls + ? WHERE run_id = ?", counts)
        others = [(run_id, run_id) for run_id in self._last if run_id not in self._begun]
        self._database.executemany(
            "INSERT OR IGNORE INTO headless SELECT ? WHERE NOT EXISTS (SELECT 1 FROM runs WHERE run_id = ?)", others
        )

    @property
    def notes(self) -> list[str]:
        if not self._again:
            return []
        return [
            f"Segment {self._segment} begins {len(self._again)} runs of which there is one already, such as "
            f"{min(self._again)}: only the first is read, since ids of runs must differ."
        ]

    def _begin(self, run_id: str, header: dict[str, Any], offset: int) -> bool:
        """Take in a run's header; False where there is a run of this id."""
        row = {
            **{name: header.get(name) for name in _COLUMNS},
            "models": ",".join(header["models"]),
            "group_samples": ((header.get("asked") or {}).get("group") or {}).get("samples"),
            "calls": 0,
            "segment": self._segment,
            "offset": offset,
        }
        names = ", ".join(row)
        query = f"INSERT OR IGNORE INTO runs ({names}) VALUES ({', '.join('?' * len(row))})"
        return self._database.execute(query, list(row.values())).rowcount > 0

    def _end(self, kind: str, run_id: str, line: dict[str, Any]) -> None:
        data = line["data"]
        values: dict[str, Any] = {}
        if data.get("outcome") is not None and data.get("scope", "run") == "run":
            values = {"outcome": data["outcome"], "score": data.get("score")}
        if kind == "finish":
            usage = data.get("usage") or {}
            values |= {"finished": line["t"], "partial": data.get("partial")}
            values |= {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
        if values:
            assignments = ", ".join(f"{name} = ?" for name in values)
            self._database.execute(f"UPDATE runs SET {assignments} WHERE run_id = ?", [*values.values(), run_id])


def _summary(row: tuple[Any, ...]) -> RunSummary:
    fields = dict(zip(_COLUMNS, row, strict=True))
    fields["oracle"] = bool(fields["oracle"])
    fields["partial"] = None if fields["partial"] is None else bool(fields["partial"])
    fields["outcome"] = None if fields["outcome"] is None else _outcome(fields["run_id"], fields["outcome"])
    return RunSummary(**fields)


def _outcome(run_id: str, said: str) -> Outcome:
    try:
        return Outcome(said)
    except ValueError:
        raise TraceError(
            f"Run {run_id} has the outcome {said!r}, which this Maieutic doesn't know: upgrade it with pip install -U "
            "maieutic."
        ) from None


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError:
        return _recreate(path)


def _connect(path: Path | str) -> sqlite3.Connection:
    unclean = _left_open(path)
    database = sqlite3.connect(path, timeout=30)
    try:
        if database.execute("PRAGMA user_version").fetchone()[0] not in (0, _MAKE):
            raise _Stale("it is of another make")
        if unclean and database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise _Stale("its pages are damaged")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_TABLES)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def _left_open(path: Path | str) -> bool:
    """Whether the last one to use the index was killed, or somebody still does. Checking all pages takes seconds where
    there are many runs; what else is damaged shows when it is read, and is rebuilt then."""
    try:
        return path != ":memory:" and Path(f"{path}-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def _recreate(path: Path) -> sqlite3.Connection:
    """A new index in place of one that can't be used; in memory where the directory takes none."""
    try:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connect(path)
    except (OSError, sqlite3.DatabaseError):
        return _connect(":memory:")
