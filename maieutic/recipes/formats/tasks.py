"""`tasks`: prompts, and what a recipe asks a teacher, as lines of a task file that `maieutic collect` takes.

A trace has no gold answers: the lines have one only where the export was given the tasks (`--tasks`).
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.formats.messages import left_out
from maieutic.recipes.items import Ask, Item, Prompt
from maieutic.recipes.recipe import Row, Tally, row_format
from maieutic.recipes.teaching import task_of


@row_format("tasks")
def tasks(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Prompt):
            yield dict(item.task)
        elif isinstance(item, Ask):
            yield task_of(item).model_dump(mode="json", exclude_defaults=True)
        else:
            left_out(item, tally)
