"""The panelist: answers and says how sure it is, alone at first, then with everybody's explanations before it.

After Chen et al. 2023, "ReConcile: Round-Table Conference Improves Reasoning via Consensus among Diverse LLMs", arXiv
2309.13007. Deviations: replies end in two lines instead of being JSON, so that answers are read by their type; all
groups of answers are shown, where the released code shows the two largest; what can't be read is asked for once more
and then missing, where the code takes a random answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.confidence import Confidence, read_confidence, state
from maieutic.agents.prompts import opening
from maieutic.agents.reply import Reply, ask
from maieutic.agents.speech import Solution
from maieutic.calibration.calibrator import Calibrator
from maieutic.context import Context
from maieutic.tasks.answers import extract
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

FORM = "Confidence: <a number from 0 to 100>\nAnswer: <the result>"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a panelist stands after a round: its solution, and how sure it is of it."""

    solution: Solution
    sure: Confidence

    @property
    def call_id(self) -> str:
        return self.solution.call_id


@dataclass(frozen=True, slots=True)
class Convincing:
    """A question that `model` got wrong, and right after it had read the explanation."""

    model: str
    question: str
    explanation: str
    answer: str


@dataclass(frozen=True, slots=True)
class Panelist:
    """Speaks from one seat at the table, each of which is a role with a model of its own."""

    role: str = "panelist"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, seat: str, examples: Sequence[Convincing] = (), calibrator: Calibrator | None = None
    ) -> Position:
        """Answer alone; the examples are what has convinced the others."""
        messages = opening(ctx, self.role, speaker=seat, examples=_examples(examples))
        return await self._answer(ctx, seat, messages, (), calibrator)

    async def _answer(
        self,
        ctx: Context,
        seat: str,
        messages: tuple[Message, ...],
        parents: tuple[Parent, ...],
        calibrator: Calibrator | None,
    ) -> Position:
        kind = ctx.task["answer_type"]

        def read(text: str) -> str | None:
            return extract(text, kind) if read_confidence(text) else None

        reply = await ask(ctx, seat, messages, read, FORM, sampling=self.sampling, parents=parents)
        texts = _said(reply, len(messages))
        answers = [answer for text in texts if (answer := extract(text, kind)) is not None]
        stated = [said for text in texts if (said := read_confidence(text)) is not None]
        solution = Solution("\n\n".join(texts), answers[-1] if answers else None, reply.call_id, reply.said.messages)
        raw = stated[-1].value if stated else None
        return Position(solution, state(ctx, seat, solution, "verbal", raw, calibrator, read=bool(stated)))


@dataclass(frozen=True, slots=True)
class Discussant(Panelist):
    """A panelist that has heard the others."""

    role: str = "discussant"

    async def discuss(
        self,
        ctx: Context,
        seat: str,
        number: int,
        own: Position | None,
        groups: Sequence[Sequence[tuple[int, Position]]],
        calibrator: Calibrator | None = None,
    ) -> Position:
        """Answer again. `groups` are all positions that hold an answer, by their answers, each with its seat's number;
        the text is the same for every seat but for its last line."""
        messages = opening(ctx, self.role, speaker=seat, discussion=_discussion(groups), number=str(number))
        heard = [position for group in groups for _, position in group]
        parents = (
            *(() if own is None else (Parent(own.call_id, "continuation"),)),
            *(Parent(p.call_id, "debate") for p in heard if own is None or p.call_id != own.call_id),
        )
        return await self._answer(ctx, seat, messages, parents, calibrator)


def _said(reply: Reply[str], before: int) -> list[str]:
    """What was said after the first `before` messages: a reply, and its repair where there was one."""
    turns = [m for m in reply.said.messages[before:] if m["role"] == "assistant"]
    return [str(turn["content"] or "") for turn in turns]


def _examples(examples: Sequence[Convincing]) -> str:
    shown = [f"Problem: {e.question}\nExplanation: {e.explanation}\nAnswer: {e.answer}" for e in examples]
    return "\n\n".join(shown) or "none"


def _discussion(groups: Sequence[Sequence[tuple[int, Position]]]) -> str:
    parts = []
    for group in groups:
        votes = f"{len(group)} {'panelist answers' if len(group) == 1 else 'panelists answer'}"
        said = [
            f"Panelist {number}, {_sureness(position.sure)}:\n{without_thoughts(position.solution.text).strip()}"
            for number, position in group
        ]
        parts.append("\n\n".join([f"{votes}: {group[0][1].solution.answer}", *said]))
    return "\n\n".join(parts)


def _sureness(sure: Confidence) -> str:
    return "who did not say how sure" if sure.raw is None else f"{100 * sure.raw:.0f} % sure"
