"""The passage grader: is a passage relevant, does it support what was written from it, and of what use is that.

The three judgements of Self-RAG (Asai et al. 2023, arXiv 2310.11511), asked of any model as letters and digits of one
token, whose probabilities are shared out within each judgement.
"""

import re
from dataclasses import dataclass

from maieutic.agents.passages import Passage
from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import side_by_side
from maieutic.context import Context
from maieutic.trace.record import Parent
from maieutic.types import Sampling

RELEVANCE, SUPPORT, USE = ("A", "B"), ("A", "B", "C"), ("1", "2", "3", "4", "5")
USE_WEIGHTS = {"1": -1.0, "2": -0.5, "3": 0.0, "4": 0.5, "5": 1.0}
_FORM = "Relevance: <A or B>\nSupport: <A, B or C>\nUse: <1 to 5>"
_FORM_ALONE = "Use: <1 to 5>"

Shares = dict[str, float]


@dataclass(frozen=True, slots=True)
class Grade:
    """The shares of each judgement's options, which add up to 1; None where it could not be read.

    Without a passage, only `use` is asked: then `alone` holds, and the other two are None because they don't apply.
    """

    relevance: Shares | None
    support: Shares | None
    use: Shares | None
    alone: bool = False

    @property
    def contradicted(self) -> bool:
        """Whether no support, or contradiction, is the likeliest judgement; False where there is none."""
        return self.support is not None and max(self.support, key=lambda option: self.support[option]) == "C"  # type: ignore[index]

    def terms(self) -> tuple[float | None, float | None, float | None]:
        """Relevance and support in [0, 1] and use in [-1, 1]; None is missing. What does not apply counts 0."""
        relevance = 0.0 if self.alone else None if self.relevance is None else self.relevance["A"]
        support = 0.0 if self.alone else None if self.support is None else self.support["A"] + 0.5 * self.support["B"]
        use = None if self.use is None else sum(USE_WEIGHTS[option] * share for option, share in self.use.items())
        return relevance, support, use


@dataclass(frozen=True, slots=True)
class PassageGrader:
    """Asks for each judgement's probabilities; of a model that gives none, for one reply with all judgements, each of
    which then has the whole share. The first judgement tells which; the others need nothing of each other, and are
    asked for side by side."""

    role: str = "passage-grader"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, part: str, so_far: str, passage: Passage | None, parents: tuple[Parent, ...] = ()
    ) -> Grade:
        fields = {
            "so_far": so_far.strip() or "(nothing yet)",
            "passage": str(passage) if passage is not None else "(none)",
            "part": part,
        }
        use = await self._shares(ctx, fields, "Use", USE, parents)
        if use is None:
            return await self._in_words(ctx, fields, passage is None, parents)
        if passage is None:
            return Grade(None, None, use, alone=True)
        relevance, support = await side_by_side(
            self._shares(ctx, fields, "Relevance", RELEVANCE, parents),
            self._shares(ctx, fields, "Support", SUPPORT, parents),
        )
        return Grade(relevance, support, use)

    async def _shares(
        self, ctx: Context, fields: dict[str, str], what: str, options: tuple[str, ...], parents: tuple[Parent, ...]
    ) -> Shares | None:
        wanted = f"{what} ({', '.join(options[:-1])} or {options[-1]})?"
        form = "Reply with one letter or digit."
        messages = opening(ctx, self.role, **fields, form=form, wanted=wanted)
        return await ctx.ask_options(self.role, messages, options, sampling=self.sampling, parents=parents)

    async def _in_words(self, ctx: Context, fields: dict[str, str], alone: bool, parents: tuple[Parent, ...]) -> Grade:
        form = _FORM_ALONE if alone else _FORM
        said = f"End with lines that hold only your judgement{'' if alone else 's'}:\n{form}"
        messages = opening(ctx, self.role, **fields, form=said, wanted="Grade it.")

        def read(text: str) -> Grade | None:
            grade = read_grade(text, alone)
            return None if None in grade.terms() else grade

        reply = await ask(ctx, self.role, messages, read, form, sampling=self.sampling, parents=parents)
        return reply.value or read_grade(reply.text, alone)  # what can be read of it stays


def read_grade(text: str, alone: bool = False) -> Grade:
    """The judgements in `text`, the last of each; those that can't be read are None."""
    use = _last(text, "use", USE)
    if alone:
        return Grade(None, None, use, alone=True)
    return Grade(_last(text, "relevance", RELEVANCE), _last(text, "support", SUPPORT), use)


def _last(text: str, what: str, options: tuple[str, ...]) -> Shares | None:
    found: list[str] = re.findall(rf"\b{what}\W{{1,6}}([A-Ca-c]|\d+)\b", text, re.IGNORECASE)
    if not found or found[-1].upper() not in options:
        return None
    return {option: float(option == found[-1].upper()) for option in options}
