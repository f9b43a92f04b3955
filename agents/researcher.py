"""The researcher: searches, has pages read, and answers with citations, one turn at a time."""

from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.context import Context, Utterance
from maieutic.tools.tool import Tool
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling, ToolChoice


@dataclass(frozen=True, slots=True)
class Researcher:
    """Speaks in a loop that a graph runs: it acts on the tool calls and says what the next turn is shown."""

    role: str = "researcher"
    sampling: Sampling = Sampling()

    def opening(self, ctx: Context, rules: str = "") -> tuple[Message, ...]:
        """The first prompt, after what was said before the question; `rules` are those of the context policy."""
        system, *rest = opening(ctx, self.role, context=rules)
        history = ctx.run.history if ctx.model_for(self.role).profile.conversation else ()
        return (system, *history, *rest)

    async def __call__(
        self,
        ctx: Context,
        messages: tuple[Message, ...],
        tools: tuple[Tool, ...],
        last: bool = False,
        parents: tuple[Parent, ...] = (),
    ) -> Utterance:
        """One turn; in the last one no tool may be called."""
        choice: ToolChoice | None = "none" if last else None
        return await ctx.sample(
            self.role, messages, tools=tools, tool_choice=choice, sampling=self.sampling, parents=parents
        )
