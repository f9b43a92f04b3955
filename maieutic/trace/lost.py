"""The `Lost` noun: runs that were recorded in a directory and are not there any more, or not all of them.

Three things know of them: the index, which has seen a segment that is gone; lines whose run has no first line; and the
ledger of a collection, which names its finished runs.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LEDGER = "results.jsonl"
TABLES = """
CREATE TABLE IF NOT EXISTS gone (run_id TEXT, segment TEXT, PRIMARY KEY (run_id, segment)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS headless (run_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledgers (ledger TEXT PRIMARY KEY, size INTEGER NOT NULL);
CREATE TEMP TABLE IF NOT EXISTS named (run_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS missing (run_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""
"""Of the index: runs with lines in a segment that is gone, runs without their first line, what was read of ledgers, and
while it is open the runs that a ledger names and that are not there to their end."""
LOST = "(SELECT run_id FROM gone UNION SELECT run_id FROM headless UNION SELECT run_id FROM missing)"
_NAMED = re.compile(rb'"attempt":\d+,"run_id":"([^"\\]+)"')


@dataclass(frozen=True, slots=True)
class Lost:
    """`number` runs of `root`, of which `example` is one; the `segments` that are gone, and the `ledgers` that name
    some of the runs."""

    root: Path
    number: int
    example: str
    segments: Sequence[str]
    ledgers: Sequence[Path]

    def __str__(self) -> str:
        one = self.number == 1
        which = f"1 run recorded in {self.root} is" if one else f"{self.number} runs recorded in {self.root} are"
        example = self.example if one else f"such as {self.example}"
        return (
            f"{which} missing or not whole any more, {example} ({self._evidence()}): put the missing segments back "
            f"from a copy{self._instead()}; all others are read."
        )

    def about(self, run_id: str) -> str:
        """The sentence about one of them."""
        return (
            f"Run {run_id} is missing in {self.root} or not whole any more ({self._evidence()}): put the missing "
            "segments back from a copy."
        )

    def _evidence(self) -> str:
        if len(self.segments) > 1:
            return f"{len(self.segments)} segments are gone, such as {self.segments[0]}"
        if self.segments:
            return f"segment {self.segments[0]} is gone"
        return f"{self.ledgers[0]} names it" if self.ledgers else "its first line is gone"

    def _instead(self) -> str:
        if self.ledgers:
            return f", or take their lines out of {LEDGER} to have them collected anew"
        return ", or remove index.sqlite there if they are meant to be gone" if self.segments else ""


def sizes_of_ledgers(root: Path) -> dict[Path, int]:
    """The ledgers of the collection, or of the shards of one, whose traces are in `root`, and their bytes."""
    folders = [root, *([root.parent] if root.name == "traces" else []), *sorted(root.glob("shard-*-of-*"))]
    found = {}
    for folder in folders:
        try:
            found[folder / LEDGER] = (folder / LEDGER).stat().st_size
        except OSError:  # there is none, or it is not for us
            continue
    return found


def names_in(ledger: Path, start: int, end: int) -> Iterator[str]:
    """The ids of the runs that its whole lines before the byte `end` name, from `start` on, if a line begins there.
    None where it can't be read: whoever needs it says so."""
    try:
        with ledger.open("rb") as file:
            file.seek(max(0, start - 1))
            if start and file.read(1) != b"\n":
                file.seek(0)
            while (line := file.readline()).endswith(b"\n") and file.tell() <= end:
                if found := _NAMED.search(line):
                    yield found[1].decode()
    except OSError:
        return


def gone_with(database: sqlite3.Connection, segments: Mapping[str, Path]) -> list[tuple[str, str]]:
    """The runs that had lines in segments which the index knows and which are not there, and these: nothing else does.
    None from an index that is damaged."""
    found: list[tuple[str, str]] = []
    try:
        found += database.execute("SELECT run_id, segment FROM gone")
        for (name,) in database.execute("SELECT segment FROM segments").fetchall():
            if name not in segments:
                found += database.execute("SELECT DISTINCT run_id, segment FROM spans WHERE segment = ?", [name])
    except sqlite3.DatabaseError:
        return found
    return found


def has_back(database: sqlite3.Connection) -> bool:
    """Whether the first line of a run was found that had none; it counts as such no more."""
    back = "DELETE FROM headless WHERE EXISTS (SELECT 1 FROM runs WHERE runs.run_id = headless.run_id)"
    return database.execute(back).rowcount > 0


def lost_in(
    database: sqlite3.Connection,
    root: Path,
    segments: Mapping[str, Path],
    ledgers: Mapping[Path, int],
    damaged: bool,
) -> Lost | None:
    """What is missing of all that was in `root`, going by the `ledgers` up to their sizes, too. Where something is
    damaged, that is told and hides other runs, and only what was in segments that are gone is missing."""
    for (name,) in database.execute("SELECT DISTINCT segment FROM gone").fetchall():
        if name in segments:
            database.execute("DELETE FROM gone WHERE segment = ?", [name])
    database.execute("DELETE FROM missing")
    naming = [path for path, size in ledgers.items() if not _has_all_of(database, path, size)]
    lost = "(SELECT DISTINCT run_id FROM gone)" if damaged else LOST
    number, example = database.execute(f"SELECT count(*), min(run_id) FROM {lost}").fetchone()
    gone = [name for (name,) in database.execute("SELECT DISTINCT segment FROM gone ORDER BY segment")]
    return Lost(root, number, example, gone, naming) if number else None


def _has_all_of(database: sqlite3.Connection, ledger: Path, size: int) -> bool:
    """Whether all runs that a ledger names in its first `size` bytes are there, to their end; else the others are in
    `missing`. What it named before is not read again, unless some of it is missing."""
    row = database.execute("SELECT size FROM ledgers WHERE ledger = ?", [str(ledger)]).fetchone()
    start = row[0] if row is not None and row[0] <= size else 0
    if start == size:
        return True
    there = "SELECT 1 FROM runs WHERE runs.run_id = named.run_id AND finished IS NOT NULL"
    names = names_in(ledger, start, size)
    database.execute("DELETE FROM named")
    database.executemany("INSERT OR IGNORE INTO named VALUES (?)", ((name,) for name in names))
    database.execute(f"DELETE FROM named WHERE EXISTS ({there})")
    database.execute("INSERT OR IGNORE INTO missing SELECT run_id FROM named")
    if database.execute("SELECT 1 FROM named LIMIT 1").fetchone():
        return False
    database.execute("INSERT OR REPLACE INTO ledgers VALUES (?, ?)", [str(ledger), size])
    return True
