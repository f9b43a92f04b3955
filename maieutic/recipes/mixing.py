"""What an export adds to a recipe's items and rows: gold answers from the tasks, and older rows against forgetting.

Replay: GeRe (Zhang et al. 2025, arXiv 2508.04676) mixes a fixed set of general texts into every fine-tuning; MER
(Abbes et al. 2025, arXiv 2508.01908) a quarter to a half of old data. Only the mixing is here; what either adds to the
loss is the trainer's.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from maieutic.errors import UserError
from maieutic.recipes.groups import chance
from maieutic.recipes.items import Item, Prompt
from maieutic.recipes.seen import Seen
from maieutic.recipes.storage import beside, remove, stripped

_OPTIONAL = {"tools", "token_ids", "unfinished"}


def checked(items: Iterable[Item], tasks: str | None) -> Iterator[Item]:
    """The items, prompts with the gold answer and the verifier of their task where `tasks` has it.

    Raises UserError where a task of the same id asks something else: then these are not the tasks of those runs.
    """
    if tasks is None:
        yield from items
        return
    from maieutic.tasks.source import load_tasks

    known = {task.id: task for task in load_tasks(tasks)[0]}
    for item in items:
        if isinstance(item, Prompt) and (task := known.get(str(item.task.get("id")))) is not None:
            if item.task.get("question", task.question) != task.question:
                raise UserError(f"Task {task.id} of {tasks} asks something else than the runs: give theirs.")
            item = replace(item, task=task.model_dump(mode="json", exclude_defaults=True))
        yield item


def mix_in(new: Path, old: Path, share: float) -> int:
    """Put rows of `old` among those of `new`, so that they are `share` of all, and how many these were.

    They are drawn and placed at random, but the same every time. A row that is among the new ones is not drawn; where
    there are too few, all are taken. The rows are never all in memory. Raises UserError where `share` is no share below
    1, or the rows are of another format.
    """
    if not 0 <= share < 1:
        raise UserError(f"The share of replayed rows is {share:g}: give one from 0 to below 1, such as 0.2.")
    others, mixed = beside(new, "older"), beside(new, "mixed")
    try:
        number, there = _others(new, old, others)
        drawn = min(there, round(number * share / (1 - share)))
        draw = chance("replay", number, share)
        with new.open("rb") as rows, others.open("rb") as older, mixed.open("wb") as file:
            replayed = _some(older, there, drawn, draw)
            left = drawn
            for row in stripped(rows):
                while draw.random() * (left + number) < left:
                    file.write(next(replayed) + b"\n")
                    left -= 1
                file.write(row + b"\n")
                number -= 1
            file.writelines(row + b"\n" for row in replayed)
            file.flush()
            os.fsync(file.fileno())
        os.replace(mixed, new)
    finally:
        remove(others)
        remove(mixed)
    return drawn


def _others(new: Path, old: Path, out: Path) -> tuple[int, int]:
    """Write the older rows that are not among the new ones to `out`, each once; how many there are of either kind."""
    number = there = 0
    with Seen() as seen, out.open("wb") as file:
        first = b""
        with new.open("rb") as rows:
            for row in stripped(rows):
                number += 1
                first = first or row
                seen.add(row)
        try:
            with old.open("rb") as rows:
                for row in stripped(rows):
                    if not seen.add(row):
                        continue
                    if not there and _columns(row) != _columns(first):
                        raise UserError(
                            f"The rows of {old} are of another format than the new ones: export both in the same one."
                        )
                    there += 1
                    file.write(row + b"\n")
        except OSError as error:
            raise UserError(
                f"Rows to replay can't be read from {old} ({error.strerror}): give a file of rows."
            ) from error
    return number, there


def _some(rows: Iterable[bytes], there: int, wanted: int, draw: Random) -> Iterator[bytes]:
    """So many of `there` rows, each set of them as likely as any other, in their order (Knuth's algorithm S)."""
    for row in stripped(rows):
        if draw.random() * there < wanted:
            wanted -= 1
            yield row
        there -= 1


def _columns(line: bytes) -> list[str] | None:
    """The names of a row's columns, but for those that not every row has; None for a line that is no row."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return sorted(set(row) - _OPTIONAL) if isinstance(row, dict) else None
