"""The thinker: one thought in pieces, each gone on with after a word that is put in behind the last.

What is put in is never the model's own text, and no answer is read from it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from maieutic.agents.solver import question_in_conversation
from maieutic.agents.speech import Solution
from maieutic.context import Context, Utterance
from maieutic.tasks.answers import extract
from maieutic.trace.record import Parent
from maieutic.types import Completion, Message, Sampling

Form = Literal["continuation", "chat"]
Wanted = Literal["auto", "continuation", "chat"]


def form_for(ctx: Context, wanted: Wanted, roles: Iterable[str]) -> Form:
    """How the `roles` go on with a thought: `auto` takes the continuation where the tokens of all their models are at
    hand. The choice is a gate in the trace."""
    exact = all(ctx.goes_on_exactly(role) for role in roles)
    form: Form = ("continuation" if exact else "chat") if wanted == "auto" else wanted
    ctx.gate("form", form, wanted=wanted, exact=exact)
    return form


@dataclass(frozen=True, slots=True)
class Draft:
    """A thought as far as it goes.

    `text` is what the model itself said, without what was put in. `answer` is the last one in it, None where there is
    none. `tokens` counts what was sampled, `ended` says that the model ended its turn itself.
    """

    said: Utterance
    text: str
    answer: str | None
    tokens: int
    ended: bool

    @property
    def call_id(self) -> str:
        return self.said.call_id

    @property
    def solution(self) -> Solution:
        return Solution(self.text.strip(), self.answer, self.call_id, self.said.messages)


@dataclass(frozen=True, slots=True)
class Thinker:
    """Thinks about the run's question: `begin`, then `go_on` as often as a graph likes. One model call each.

    In the form `continuation` the model goes on within its turn. In the form `chat` what is put in is a message of the
    user, and the model begins a turn of its own. `most` bounds a piece, in tokens. Each call is a reflection on the one
    before: what may have been wrong there is not learnt from.
    """

    role: str = "solver"
    sampling: Sampling = Sampling()

    async def begin(self, ctx: Context, form: Form, most: int | None = None) -> Draft:
        messages = question_in_conversation(ctx, self.role)
        said = await ctx.sample(self.role, messages, sampling=self.sampling, most=most)
        return _draft(ctx, said, own_text(said.completion, form), 0)

    async def go_on(self, ctx: Context, draft: Draft, addition: str, form: Form, most: int | None = None) -> Draft:
        """The thought after `addition` and what the model makes of it."""
        if form == "continuation":
            said = await ctx.resume(
                self.role, draft.said, addition, sampling=self.sampling, link="reflection", most=most
            )
        else:
            turn: Message = {"role": "user", "content": addition.strip()}
            parents = (Parent(draft.call_id, "reflection"),)
            messages = (*draft.said.messages, turn)
            said = await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents, most=most)
        between = "\n\n" if addition.strip() else ""
        return _draft(ctx, said, f"{draft.text}{between}{own_text(said.completion, form)}", draft.tokens)


def own_text(completion: Completion, form: Form) -> str:
    """What a call itself said. A thought that the server took apart is put back in its marks where the turn goes on, so
    that nothing in it is read as an answer."""
    if form == "chat" or not completion.reasoning:
        return completion.text
    answer = f"\n</think>\n\n{completion.text}" if completion.text else ""
    return f"<think>\n{completion.reasoning}{answer}"


def _draft(ctx: Context, said: Utterance, text: str, before: int) -> Draft:
    tokens = before + said.completion.usage.completion_tokens
    answer = extract(text, ctx.task["answer_type"])
    return Draft(said, text, answer, tokens, said.completion.finish_reason != "length")
