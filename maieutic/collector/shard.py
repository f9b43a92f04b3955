"""One part of n of a collection, for machines that share nothing but the task file: `--shard I/N`, as in a Slurm array.

A task belongs to a shard by its id alone, so that tasks added later move nothing. Every shard is a collection of its
own, in a folder of its own; what reads the directory above them reads all of them as one.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from maieutic.errors import UserError
from maieutic.tasks.task import Task

_FOLDER = re.compile(r"shard-(\d+)-of-(\d+)")
_PATTERN = "shard-*-of-*"


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` (from 0) of `of`."""

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`3/16`. Raises UserError for anything else."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if found is None or int(found[1]) >= int(found[2]):
            raise UserError(f"The shard {text!r} can't be used: give I/N with I from 0 to N-1, such as 0/16.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @property
    def folder(self) -> str:
        return f"shard-{self.index:04}-of-{self.of:04}"

    def takes(self, task: str) -> bool:
        """Whether the task of this id belongs to it."""
        digest = hashlib.blake2b(task.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of == self.index

    def of_tasks(self, tasks: Iterable[Task]) -> list[Task]:
        return [task for task in tasks if self.takes(task.id)]


def shards_in(out: Path) -> list[Path]:
    """The folders of the shards that have begun, in order."""
    return sorted(path for path in Path(out).glob(_PATTERN) if _FOLDER.fullmatch(path.name) and path.is_dir())


def shards_among(names: Iterable[str]) -> set[int]:
    """Of how many shards the folders among these names are."""
    return {int(found[2]) for name in names if (found := _FOLDER.fullmatch(name))}


def refuse_mixture(out: str | Path, names: Iterable[str], shard: Shard | None) -> None:
    """UserError where `out`, in which these `names` are, was divided otherwise."""
    names = set(names)
    begun = shards_among(names)
    if shard is None and begun:
        raise UserError(f"{out} holds shards of {max(begun)}: give --shard I/{max(begun)}, or another directory.")
    if shard is not None and "collect.json" in names:
        raise UserError(f"{out} was started without shards: leave --shard out, or give another directory.")
    if shard is not None and begun - {shard.of}:
        other = max(begun - {shard.of})
        raise UserError(f"{out} holds shards of {other}: give --shard I/{other}, or another directory.")
