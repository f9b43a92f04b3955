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

from maieutic.errors import UserError
from maieutic.recipes.groups import chance
from maieutic.recipes.items import Item, Prompt


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
    there are too few, all are taken. Raises UserError where `share` is no share below 1, or the rows are of another
    format.
    """
    if not 0 <= share < 1:
        raise UserError(f"The share of replayed rows is {share:g}: give one from 0 to below 1, such as 0.2.")
    rows = new.read_bytes().splitlines()
    try:
        known = set(rows)
        olds = [line for line in dict.fromkeys(old.read_bytes().splitlines()) if line.strip() and line not in known]
    except OSError as error:
        raise UserError(f"Rows to replay can't be read from {old} ({error.strerror}): give a file of rows.") from error
    if olds and _columns(olds[0]) != _columns(rows[0]):
        raise UserError(f"The rows of {old} are of another format than the new ones: export both in the same one.")
    chosen = chance("replay", len(rows), share)
    drawn = chosen.sample(olds, min(len(olds), round(len(rows) * share / (1 - share))))
    places = [True] * len(drawn) + [False] * len(rows)
    chosen.shuffle(places)
    sources = {True: iter(drawn), False: iter(rows)}
    with new.open("wb") as file:
        for from_old in places:
            file.write(next(sources[from_old]) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return len(drawn)


def _columns(line: bytes) -> list[str] | None:
    """The names of a row's columns, but for those that not every row has; None for a line that is no row."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return sorted(set(row) - {"tools"}) if isinstance(row, dict) else None
