"""Traces written run by run, what recipes make of them, and teachers that are scripted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from maieutic.collector.teach import TeachReport, folders, teach
from maieutic.llm.model import Model
from maieutic.llm.scripted import ScriptedModel
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.items import Ask, Item
from maieutic.recipes.recipe import Tally, find_recipe
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import EventKind
from maieutic.trace.writer import TraceStore
from maieutic.types import Request, Usage
from tests.trace.builders import call, header

Event = tuple[EventKind, dict[str, Any]]


class Runs:
    """A trace that is written run by run, and what a recipe makes of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._numbers = count()

    def add(
        self,
        answer: str | None,
        outcome: str | None,
        *,
        task: str = "t1",
        calls: list[Any] | None = None,
        events: Iterable[Event] = (),
        answer_call: str | None = None,
        asked: dict[str, Any] | None = None,
        rules: dict[str, Any] | None = None,
        **head: Any,
    ) -> str:
        number = next(self._numbers)
        run_id = head.pop("run_id", f"r{number:03}")
        made = calls or [call(run_id, "a", text=f"So.\nAnswer: {answer}" if answer else "Hm.")]
        known = {"task_key": task, "group_id": f"{task}/g", "sample": number, "started": float(number), **head}
        known["task"] = asked or {"id": task, "question": "2+2?", "answer_type": "number"}
        known["asked"] = rules or {}
        ended = answer_call or made[-1].call_id
        with TraceStore(self.root) as store:
            run = store.open_run(header(run_id, **known))
            for one in made:
                run.call(replace(one, run_id=run_id))
            for kind, fields in events:
                run.write(kind, **fields)
            run.finish(answer=answer, answer_call=ended, outcome=outcome, partial=False, usage=Usage(1, 10, 5))
        return run_id

    def through(self, recipe: str, **settings: Any) -> tuple[list[Item], Tally]:
        return through([self.root], recipe, **settings)


def through(roots: list[Path], recipe: str, **settings: Any) -> tuple[list[Item], Tally]:
    """What a recipe makes of traces; every run is either kept or dropped."""
    tally = Tally()
    readers = [TraceReader(root) for root in roots]
    try:
        items = list(find_recipe(recipe, settings)(Candidates(readers), tally))
    finally:
        for reader in readers:
            reader.close()
    assert tally.seen == tally.kept + tally.dropped.total()
    assert tally.kept >= 0
    return items, tally


def by_words(replies: Mapping[str, str | list[str]]) -> ScriptedModel:
    """A model that answers by what stands in the question; the replies of a list in turn, the last one for good."""
    count: Counter[str] = Counter()

    def reply(request: Request) -> str:
        asked = str(request.messages[-1]["content"])
        word = next(word for word in replies if word in asked)
        said = replies[word]
        count[word] += 1
        return said if isinstance(said, str) else said[min(count[word], len(said)) - 1]

    return ScriptedModel(reply)


class Taught:
    """A recipe that asks, a scripted teacher, and the rows that come of it."""

    def __init__(self, runs: Runs, out: Path) -> None:
        self.runs, self.out = runs, out

    async def ask(self, recipe: str, model: Model, student: Model | None = None, **settings: Any) -> TeachReport:
        return await teach(
            [self.runs.root], recipe, out=self.out, model=model, student=student, recipe_settings=settings
        )

    def rows(self, recipe: str, **settings: Any) -> tuple[list[Item], Tally]:
        """The finished items: none of them may still ask."""
        items, tally = through([self.runs.root, *folders(self.out)], recipe, **settings)
        assert not any(isinstance(item, Ask) for item in items)
        return items, tally
