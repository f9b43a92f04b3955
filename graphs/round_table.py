"""Different models answer, say how sure they are, and discuss until they agree; the surer a vote, the more it weighs.

ReConcile (Chen et al. 2023, arXiv 2309.13007). Its weights are a fixed map from stated confidence; where there is a
calibration, a model's own curve takes its place. Unanimous panelists are left alone. Every panelist hears all of the
round before, and nothing of its own round.

Deviations: all groups of answers are shown, not the two largest; an answer that can't be read votes for nothing (the
released code takes a random one), and a missing confidence weighs as much as the others in the mean; the share of the
weights is the confidence in the winner, below which the graph may abstain.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.panelist import Convincing, Position
from maieutic.agents.registry import make_agent
from maieutic.context import Context
from maieutic.errors import UserError
from maieutic.graphs.certainty import CertaintySettings, abstains_below, agreed
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import add_node
from maieutic.graphs.votes import Tally
from maieutic.memory.journal import Journal
from maieutic.types import Sampling

STEPS = 64


class Settings(CertaintySettings):
    models: tuple[str, ...] = Field(default=(), max_length=16)
    """The panelists' models by name, one for each; empty for `panelists` that all have the run's model."""
    panelists: int = Field(default=3, ge=2, le=16)
    """Panelists where `models` names none."""
    rounds: int = Field(default=3, ge=0, le=16)
    """Rounds of discussion at most."""
    convincing: str | None = None
    """A JSONL file of what has convinced models before: lines of model, question, explanation and answer."""
    examples: int = Field(default=4, ge=0, le=32)
    """How many of them, those of the other panelists' models, each panelist sees at first."""
    weighed: bool = True
    """Whether a vote weighs as much as its panelist is sure; otherwise all weigh the same."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; None leaves it to the run and the models' profiles."""
    panelist: str = "panelist"
    discussant: str = "discussant"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    positions: dict[str, str]
    round: int
    agreed: bool


def cast(settings: Settings) -> dict[str, str | None]:
    """A role for each seat: panelist-1 and so on."""
    if len(settings.models) == 1:
        raise UserError("A panel of one has nobody to talk to: name two models or more, or none.")
    models: Sequence[str | None] = settings.models or (None,) * settings.panelists
    return {f"panelist-{i}": model for i, model in enumerate(models, 1)}


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    table = _Table(settings)

    async def open_(state: State, ctx: Context) -> dict[str, Any]:
        return table.take_stock(ctx, 0, await table.first(ctx))

    async def discuss(state: State, ctx: Context) -> dict[str, Any]:
        before = {seat: ctx.recall(key, Position) for seat, key in state["positions"].items()}
        round_ = state["round"] + 1
        return table.take_stock(ctx, round_, await table.again(ctx, round_, before))

    async def conclude(state: State, ctx: Context) -> dict[str, Any]:
        table.conclude(ctx, {seat: ctx.recall(key, Position) for seat, key in state["positions"].items()})
        return {}

    def after(state: State) -> str:
        return "conclude" if state["agreed"] or state["round"] >= settings.rounds else "discuss"

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "open", open_)
    add_node(graph, "discuss", discuss)
    add_node(graph, "conclude", conclude)
    graph.add_edge(START, "open")
    graph.add_conditional_edges("open", after, ["discuss", "conclude"])
    graph.add_conditional_edges("discuss", after, ["discuss", "conclude"])
    graph.add_edge("conclude", END)
    return graph


class _Table:
    """Who sits there, and what they do together."""

    def __init__(self, settings: Settings) -> None:
        sampling = Sampling(temperature=settings.temperature)
        self._panelist, self._discussant = (
            make_agent(name, sampling) for name in (settings.panelist, settings.discussant)
        )
        self._seats = list(cast(settings))
        self._settings, self._calibrator = settings, settings.calibrator()
        self._convincing = _read(settings.convincing) if settings.convincing else []

    async def first(self, ctx: Context) -> dict[str, Position]:
        """Everybody's answer, given alone; who fails has none yet."""
        found: dict[str, Position] = {}

        async def answer(branch: Context) -> None:
            seat = branch.branch.path.rsplit("/", 1)[-1].removeprefix("round-0-")
            found[seat] = await self._panelist(branch, seat, self._examples(ctx, seat), self._calibrator)

        await fan_out(ctx, [f"round-0-{seat}" for seat in self._seats], answer)
        return found

    async def again(self, ctx: Context, round_: int, before: Mapping[str, Position]) -> dict[str, Position]:
        """Everybody's answer after hearing the round before; who fails keeps the old position."""
        numbered = {before[seat].call_id: (i, before[seat]) for i, seat in enumerate(self._seats, 1) if seat in before}
        tally = self._count(ctx, before)
        groups = [[numbered[solution.call_id] for solution in group] for group in tally.groups]
        after = dict(before)

        async def answer(branch: Context) -> None:
            seat = branch.branch.path.rsplit("/", 1)[-1].removeprefix(f"round-{round_}-")
            number = self._seats.index(seat) + 1
            after[seat] = await self._discussant.discuss(
                branch, seat, number, before.get(seat), groups, self._calibrator
            )

        await fan_out(ctx, [f"round-{round_}-{seat}" for seat in self._seats], answer)
        return after

    def take_stock(self, ctx: Context, round_: int, positions: Mapping[str, Position]) -> dict[str, Any]:
        """Count the votes of a round, and propose what leads."""
        tally = self._weighed(ctx, positions)
        ctx.propose((tally.winner or self._in_order(positions)[0].solution).proposal)
        plain = self._count(ctx, positions)
        surest = max(self._in_order(positions), key=lambda p: -1.0 if p.sure.value is None else p.sure.value)
        of = len(self._seats)
        ctx.emit("vote", votes=tally.counts(), samples=len(positions), of=of)
        ctx.record(
            "vote",
            votes=tally.counts(),
            abstained=tally.abstained,
            samples=len(positions),
            of=of,
            round=round_,
            weights=None if tally.weights is None else list(tally.weights),
            majority=plain.winner.answer if plain.winner else None,
            surest=surest.solution.answer if surest.sure.value is not None else None,
        )
        everybody = len(positions) == of
        nothing = not tally.groups  # there is nothing to discuss
        keys = {seat: ctx.keep(position) for seat, position in positions.items()}
        return {"positions": keys, "round": round_, "agreed": nothing or (everybody and tally.unanimous)}

    def conclude(self, ctx: Context, positions: Mapping[str, Position]) -> None:
        """Take the weighed vote as the answer, unless the panel is not sure enough of it."""
        names = dict.fromkeys(ctx.model_for(seat).model.name for seat in self._seats)
        sure = agreed(ctx, "", self._weighed(ctx, positions), self._calibrator, "+".join(names))
        abstains_below(ctx, sure, self._settings.abstain_below)

    def _in_order(self, positions: Mapping[str, Position]) -> list[Position]:
        return [positions[seat] for seat in self._seats if seat in positions]

    def _count(self, ctx: Context, positions: Mapping[str, Position]) -> Tally:
        return Tally.of([p.solution for p in self._in_order(positions)], ctx.task["answer_type"])

    def _weighed(self, ctx: Context, positions: Mapping[str, Position]) -> Tally:
        tally = self._count(ctx, positions)
        if not self._settings.weighed:
            return tally
        return tally.weighed({position.call_id: weight(position) for position in positions.values()})

    def _examples(self, ctx: Context, seat: str) -> list[Convincing]:
        """What has convinced the models at the other seats, taking turns; never this very question."""
        others = dict.fromkeys(ctx.model_for(other).model.name for other in self._seats if other != seat)
        question = " ".join(ctx.task["question"].split())
        usable = [e for e in self._convincing if " ".join(e.question.split()) != question]
        turns = zip_longest(*([e for e in usable if e.model == model] for model in others))
        return [e for turn in turns for e in turn if e is not None][: self._settings.examples]


def weight(position: Position) -> float | None:
    """What a vote weighs: its calibrated confidence, or the paper's weight of a raw one; None where it is missing."""
    sure = position.sure
    if sure.value is None or sure.calibrated is not None:
        return sure.value
    return bucket(sure.value)


def bucket(confidence: float) -> float:
    """The paper's weight of a stated confidence: few models that say 0.6 are right that often."""
    if confidence >= 1:
        return 1.0
    if confidence >= 0.9:
        return 0.8
    if confidence >= 0.8:
        return 0.5
    return 0.3 if confidence > 0.6 else 0.1


def _read(path: str) -> list[Convincing]:
    """Raises UserError where the file is not there or a line lacks something."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"There is no file {path} of convincing explanations: check the path, or leave it out.")
    journal = Journal(file)
    wanted = ("model", "question", "explanation", "answer")
    entries = journal.entries()
    good = [e for e in entries if all(isinstance(e.get(name), str) for name in wanted)]
    if journal.damaged or len(good) < len(entries):
        raise UserError(f"{path} holds lines that are not JSON with the texts {', '.join(wanted)}: put them right.")
    return [Convincing(*(e[name] for name in wanted)) for e in good]
