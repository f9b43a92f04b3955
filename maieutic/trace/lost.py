"""The `Lost` noun: runs that were recorded in a directory and are not there any more, or not all of them.

Three things know of them: the index, which has seen a segment that is gone; lines whose run has no first line; and the
ledger of a collection, which names its finished runs.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LEDGER = "results.jsonl"
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
