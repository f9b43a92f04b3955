"""The segment writer: goes on with an answer by one part, with a passage at hand or without."""

from dataclasses import dataclass

from maieutic.agents.passages import Passage
from maieutic.agents.prompts import opening
from maieutic.context import Context, Utterance
from maieutic.tasks.answers import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

_TURNS = {False: "Write the next part.", True: "Write the last part, and end it with the Answer line."}


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of an answer and the call that wrote it; `logprob` is the mean of its tokens, None where not given."""

    text: str
    call_id: str
    logprob: float | None


@dataclass(frozen=True, slots=True)
class SegmentWriter:
    """Writes the part that follows `so_far`. Siblings share their prompt up to the passage."""

    role: str = "segment-writer"
    sampling: Sampling = Sampling()

    async def __call__(
        self,
        ctx: Context,
        so_far: str = "",
        passage: Passage | None = None,
        last: bool = False,
        parents: tuple[Parent, ...] = (),
    ) -> Segment:
        written = so_far.strip() or "(nothing yet)"
        material = str(passage) if passage is not None else "(none)"
        messages = opening(ctx, self.role, so_far=written, passage=material, turn=_TURNS[last])
        said = await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents)
        return Segment(without_thoughts(said.text).strip(), said.call_id, _mean(said))


def _mean(said: Utterance) -> float | None:
    logprobs = said.completion.logprobs
    return sum(logprobs) / len(logprobs) if logprobs else None
