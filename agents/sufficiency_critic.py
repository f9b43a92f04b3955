"""The sufficiency critic: is an answer, with its rationale, covered by the passages it was given.

The critic of SIM-RAG (Yang et al. 2025, arXiv 2505.02811), there a small classifier of its own. An agent in its place
is called in the same way, `(ctx, passages, solution) -> Sufficiency`, and may be anything.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.passages import Passage, shown
from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.tasks.answers import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

FORM = "Sufficient: <yes or no>"
_VERDICT = re.compile(r"sufficient\W{1,6}(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """`sufficient` is None where it can't be told: missing is not approval. `probability`, in [0, 1], is that of its
    being sufficient, where the critic gives one. `call_id` is the model call, None where there was none."""

    sufficient: bool | None
    probability: float | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class SufficiencyCritic:
    """Asks a model for a verdict. Of the passages it shows `longest` characters; the answer and its rationale, which
    are what is judged, are never cut."""

    role: str = "sufficiency-critic"
    sampling: Sampling = Sampling()
    longest: int = 12_000

    async def __call__(self, ctx: Context, passages: Sequence[Passage], solution: Solution) -> Sufficiency:
        parents = (Parent(solution.call_id, "critique"),)
        messages = self.asked(ctx, passages, solution, f"End with a line that holds only your verdict:\n{FORM}")
        reply = await ask(ctx, self.role, messages, read_sufficiency, FORM, sampling=self.sampling, parents=parents)
        return Sufficiency(reply.value, None, reply.call_id)

    def asked(self, ctx: Context, passages: Sequence[Passage], solution: Solution, form: str) -> tuple[Message, ...]:
        """The question, the passages as far as there is room, and then what is judged, whole."""
        text = without_thoughts(solution.text).strip()
        return opening(ctx, self.role, passages=shown(passages, self.longest), solution=text, form=form)


@dataclass(frozen=True, slots=True)
class ProbableSufficiencyCritic:
    """The same critic's P(yes) / (P(yes) + P(no)), which a graph compares with its threshold; None where the model
    gives no log-probabilities."""

    role: str = "sufficiency-critic"
    sampling: Sampling = Sampling()
    longest: int = 12_000

    async def __call__(self, ctx: Context, passages: Sequence[Passage], solution: Solution) -> Sufficiency:
        parents = (Parent(solution.call_id, "critique"),)
        critic = SufficiencyCritic(self.role, self.sampling, self.longest)
        messages = critic.asked(ctx, passages, solution, "Reply with one word: Yes if it may be given, No if not.")
        found = await ctx.ask_options(self.role, messages, ("Yes", "No"), sampling=self.sampling, parents=parents)
        return Sufficiency(None, None if found is None else found["Yes"])


def read_sufficiency(text: str) -> bool | None:
    """The last verdict in `text`; None where there is none."""
    found = _VERDICT.findall(text)
    return found[-1].lower() == "yes" if found else None
