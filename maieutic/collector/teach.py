"""Teaching: what a recipe asks is collected, and the recipe runs again over the replies, until it asks nothing more."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.collector.front import collect
from maieutic.collector.report import CollectReport
from maieutic.errors import UserError
from maieutic.llm.model import Model
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.items import Ask
from maieutic.recipes.recipe import Tally, find_recipe
from maieutic.recipes.teaching import task_of
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader

_FOLDER = re.compile(r"(\d{3})-(?:teacher|student)")


class AsksNothing(UserError):
    """The recipe has nothing to ask about these traces."""


@dataclass(frozen=True, slots=True)
class TeachReport:
    """What was asked in how many rounds; `open` asks are left, and `stopped` says why where it ended early.

    `broken` says that asking was broken off (by whoever asked, or for a dead server): another start goes on.
    """

    out: Path
    rounds: int
    replies: int
    open: int
    stopped: str | None = None
    broken: bool = False


async def teach(
    dirs: Sequence[Path | str],
    recipe: str,
    *,
    out: Path | str,
    model: str | Model | None = None,
    student: str | Model | None = None,
    recipe_settings: Mapping[str, Any] | None = None,
    tasks: str | None = None,
    rounds: int = 8,
    **options: Any,
) -> TeachReport:
    """Collect under `out` what `recipe` asks about the traces in `dirs`, of `model`, the teacher, and of `student`.

    `tasks` names where the runs' tasks are from, so that solutions are checked against their gold answers. `options`
    are those of `collect`. Starting again goes on with what is still open. Raises AsksNothing where the recipe asks
    nothing, UserError where it asks the student and none is named.
    """
    out = Path(out)
    known = {task.id: task for task in load_tasks(tasks)[0]} if tasks is not None else {}
    replies = asked = 0
    before: set[str] = set()
    for number in range(rounds):
        wanted = _asks([*map(Path, dirs), *folders(out)], recipe, recipe_settings or {})
        if not wanted and number == 0 and not folders(out):
            raise AsksNothing(f"The recipe {recipe} asks nothing: maieutic export takes it as it is.")
        if not wanted or {ask.id for ask in wanted} == before:
            return TeachReport(out, number, replies, len(wanted), "the rest was not answered" if wanted else None)
        before = {ask.id for ask in wanted}
        for who, name in (("teacher", model), ("student", student)):
            chosen = [task_of(ask, known) for ask in wanted if ask.who == who]
            if not chosen:
                continue
            if who == "student" and name is None:
                raise UserError(f"The recipe {recipe} asks the student, too: name its model with --student.")
            report = await _collected(chosen, out, who, name, options)
            replies, asked = replies + report.done, asked + len(chosen)
            if report.stopped:
                return TeachReport(out, number + 1, replies, len(wanted) - report.done, report.stopped, broken=True)
    left = len(_asks([*map(Path, dirs), *folders(out)], recipe, recipe_settings or {}))
    return TeachReport(out, rounds, replies, left, f"{rounds} rounds were not enough" if left else None)


def folders(out: Path) -> list[Path]:
    """The collections of replies in `out`, in their order."""
    return sorted(path for path in out.glob("*") if _FOLDER.fullmatch(path.name))


async def _collected(
    tasks: list[Task], out: Path, who: str, model: str | Model | None, options: Mapping[str, Any]
) -> CollectReport:
    """One round's asks of one model, in a folder of its own, since a later start asks other things."""
    last = max((int(path.name[:3]) for path in folders(out)), default=0)
    return await collect(tasks, out=out / f"{last + 1:03}-{who}", model=model, **options)


def _asks(roots: Sequence[Path], recipe: str, settings: Mapping[str, Any]) -> list[Ask]:
    """What the recipe asks about these traces, each thing once."""
    with ExitStack() as stack:
        readers = [stack.enter_context(TraceReader(root)) for root in roots]
        items = find_recipe(recipe, settings)(Candidates(readers), Tally())
        return list({item.id: item for item in items if isinstance(item, Ask)}.values())
