"""A round's teacher: what the recipes ask is answered, in the round's folder, by the machinery of `maieutic teach`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.budget import Budget
from maieutic.collector.teach import AsksNothing, folders, teach
from maieutic.improve.plan import Plan, recipe_of
from maieutic.improve.steps import Steps
from maieutic.recipes.recipe import asks
from maieutic.trace.reader import TraceReader


@dataclass(frozen=True, slots=True)
class Lesson:
    """A round's runs, in `folder`, on tasks of `source`, by the model `student`, whom some recipes ask, too."""

    plan: Plan
    folder: Path
    source: str
    student: str
    seed: int

    async def ask(self, graphs: Iterable[Mapping[str, Any]], steps: Steps, **options: Any) -> list[dict[str, Any]]:
        """Every recipe that asks, about every graph's runs: how many replies there are and what they took, those of
        earlier starts included. `options` are those of `collect`. Raises Stopped where it is broken off."""
        found = []
        for graph in graphs:
            for place, recipe in enumerate(self.plan.recipes):
                if asks(recipe_of(recipe)[0]):
                    out = replies_in(self.folder, graph["folder"], place)
                    traces = self.folder / "collect" / graph["folder"]
                    left = await self._asked(recipe, traces, out, steps, options)
                    found.append({"graph": graph["graph"], "recipe": recipe, "open": left, **_spent(out)})
        return found

    async def _asked(self, recipe: str, traces: Path, out: Path, steps: Steps, options: Mapping[str, Any]) -> int:
        """How many questions have no reply at the end."""
        name, settings = recipe_of(recipe)
        tokens = self.plan.teacher_tokens
        try:
            report = await teach(
                [traces],
                name,
                out=out,
                model=self.plan.teacher,
                student=self.student,
                recipe_settings=settings,
                tasks=self.source,
                seed=self.seed,
                budget=None if tokens is None else Budget(tokens=tokens),
                stop=steps.stop,
                **options,
            )
        except AsksNothing:
            return 0
        steps.go_on(report.stopped if report.broken else None)
        return report.open


def replies_in(folder: Path, graph: str, recipe: int) -> Path:
    """Where the replies to the recipe of this place in the plan are, about the runs of a graph's folder."""
    return folder / "teach" / f"{graph}-{recipe:02}"


def _spent(out: Path) -> dict[str, int]:
    """Whole replies, and all tokens, prompts included, of the teacher and of the student."""
    spent = {"replies": 0, "tokens": 0, "student_replies": 0, "student_tokens": 0}
    for folder in folders(out):
        who = "student_" if folder.name.endswith("student") else ""
        with TraceReader(folder) as reader:
            for run in reader.runs():
                spent[f"{who}replies"] += run.partial is False
                spent[f"{who}tokens"] += (run.prompt_tokens or 0) + (run.completion_tokens or 0)
    return spent
