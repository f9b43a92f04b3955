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
from maieutic.recipes.places import brought
from maieutic.recipes.recipe import Tally, find_recipe
from maieutic.recipes.teaching import task_of
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.url_store import is_url

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
    are those of `collect`. Starting again goes on with what is still open. `dirs` may be URLs that fsspec knows, and
    are then brought first; `out` is a directory. Raises AsksNothing where the recipe asks nothing, UserError where it
    asks the student and none is named.
    """
    if is_url(out):
        raise UserError(f"Replies are kept in a directory of this machine: give one in place of {out}.")
    find_recipe(recipe, recipe_settings)  # what is wrong with it is said before anything is brought
    known = {task.id: task for task in load_tasks(tasks)[0]} if tasks is not None else {}
    with brought(dirs) as roots:
        asking = _Asking([str(place) for place in dirs], roots, recipe, recipe_settings or {}, Path(out))
        return await _teach(asking, known, {"teacher": model, "student": student}, rounds, options)


@dataclass(slots=True)
class _Asking:
    """Whose questions are asked about which traces, as they were `named` and where they lie, and where the replies are.
    `seen` tells whether there were any runs."""

    named: Sequence[str]
    roots: Sequence[Path]
    recipe: str
    settings: Mapping[str, Any]
    out: Path
    seen: bool = False

    def left(self) -> list[Ask]:
        """What is asked and has no reply yet, each thing once."""
        with ExitStack() as stack:
            readers = [stack.enter_context(TraceReader(root)) for root in (*self.roots, *folders(self.out))]
            self.seen = any(True for reader in readers for _ in reader.runs())
            items = find_recipe(self.recipe, self.settings)(Candidates(readers), Tally())
            return list({item.id: item for item in items if isinstance(item, Ask)}.values())


async def _teach(
    asking: _Asking,
    known: Mapping[str, Task],
    models: Mapping[str, str | Model | None],
    rounds: int,
    options: Mapping[str, Any],
) -> TeachReport:
    out, recipe = asking.out, asking.recipe
    replies = asked = 0
    before: set[str] = set()
    for number in range(rounds):
        wanted = asking.left()
        if not wanted and number == 0 and not folders(out):
            if not asking.seen:
                raise AsksNothing(f"There are no runs in {', '.join(asking.named)}: there is nothing to ask about.")
            raise AsksNothing(f"The recipe {recipe} asks nothing: maieutic export takes it as it is.")
        if not wanted or {ask.id for ask in wanted} == before:
            return TeachReport(out, number, replies, len(wanted), "the rest was not answered" if wanted else None)
        before = {ask.id for ask in wanted}
        for who, name in models.items():
            chosen = [task_of(ask, known) for ask in wanted if ask.who == who]
            if not chosen:
                continue
            if who == "student" and name is None:
                raise UserError(f"The recipe {recipe} asks the student, too: name its model with --student.")
            report = await _collected(chosen, out, who, name, options)
            replies, asked = replies + report.done, asked + len(chosen)
            if report.stopped:
                return TeachReport(out, number + 1, replies, len(wanted) - report.done, report.stopped, broken=True)
    left = len(asking.left())
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
