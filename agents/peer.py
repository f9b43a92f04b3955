"""The peer: works on a problem side by side with others, and reads what they have found so far.

The role of Learning from Peers (LeaP): Luo et al. 2025, arXiv 2505.07787, for models that can't be interrupted in the
middle of a thought: each turn is a call of its own, which begins from what the peer and others have found so far. For
models that can be interrupted there is `maieutic.agents.peer_thought`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution
from maieutic.context import Context, Utterance
from maieutic.tasks.answers import extract
from maieutic.trace.record import Parent
from maieutic.types import Sampling

CLOSE = "</think>"
CUT = ("length", "repetition")  # finish reasons of a call that had not come to its end
FORM = (
    "If you reach the result, end with a line that holds only it:\nAnswer: <the result>\n"
    "If you don't reach it, stop after the last step that you are sure of."
)
LAST_FORM = (
    "This is the last turn. End with a line that holds only the result, your best one if you are not sure:\n"
    "Answer: <the result>"
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the path `of` says of itself in the middle of its work."""

    text: str
    of: str
    call_id: str


@dataclass(frozen=True, slots=True)
class PeerPath:
    """One peer's line of work as far as it goes.

    `said` is its last call; from `start` on, its text is the peer's own, with nothing of its peers in it. `over` says
    that it exchanges nothing any more, `ended` that it has come to its end. `summary` is its last one, None where
    there is none or nothing was said in it. `interrupted` says that it has summed up and not thought on since,
    `thinking` that an opened thought is not closed yet. `turns` counts how often it has thought.
    """

    name: str
    said: Utterance
    start: int = 0
    over: bool = False
    ended: bool = False
    summary: Summary | None = None
    interrupted: bool = False
    thinking: bool = False
    turns: int = 0

    @property
    def call_id(self) -> str:
        return self.said.call_id

    @property
    def own(self) -> str:
        """The peer's own last words, without the thought before them where that is closed."""
        return self.said.text[self.start :].rpartition(CLOSE)[2].strip()

    def solution(self, ctx: Context) -> Solution:
        """What the path answers; no answer is read from one that has not ended."""
        answer = extract(self.own, ctx.task["answer_type"]) if self.ended else None
        return Solution(self.own or self.said.text.strip(), answer, self.call_id)


@dataclass(frozen=True, slots=True)
class Peer:
    """Works on from what it found itself, with what others found before it."""

    role: str = "peer"
    sampling: Sampling = Sampling()

    async def __call__(
        self,
        ctx: Context,
        before: PeerPath | None,
        comments: Sequence[Summary],
        last: bool = False,
        most: int | None = None,
    ) -> Utterance:
        """One turn after `before` of `most` tokens at most; the `last` one has to end in an answer."""
        messages = opening(
            ctx,
            self.role,
            own=_found(before),
            comments=listed(comments) or "none",
            form=LAST_FORM if last else FORM,
        )
        own = () if before is None else (Parent(before.call_id, "continuation"),)
        parents = (*own, *heard_from(comments))
        return await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents, most=most)


def attempt_of(path: PeerPath) -> str:
    """What a path has written in its last call, its thought included; cut short, without the paragraph it was at."""
    completion = path.said.completion
    text = "\n\n".join(part.strip() for part in (completion.reasoning, completion.text) if part and part.strip())
    if completion.finish_reason in CUT:
        return text.rpartition("\n\n")[0] or text
    return text


def listed(comments: Sequence[Summary]) -> str:
    """Summaries as they are shown to a peer, in the order given, without the names of their paths."""
    return "\n\n".join(f"Peer {i}: {comment.text}" for i, comment in enumerate(comments, 1))


def heard_from(comments: Sequence[Summary]) -> tuple[Parent, ...]:
    return tuple(Parent(comment.call_id, "peer") for comment in comments)


def _found(before: PeerPath | None) -> str:
    if before is None:
        return "nothing yet"
    return before.summary.text if before.summary else attempt_of(before) or "nothing yet"
