"""What a collection was asked for: `collect.json`, so that a second start goes on with the same thing or is refused."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from maieutic.collector.claim import LOCK
from maieutic.errors import TraceError, UserError
from maieutic.tasks.task import Task
from maieutic.trace.lost import LEDGER

FILE = "collect.json"
FORMAT_VERSION = 1
_TEMPORARY = f".{FILE}.tmp"
_MARKS = (LOCK, ".remote.lock", ".remote.json", ".remote.json.tmp", _TEMPORARY)  # what a start that was killed leaves
_GROWS = ("source", "samples", "tasks", "created", "format")  # what a later start may change; tasks only by adding


@dataclass(frozen=True)
class Manifest:
    """`tasks` maps each task's id to a fingerprint of its content, gold included; `created` is seconds since the epoch.

    `source` is what was asked for last: a file that was moved is still the same tasks.
    """

    source: str
    tasks: dict[str, str]
    graph: str
    graph_settings: dict[str, Any]
    model: str
    tools: list[str]
    sampling: dict[str, Any]
    budget: dict[str, Any]
    samples: int
    seed: int
    created: float
    format: int = FORMAT_VERSION
    oracle: bool = False
    shard: str | None = None
    stop_group_at: int | None = None
    stop_group_agreed: int | None = None
    models: dict[str, str] = field(default_factory=dict)  # of single roles


def fingerprints(tasks: Sequence[Task]) -> dict[str, str]:
    """A fingerprint of every task by its id."""
    contents = {t.id: json.dumps(t.model_dump(), sort_keys=True).encode("ascii") for t in tasks}
    return {task: hashlib.blake2b(content, digest_size=8).hexdigest() for task, content in contents.items()}


def refuse_foreign(out: Path) -> None:
    """UserError where `out` is something else than a collection, an empty directory or nothing yet."""
    try:
        if not out.exists() or (out / FILE).exists():
            return
        foreign = not out.is_dir() or any(path.is_file() and path.name not in _MARKS for path in out.rglob("*"))
        lost = (out / LEDGER).is_file()
    except OSError as error:
        raise UserError(
            f"{out} can't be read ({error.strerror}): give yourself the right to it, or give another directory."
        ) from error
    if lost:
        raise UserError(
            f"{out} has lost its {FILE}, so that it can't be gone on with: put it back from a copy, or give another "
            "directory; maieutic export still reads its runs."
        )
    if foreign:
        raise UserError(f"{out} is there and is not a collection: give a new directory, or an empty one.")


def settle(out: Path, asked: Manifest) -> None:
    """Write the manifest of a new collection, or see whether `asked` goes on with the one that is there.

    UserError with one sentence saying what differs.
    """
    path = out / FILE
    if not path.exists():
        _write(path, asked)
        return
    before = _load(path)
    differing = [name for name in _names() if name not in _GROWS and _plain(asked, name) != _plain(before, name)]
    if differing:
        name = differing[0]
        raise _refusal(out, f"{name} {_shown(before, name)}, and now {_shown(asked, name)} is asked for")
    gone = before.tasks.keys() - asked.tasks.keys()
    if gone:
        raise _refusal(out, f"{len(before.tasks)} tasks, of which {len(gone)} are missing now, such as {min(gone)!r}")
    changed = [task for task, print_ in before.tasks.items() if asked.tasks[task] != print_]
    if changed:
        raise _refusal(out, f"another task under the id {changed[0]!r}")
    if asked.samples < before.samples:
        raise _refusal(out, f"samples {before.samples}, and now {asked.samples} is asked for")
    _write(path, Manifest(**{**asdict(asked), "created": before.created}))


def _names() -> list[str]:
    return [f.name for f in fields(Manifest)]


def _plain(manifest: Manifest, name: str) -> Any:
    return json.loads(json.dumps(getattr(manifest, name)))


def _shown(manifest: Manifest, name: str) -> str:
    value = getattr(manifest, name)
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={v}" for k, v in value.items() if v is not None) or "none"
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)


def _refusal(out: Path, difference: str) -> UserError:
    return UserError(f"{out} was started with {difference}: ask for the same, or give another directory.")


def _load(path: Path) -> Manifest:
    try:
        data = json.loads(path.read_bytes())
        version = data["format"]
        if version > FORMAT_VERSION:
            raise TraceError(
                f"{path} is of format {version}, newer than this Maieutic reads: upgrade with pip install -U maieutic."
            )
        if not isinstance(data["tasks"], dict):
            raise TypeError("tasks is not an object")
        return Manifest(**data)
    except OSError as error:
        raise UserError(
            f"{path} can't be read ({error.strerror}): give yourself the right to it, or give another directory."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(f"{path} is damaged ({error}): give another directory.") from error


def _write(path: Path, manifest: Manifest) -> None:
    temporary = path.with_name(_TEMPORARY)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(asdict(manifest), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise TraceError(f"{path} can't be written ({error.strerror}): free some space, and start again.") from error
