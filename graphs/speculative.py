"""A small model thinks; at the paragraphs where it looks back, a large one takes over for a few words.

Speculative Thinking (Yang et al. 2025, arXiv 2504.12329): after each paragraph the small model writes the first words
of the next. Where they affirm, reflect or verify, the large model writes them instead, from the same point, and more of
them where they verify. After many reflections it is made to look for wrong steps. Then the small model writes on. Give
the role `large` a model of its own (`models={"large": …}`).

Deviations: the small model's first words stay where they trigger nothing (the released code samples them anew, and so
favours words that do); a word counts only where it begins a word; the two models may differ in their tokens; what is
watched ends after `paragraphs`, and the small model finishes alone. Where the models can't go on within a turn, they
take turns at whole steps (the form `chat`).
"""

from dataclasses import dataclass
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.leaning import AFFIRMING, REFLECTING, VERIFYING, Words
from maieutic.agents.pair import Pair, Stretch
from maieutic.agents.thinker import Wanted, form_for
from maieutic.context import Context
from maieutic.errors import ModelError
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.types import Sampling

RECAP = "Before going on, let me look for a wrong step in what I have so far:"
HEAD = 80  # characters: about the 20 tokens by which a step is judged where it can't be cut by tokens


class Settings(GraphSettings):
    handover: int = Field(default=20, ge=1)
    """Tokens by which a paragraph is judged, and that the large model writes instead."""
    verification: int = Field(default=125, ge=0)
    """Tokens that the large model adds where it verifies."""
    recap_after: int = Field(default=15, ge=1)
    """Reflections after which the large model looks for wrong steps, instead of the next paragraph's first words."""
    recap_after_step: int = Field(default=5, ge=0)
    """By how many more each time."""
    recap_after_most: int = Field(default=30, ge=1)
    """And at most."""
    recap: int = Field(default=125, ge=1)
    """Tokens that it has for that."""
    recap_step: int = Field(default=25, ge=0)
    """By how many more each time."""
    recap_most: int = Field(default=200, ge=1)
    """And at most."""
    opening: int = Field(default=0, ge=0)
    """Tokens with which the large model begins the thought; the paper has 100 for a small model that doesn't reason."""
    always: bool = False
    """Hand over at every paragraph, for a small model that doesn't reason."""
    affirming: tuple[str, ...] = AFFIRMING
    """Words that affirm."""
    reflecting: tuple[str, ...] = REFLECTING
    """Words that look back."""
    verifying: tuple[str, ...] = VERIFYING
    """Words that verify."""
    paragraph: int = Field(default=1024, ge=1)
    """Tokens of a paragraph at most."""
    paragraphs: int = Field(default=256, ge=1, le=4096)
    """Paragraphs that are watched at most."""
    limit: int = Field(default=16384, ge=1)
    """Tokens of the thought at most; the run's own `max_tokens` can lower it."""
    form: Wanted = "auto"
    """`continuation`: within one turn; `chat`: step by step; `auto` takes the first where both models' tokens are at
    hand."""
    temperature: float | None = Field(default=0.6, ge=0)
    """Sampling temperature of both; None leaves it to the run."""
    top_p: float | None = Field(default=0.95, gt=0, le=1)
    """Likewise."""
    role: str = "solver"
    """The small model: the name of its prompt, and of its model where it has one of its own."""
    large: str = "large"
    """The large model's role."""


class State(TypedDict, total=False):
    answered: bool


@dataclass(slots=True)
class _Course:
    """What of a thought decides on the next recap."""

    reflections: int
    after: int
    tokens: int


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    async def think(state: State, ctx: Context) -> dict[str, Any]:
        stretch = await _Thought(ctx, settings).whole()
        ctx.propose(stretch.solution.proposal)
        return {"answered": stretch.answer is not None}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "think", think)
    graph.add_edge(START, "think")
    graph.add_edge("think", END)
    return graph


class _Thought:
    """One thought, from its question to its end."""

    def __init__(self, ctx: Context, settings: Settings) -> None:
        form = form_for(ctx, settings.form, [settings.role, settings.large])
        sampling = Sampling(temperature=settings.temperature, top_p=settings.top_p)
        self._ctx = ctx
        self._settings = settings
        self._exact = form == "continuation"
        self._pair = Pair(settings.role, settings.large, form, sampling)
        self._words = Words(settings.affirming, settings.reflecting, settings.verifying)
        self._limit = min(settings.limit, ctx.run.sampling.max_tokens or settings.limit)
        self._course = _Course(0, settings.recap_after, settings.recap)

    async def whole(self) -> Stretch:
        stretch = await self._begin()
        for _ in range(self._settings.paragraphs):
            if stretch.answer is not None:
                self._ctx.propose(stretch.solution.proposal)
            if self._over(stretch):
                return stretch
            stretch = await self._next(stretch)
        if not self._over(stretch):
            self._ctx.gate("handover", "alone", paragraphs=self._settings.paragraphs, tokens=stretch.tokens)
            stretch = await self._small(stretch, self._limit)
        return stretch

    async def _begin(self) -> Stretch:
        """The first paragraph, which nobody watches."""
        settings = self._settings
        if settings.opening and self._exact:
            first = await self._pair.begin(self._ctx, settings.large, min(settings.opening, self._limit))
            return first if self._over(first) else await self._small(first, settings.paragraph, whole=True)
        return await self._pair.begin(self._ctx, settings.role, min(settings.paragraph, self._limit), whole=True)

    async def _next(self, before: Stretch) -> Stretch:
        """The next paragraph: its first words by one model or the other, the rest by the small one."""
        due = self._course.reflections >= self._course.after
        stretch = await (self._recap(before) if due else self._watched(before))
        if not self._exact or self._over(stretch):
            return stretch
        return await self._small(stretch, self._settings.paragraph, whole=True)

    async def _watched(self, before: Stretch) -> Stretch:
        settings, words = self._settings, self._words
        piece = settings.handover if self._exact else settings.paragraph
        probe = await self._small(before, piece)
        leaning = words.leaning(probe.new if self._exact else probe.new[:HEAD])
        if leaning == 0 and not settings.always:
            self._gate("small", probe, leaning, probe)
            return probe
        taken = await self._large(before, piece)
        if taken is None:
            self._gate("failed", probe, leaning, probe)
            return probe
        head = taken.new if self._exact else taken.new[:HEAD]
        self._course.reflections += words.leaning(head) < 0
        self._gate("large", taken, leaning, probe)
        if self._exact and settings.verification and words.verifies(head) and not self._over(taken):
            return await self._large(taken, settings.verification) or taken
        return taken

    async def _recap(self, before: Stretch) -> Stretch:
        """The large model looks for wrong steps; the next time later, and at greater length."""
        settings, course = self._settings, self._course
        most = course.tokens if self._exact else settings.paragraph
        self._ctx.gate("handover", "recap", reflections=course.reflections, after=course.after, most=most)
        course.reflections = 0
        course.after = min(course.after + settings.recap_after_step, settings.recap_after_most)
        course.tokens = min(course.tokens + settings.recap_step, settings.recap_most)
        return await self._large(before, most, RECAP + " ") or before

    async def _small(self, before: Stretch, most: int, *, whole: bool = False) -> Stretch:
        return await self._pair.write(self._ctx, before, self._settings.role, self._room(before, most), whole=whole)

    async def _large(self, before: Stretch, most: int, addition: str = "") -> Stretch | None:
        """A piece by the large model; None where it fails, and the small one goes on alone."""
        room = self._room(before, most)
        try:
            return await self._pair.write(self._ctx, before, self._settings.large, room, addition=addition)
        except ModelError as error:
            self._ctx.record("error", error=f"{type(error).__name__}: {error}")
            return None

    def _room(self, before: Stretch, most: int) -> int:
        return max(1, min(most, self._limit - before.tokens))

    def _over(self, stretch: Stretch) -> bool:
        return stretch.ended or stretch.tokens >= self._limit

    def _gate(self, decision: str, stretch: Stretch, leaning: int, probe: Stretch) -> None:
        self._ctx.gate(
            "handover",
            decision,
            leaning=leaning,
            probe=probe.said.call_id,
            taken=stretch.said.call_id,
            reflections=self._course.reflections,
            tokens=stretch.tokens,
        )
