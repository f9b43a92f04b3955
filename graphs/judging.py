"""Judging with what is known against a judge's biases: sanitised candidates, both orders, a second look.

Candidates are sanitised, since claims of popularity and authority and shows of reflection sway judges (Wang et al.
2025, arXiv 2504.09946); they are shown in both orders, and a choice counts where both agree; what they don't agree on
a detector looks at, and the judge chooses again with the detector's remarks for reference, five times at most (RBD,
Yang et al. 2025, arXiv 2505.17100). Unlike there, a choice that is the same in both orders is not looked at again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from maieutic.agents.registry import make_agent
from maieutic.agents.sanitise import sanitised
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings

State = Literal["chosen", "tie", "missing"]


class JudgeSettings(GraphSettings):
    """What a graph that judges may be told about it."""

    orders: int = Field(default=1, ge=1, le=2)
    """In how many orders the judge sees the candidates; with 2 only a choice that is the same in both counts."""
    detector: str | None = None
    """Who looks at a choice again for signs of a bias, by name or `package.module:name`: `bias-detector`; None is
    nobody."""
    looks: int = Field(default=5, ge=1, le=16)
    """How often the detector may send the judge back."""

    def debiased(self, judge: Any, sanitise: bool = True) -> "Debiased":
        detector = make_agent(self.detector) if self.detector else None
        return Debiased(judge, detector, self.orders, self.looks, sanitise)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was judged: a candidate is `chosen`, the orders contradict each other (a `tie`), or a choice is `missing`.

    `choices` has what was chosen in each order, as places in the list of candidates, counted from 1, None where it
    could not be read; `looks` is how often the detector was asked.
    """

    chosen: Solution | None
    state: State
    choices: tuple[int | None, ...]
    looks: int = 0


@dataclass(frozen=True, slots=True)
class Debiased:
    """A judge, this one or an own one, with what is done against its biases. Called as a judge is.

    `orders` is 1 (as given) or 2 (and backwards, at the same time); `detector` may send the judge back `looks` times.
    With one order the detector is asked about every choice; with two about those that are no agreement.
    """

    judge: Any
    detector: Any = None
    orders: int = 2
    looks: int = 5
    sanitise: bool = True

    async def __call__(self, ctx: Context, candidates: Sequence[Solution]) -> Solution | None:
        return (await self.decide(ctx, candidates)).chosen

    async def decide(self, ctx: Context, candidates: Sequence[Solution]) -> Judgement:
        """Judge, look again where that is due, and record by what it was decided."""
        shown, removed = self._shown(candidates)
        made = self._made(candidates, await self._choices(ctx, shown, 0, ""), 0)
        for look in range(1, self.looks + 1) if self.detector is not None else ():
            if self.orders == 2 and made.state == "chosen":
                break
            try:
                again = await self._second_look(ctx, shown, made.choices, look)
            except ModelError:
                break  # the failed call is recorded, and what was judged before stays
            made = replace(made, looks=look) if again is None else self._made(candidates, again, look)
            if again is None:
                break
        ctx.gate("judgement", made.state, choices=list(made.choices), looks=made.looks, removed=removed)
        return made

    def _shown(self, candidates: Sequence[Solution]) -> tuple[list[Solution], dict[str, int]]:
        if not self.sanitise:
            return list(candidates), {}
        cleaned = [sanitised(candidate.text) for candidate in candidates]
        removed = sum((Counter(one.removed) for one in cleaned), Counter[str]())
        return [replace(c, text=one.text) for c, one in zip(candidates, cleaned, strict=True)], dict(removed)

    async def _second_look(
        self, ctx: Context, shown: list[Solution], choices: Sequence[int | None], look: int
    ) -> list[int | None] | None:
        """What is chosen after the detector's remarks; None where it suspects nothing, or nothing that can be read."""
        suspicion = await self.detector(ctx, shown, choices, _name(ctx, self.judge))
        word = {True: "biased", False: "unbiased", None: "missing"}[suspicion.biased]
        ctx.gate("second_look", word, look=look, of=suspicion.call_id, choices=list(choices))
        return await self._choices(ctx, shown, look, suspicion.text) if suspicion.biased else None

    async def _choices(self, ctx: Context, shown: list[Solution], look: int, reference: str) -> list[int | None]:
        """What the judge chooses in each order, as places in `shown`; None for what could not be read, or failed."""
        said = {"reference": reference} if reference else {}
        if self.orders == 1:
            chosen = await self.judge(ctx, shown, **said)
            return [_place(shown, chosen)]
        orders = {f"judge-{look}-forwards": shown, f"judge-{look}-backwards": shown[::-1]}
        made: dict[str, int | None] = dict.fromkeys(orders)

        async def choose(branch: Context) -> None:
            name = branch.branch.path.rsplit("/", 1)[-1]
            chosen = await self.judge(branch, orders[name], **said)
            made[name] = _place(shown, chosen)

        await fan_out(ctx, list(orders), choose)
        return list(made.values())

    def _made(self, candidates: Sequence[Solution], choices: list[int | None], looks: int) -> Judgement:
        if None in choices:
            return Judgement(None, "missing", tuple(choices), looks)
        [first, *others] = [choice for choice in choices if choice is not None]
        if any(other != first for other in others):
            return Judgement(None, "tie", tuple(choices), looks)
        return Judgement(candidates[first - 1], "chosen", tuple(choices), looks)


def _place(shown: Sequence[Solution], chosen: Solution | None) -> int | None:
    """Where in `shown` the chosen one stands, counted from 1. By identity: candidates may say the same."""
    return next((i for i, candidate in enumerate(shown, 1) if candidate is chosen), None)


def _name(ctx: Context, judge: Any) -> str:
    return ctx.model_for(getattr(judge, "role", "judge")).model.name
