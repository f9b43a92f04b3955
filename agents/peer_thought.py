"""Peers in mid-thought: a thought is interrupted, sums itself up, reads what others found, and goes on where it was.

Learning from Peers (LeaP): Luo et al. 2025, arXiv 2505.07787. Deviations: the format is shown in the prompt alone, not
also by an example at the beginning of the thought; what a peer writes can't open or close a block of another's thought.
What is put in is part of the next call's prompt, so that rows of token ids are not trained on it.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from maieutic.agents.peer import CLOSE, CUT, PeerPath, Summary, heard_from, listed
from maieutic.agents.solver import question_in_conversation
from maieutic.context import Context, Utterance
from maieutic.tasks.answers import extract
from maieutic.types import Sampling

OPEN_SUMMARY, CLOSE_SUMMARY = "<summarize>", "</summarize>"
PARAGRAPH = "\n\n"
ANSWER = "Answer:"
PAUSES = (
    "Let me stop here for a moment and note where I stand, so that my peers can read it.",
    "Before I go on, I should put down briefly what I have so far.",
    "This is a good point to pause and take stock of what I have found.",
    "Hold on. I will sum up my progress for the others first.",
    "Let me step back and say in short what I know by now and what is still open.",
)
NUDGE = "My peers may be right or wrong. Let me compare this with my own work, check it, and then go on."
NOBODY = "There are no comments."
_MARK = re.compile(r"<(?=/?(?:summarize|comment|think)>)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PeerThought:
    """Thinks for `tokens` tokens at a time, sums up in `summary_tokens` at most, and is at last given `answer_tokens`
    for an answer. Needs a model whose tokens are at hand."""

    role: str
    sampling: Sampling
    tokens: int
    summary_tokens: int
    answer_tokens: int

    async def think(self, ctx: Context, name: str, path: PeerPath | None, comments: Sequence[Summary]) -> PeerPath:
        """Begin a path, or let it read what its peers found and go on, until it ends or its tokens are used up."""
        sampling, most = self.sampling, self.tokens
        if path is None:
            said = await ctx.sample(
                self.role, question_in_conversation(ctx, "peer-thought"), sampling=sampling, most=most
            )
            return _after(_begun(name, said), said)
        if not path.interrupted:
            return _after(path, await ctx.resume(self.role, path.said, sampling=sampling, most=most))
        addition = f"\n<comment>\n{listed(comments) or NOBODY}\n</comment>\n\n{NUDGE}\n\n"
        parents = heard_from(comments)
        said = await ctx.resume(
            self.role, path.said, addition, closing=CLOSE_SUMMARY, sampling=sampling, parents=parents, most=most
        )
        return _after(replace(path, start=len(said.before), interrupted=False), said)

    async def summarise(self, ctx: Context, path: PeerPath) -> PeerPath:
        """Drop the paragraph that was begun, if any, and have the path say where it stands."""
        keep = await ctx.tokens_through(path.said, PARAGRAPH)
        pause = random.Random(f"{ctx.run.seed}/{path.name}/{path.turns}").choice(PAUSES)
        said = await ctx.resume(
            self.role,
            path.said,
            f"{'' if keep else PARAGRAPH}{pause}\n{OPEN_SUMMARY}\n",
            keep_tokens=keep,
            sampling=replace(self.sampling, stop=(CLOSE_SUMMARY, CLOSE)),
            most=self.summary_tokens,
        )
        text = harmless(re.split(f"{CLOSE_SUMMARY}|{CLOSE}", said.completion.text, maxsplit=1)[0])
        summary = Summary(text, path.name, said.call_id) if text else None
        return replace(path, said=said, summary=summary, interrupted=True)

    async def finish(self, ctx: Context, path: PeerPath) -> PeerPath:
        """Have a path that has not ended answer now, with its thought closed and the answer's line begun for it."""
        if path.over and extract(path.own, ctx.task["answer_type"]) is not None:
            return replace(path, ended=True)
        end = f"\n{CLOSE}" if path.thinking else ""
        said = await ctx.resume(
            self.role,
            path.said,
            f"{end}{PARAGRAPH}{ANSWER}",
            closing=CLOSE_SUMMARY if path.interrupted else "",
            sampling=self.sampling,
            most=self.answer_tokens,
        )
        start = len(said.before) - len(ANSWER)
        return replace(path, said=said, start=start, over=True, ended=True, interrupted=False)


def harmless(text: str) -> str:
    """A summary in which no mark stands that would open or close a block where it is read."""
    return _MARK.sub("< ", text).strip()


def _begun(name: str, said: Utterance) -> PeerPath:
    """A path's first words: a server with a reasoning parser takes the marks of a thought out of them."""
    apart, text = bool(said.completion.reasoning), said.completion.text
    return PeerPath(name, said, over=apart and bool(text), thinking="<think>" in text or (apart and not text))


def _after(path: PeerPath, said: Utterance) -> PeerPath:
    """The path after a call that has thought on: over where its thought is closed or it has ended by itself."""
    ended, closed = said.completion.finish_reason not in CUT, CLOSE in said.completion.text
    over, thinking = path.over or ended or closed, path.thinking and not closed
    return replace(path, said=said, over=over, ended=ended, thinking=thinking, turns=path.turns + 1)
