"""The loop: collect, gate, train, measure, promote or roll back, again. Whatever is done is done once.

OUT/plan.json                      what was asked for
OUT/rounds/01/collect/…            a collection for each graph; teach/ replies; rows/ rows; model/ what was trained
OUT/rounds/01/*.json               a mark for each step that is done: collected, taught, rows, trained, decision
OUT/versions/01/                   what was measured of version 1, which round 1 has trained; 00 is the model's own
OUT/rehearsal/                     older tasks as the first version solves them, to be mixed into later rows
"""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maieutic.collector import collect
from maieutic.collector.claim import claimed
from maieutic.collector.report import Progress
from maieutic.collector.teach import folders
from maieutic.errors import MaieuticError
from maieutic.evals.plan import Cell, Contender
from maieutic.gate.rules import Rules
from maieutic.gate.tokenizer import decoder
from maieutic.improve import sources
from maieutic.improve.curriculum import choose
from maieutic.improve.measure import Measured, measure, measured_before
from maieutic.improve.plan import Plan, recipe_of, settle
from maieutic.improve.promotion import Decision, decide
from maieutic.improve.rows import fits, join, make_rows, mix
from maieutic.improve.steps import OnStep, Steps, Stopped
from maieutic.improve.teaching import Lesson, replies_in
from maieutic.improve.trainer import Trainer
from maieutic.improve.version import Shelf, Version
from maieutic.llm.registry import find_profile
from maieutic.recipes.recipe import asks
from maieutic.serving.files import write_whole
from maieutic.settings import Settings, load_settings

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Round:
    """One round: what it was trained on (`source`, as it is measured), what became of its runs and rows, and how it
    ended. `taught` is what a teacher was asked; `trained` and `after` are None where there was nothing to train on."""

    number: int
    source: str
    collected: dict[str, Any]
    taught: list[dict[str, Any]]
    rows: dict[str, Any]
    trained: dict[str, Any] | None
    after: dict[str, Measured] | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class Improvement:
    """A loop as far as it has come. `first` are the figures of the model as it was, `kept` is the version in force.

    `ended` says why there were fewer rounds than asked for, `stopped` why it ended before its end; else they are None.
    """

    out: Path
    plan: Plan
    first: dict[str, Measured] | None
    rounds: tuple[Round, ...]
    kept: Version
    ended: str | None
    stopped: str | None


async def improve(
    plan: Plan,
    out: Path,
    trainer: Trainer,
    shelf: Shelf,
    *,
    concurrency: int = 32,
    settings: Settings | None = None,
    on_step: OnStep | None = None,
    on_progress: OnProgress | None = None,
    stop: asyncio.Event | None = None,
) -> Improvement:
    """Carry out a plan in the folder `out`; the same plan again goes on where it was killed or stopped.

    Raises UserError for what can't be done as written before anything runs, MaieuticError where a training fails.
    """
    await asyncio.to_thread(plan.check)
    settings = settings or load_settings()
    if plan.teacher is not None:
        find_profile(plan.teacher, settings)
    trainer.check(shelf.first())
    fits(plan.recipes, trainer)
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    steps = Steps(out, stop or asyncio.Event(), on_step)
    with claimed(out):
        settle(out, plan, repr(trainer), shelf.first().weights)
        loop = _Loop(plan, steps, trainer, shelf, settings, concurrency, on_progress)
        return await loop.run()


class _Loop:
    def __init__(
        self,
        plan: Plan,
        steps: Steps,
        trainer: Trainer,
        shelf: Shelf,
        settings: Settings,
        concurrency: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._plan = plan
        self._steps = steps
        self._trainer = trainer
        self._shelf = shelf
        self._settings = settings
        self._concurrency = concurrency
        self._on_progress = on_progress
        self._first = self._kept = shelf.first()
        self._rules = _rules(plan, self._first)

    async def run(self) -> Improvement:
        rounds: list[Round] = []
        first = ended = stopped = None
        try:
            first = figures = await self._measured(self._first)
            await self._rehearse()
            for number in range(1, self._plan.rounds + 1):
                place = choose(figures, self._plan.held, self._plan.threshold, self._plan.curriculum)
                if place is None:
                    ended = f"Every source is solved at {self._plan.threshold:.0%} or more after round {number - 1}."
                    break
                done, version = await self._round(number, place, figures)
                rounds.append(done)
                if done.decision.promoted and version is not None and done.after is not None:
                    self._kept, figures = version, done.after
            await self._up(self._kept)
        except Stopped as early:
            stopped = str(early)
        return Improvement(self._steps.out, self._plan, first, tuple(rounds), self._kept, ended, stopped)

    async def _round(self, number: int, place: int, before: dict[str, Measured]) -> tuple[Round, Version | None]:
        folder = self._folder(number)
        source = sources.training(self._plan.sources[place], number)
        held = self._plan.held[place]
        collected = await self._collected(number, folder, source)
        taught = await self._taught(number, folder, source, collected["graphs"])
        rows = await self._steps.once(
            folder / "rows.json",
            f"round {number}: make rows",
            lambda: asyncio.to_thread(self._rows, number, folder, source, collected["graphs"]),
        )
        if not rows["rows"]:
            nothing = Decision(False, ("Nothing to train on: no row came of this round's runs.",))
            return Round(number, held, collected, taught, rows, None, None, nothing), None
        trained = await self._steps.once(
            folder / "trained.json",
            f"round {number}: train on {rows['rows']} rows",
            lambda: self._train(number, folder),
        )
        version = await asyncio.to_thread(self._shelf.version, number, folder / "model")
        after = await self._measured(version)
        mark = folder / "decision.json"
        decided = await self._steps.once(mark, f"round {number}: decide", lambda: self._decide(before, after, place))
        decision = Decision.from_json(decided)
        if not decision.promoted:  # also where it was killed just before
            await asyncio.to_thread(self._shelf.withdraw, version)
        return Round(number, held, collected, taught, rows, trained, after, decision), version

    async def _collected(self, number: int, folder: Path, source: str) -> dict[str, Any]:
        async def work() -> dict[str, Any]:
            await self._up(self._kept)
            found = []
            for contender in self._plan.contenders():
                found.append(await self._collect(folder / "collect", source, contender, self._plan.samples, number))
            return {"source": source, "version": self._kept.number, "weights": self._kept.weights, "graphs": found}

        return await self._steps.once(folder / "collected.json", f"round {number}: collect {source}", work)

    async def _collect(
        self, folder: Path, source: str, contender: Contender, samples: int, number: int
    ) -> dict[str, Any]:
        cell = Cell(source, self._kept.model, contender)
        report = await collect(
            source,
            out=folder / cell.folder,
            graph=contender.graph,
            model=self._kept.model,
            graph_settings=contender.settings,
            tools=contender.tools,
            sampling=contender.sampling,
            samples=samples,
            seed=self._plan.seed + number,
            concurrency=self._concurrency,
            settings=self._settings,
            on_progress=self._on_progress,
            stop=self._steps.stop,
        )
        self._steps.go_on(report.stopped)
        right = report.summary.accuracy
        return {
            "graph": contender.label,
            "folder": cell.folder,
            "runs": report.done,
            "failed": report.failed,
            "outcomes": {outcome.value: n for outcome, n in report.summary.outcomes.items()},
            "accuracy": None if right is None else right.percent(),
            "tokens": report.summary.usage.tokens,
        }

    async def _taught(
        self, number: int, folder: Path, source: str, graphs: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        if not any(asks(recipe_of(recipe)[0]) for recipe in self._plan.recipes):
            return []
        lesson = Lesson(self._plan, folder, source, self._kept.model, self._plan.seed + number)

        async def work() -> dict[str, Any]:
            await self._up(self._kept)  # some recipes ask the student, too
            options = {"concurrency": self._concurrency, "settings": self._settings, "on_progress": self._on_progress}
            return {"taught": await lesson.ask(graphs, self._steps, **options)}

        what = f"round {number}: ask {self._plan.teacher}"
        taught: list[dict[str, Any]] = (await self._steps.once(folder / "taught.json", what, work))["taught"]
        return taught

    def _rows(self, number: int, folder: Path, source: str, graphs: list[dict[str, Any]]) -> dict[str, Any]:
        """Every graph's runs through every recipe; then what this round is trained on."""
        place = folder / "rows"
        place.mkdir(exist_ok=True)
        made: list[dict[str, Any]] = []
        for graph in graphs:
            for index, recipe in enumerate(self._plan.recipes):
                file = place / f"made-{len(made):02}.jsonl"
                file.unlink(missing_ok=True)
                traces = folder / "collect" / graph["folder"]
                asked = asks(recipe_of(recipe)[0])
                replies = folders(replies_in(folder, graph["folder"], index)) if asked else None
                facts = make_rows(traces, recipe, self._trainer.format, file, self._rules, source, replies)
                made.append({"graph": graph["graph"], **facts})
        earlier = [self._folder(n) / "rows" / "new.jsonl" for n in range(1, number)]
        again = self._plan.start == "base"
        new = join([place / f"made-{i:02}.jsonl" for i in range(len(made))], place / "new.jsonl")
        own = join([place / "new.jsonl", *(earlier if again else [])], place / "own.jsonl")
        join([self._steps.out / "rehearsal" / "rows.jsonl", *([] if again else earlier)], place / "older.jsonl")
        replayed = mix(place / "own.jsonl", place / "older.jsonl", self._plan.replay, place / "train.jsonl")
        return {"made": made, "new": new, "replayed": replayed, "rows": own + replayed if new else 0}

    async def _train(self, number: int, folder: Path) -> dict[str, Any]:
        """The folder model/ is there once it is whole."""
        start = self._first if self._plan.start == "base" else self._kept
        model, work = folder / "model", folder / "model.part"
        if not model.exists():  # else only the mark is missing
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
            training = self._trainer.train(start, folder / "rows" / "train.jsonl", work, self._plan.seed + number)
            facts = await self._steps.unless_stopped(training)
            write_whole(work / "training.json", json.dumps(facts, indent=1) + "\n")
            os.replace(work, model)
        return {"from": start.number, **(self._steps.read(model / "training.json") or {})}

    async def _decide(self, before: dict[str, Measured], after: dict[str, Measured], place: int) -> dict[str, Any]:
        older = dict.fromkeys((*self._plan.held[:place], *self._plan.kept))
        return decide(before, after, self._plan.held[place], list(older), self._plan.margin).as_json()

    async def _rehearse(self) -> None:
        """Rows of the first version's runs on older tasks, of questions that are not measured."""
        older = [found for source in self._plan.kept if (found := sources.rehearsed(source)) is not None]
        if not self._plan.replay or not older:
            return
        folder = self._steps.out / "rehearsal"
        recipe, format, rules = self._trainer.recipe, self._trainer.format, replace(self._rules, difficulty=None)

        async def work() -> dict[str, Any]:
            made: list[dict[str, Any]] = []
            for source in older:
                facts = await self._collect(folder / "collect", source, Contender("direct", "direct"), 2, 0)
                traces, file = folder / "collect" / facts["folder"], folder / f"made-{len(made):02}.jsonl"
                made.append(await asyncio.to_thread(make_rows, traces, recipe, format, file, rules, source))
            return {"made": made, "rows": join(sorted(folder.glob("made-*.jsonl")), folder / "rows.jsonl")}

        await self._steps.once(folder / "rehearsed.json", "collect older tasks to rehearse", work)

    async def _measured(self, version: Version) -> dict[str, Measured]:
        def on_cell(cell: Cell, progress: Progress) -> None:
            if self._on_progress is not None:
                self._on_progress(progress)

        if measured_before(version.number, self._steps) is None:
            await self._up(version)
        return await measure(version, self._plan, self._steps, self._settings, self._concurrency, on_cell)

    async def _up(self, version: Version) -> None:
        """Have it sampled from here on, also where its server was started anew since. Raises Stopped."""
        try:
            await asyncio.to_thread(self._shelf.publish, version)
        except MaieuticError as error:
            sentence = str(error).rstrip(".")
            raise Stopped(f"{sentence}; then start the same command again to go on.") from error

    def _folder(self, number: int) -> Path:
        return self._steps.out / "rounds" / f"{number:02}"


def _rules(plan: Plan, version: Version) -> Rules:
    """The gate's rules. What is measured is looked for in the rows, unless its split tells that it can't be there."""
    decoder(version.checkpoint)  # a tokenizer that can't be had is better found out about now
    if not plan.gate:
        return Rules(
            (),
            None,
            near=None,
            difficulty=None,
            endings=False,
            secrets=False,
            personal=False,
            tokenizer=version.checkpoint,
        )
    against = tuple((sources.label(source), source) for source in plan.sets if not sources.disjoint(source))
    return Rules(against, difficulty=(0.0, 1.0) if plan.difficulty else None, tokenizer=version.checkpoint)
