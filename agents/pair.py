"""The pair: a small and a large model that write one thought, now the one and now the other.

In the form `continuation` each goes on in the middle of the turn, exactly where the other stopped, in its own tokens;
in the form `chat` each is shown what was written so far and asked for the next step.
"""

from dataclasses import dataclass, replace

from maieutic.agents.prompts import opening
from maieutic.agents.solver import question_in_conversation
from maieutic.agents.speech import Solution
from maieutic.agents.thinker import Form, own_text
from maieutic.context import Context, Utterance
from maieutic.tasks.answers import extract
from maieutic.trace.record import Parent
from maieutic.types import Sampling

PARAGRAPH = "\n\n"  # between two paragraphs


@dataclass(frozen=True, slots=True)
class Stretch:
    """A thought of two models as far as it goes.

    `text` is what they said, `new` the last piece of it; what was put in is in neither. `tokens` counts what was
    sampled and stayed, `closing` is the end of a paragraph at which the last piece stopped, `ended` says that the turn
    is over.
    """

    said: Utterance
    text: str
    new: str
    tokens: int
    closing: str
    ended: bool
    answer: str | None

    @property
    def solution(self) -> Solution:
        return Solution(self.text.strip(), self.answer, self.said.call_id)


@dataclass(frozen=True, slots=True)
class Pair:
    """Writes the thought about the run's question: `begin`, then `write` by turns; one model call each.

    `small` names the prompt of both. In a chat, a step that holds an answer, or nothing, ends the thought.
    """

    small: str
    large: str
    form: Form
    sampling: Sampling = Sampling()

    async def begin(self, ctx: Context, role: str, most: int, *, whole: bool = False) -> Stretch:
        """The first piece, by `role`: at most so many tokens; a `whole` paragraph ends where the paragraph does."""
        if self.form == "chat":
            return await self._step(ctx, role, most, "", ())
        messages = question_in_conversation(ctx, self.small)
        said = await ctx.sample(role, messages, sampling=self._sampling(whole), most=most)
        return await self._read(ctx, said, "", 0)

    async def write(
        self, ctx: Context, before: Stretch, role: str, most: int, *, addition: str = "", whole: bool = False
    ) -> Stretch:
        """The thought with a next piece by `role`, after `addition` where one is put in."""
        if self.form == "chat":
            shown = before.text + (PARAGRAPH + addition if addition else "")
            parents = (Parent(before.said.call_id, "continuation"),)
            step = await self._step(ctx, role, most, shown, parents)
            joined = before.text + PARAGRAPH + step.text
            answer = step.answer or before.answer
            return replace(step, text=joined, tokens=before.tokens + step.tokens, answer=answer)
        said = await ctx.resume(
            role, before.said, addition, closing=before.closing, sampling=self._sampling(whole), most=most
        )
        between = before.closing or (PARAGRAPH if addition else "")
        return await self._read(ctx, said, before.text + between, before.tokens)

    def _sampling(self, whole: bool) -> Sampling:
        return replace(self.sampling, stop=(PARAGRAPH,)) if whole else self.sampling

    async def _read(self, ctx: Context, said: Utterance, before: str, tokens: int) -> Stretch:
        stop = await ctx.stopped_at(said)
        new = own_text(said.completion, "continuation")
        if stop == PARAGRAPH:
            new = new.partition(PARAGRAPH)[0]
        text = before + new
        return Stretch(
            said,
            text,
            new,
            tokens + said.completion.usage.completion_tokens,
            closing=PARAGRAPH if stop == PARAGRAPH else "",
            ended=stop != PARAGRAPH and said.completion.finish_reason != "length",
            answer=extract(text, ctx.task["answer_type"]),
        )

    async def _step(self, ctx: Context, role: str, most: int, so_far: str, parents: tuple[Parent, ...]) -> Stretch:
        messages = opening(ctx, "step-writer", so_far=so_far or "nothing")
        said = await ctx.sample(role, messages, sampling=self.sampling, parents=parents, most=most)
        text = said.completion.text.strip()
        answer = extract(text, ctx.task["answer_type"])
        tokens = said.completion.usage.completion_tokens
        return Stretch(said, text, text, tokens, "", not text or answer is not None, answer)
