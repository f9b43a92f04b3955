"""What can be said of an attempt when it is made: errors of tools, unreadable answers, broken constraints, a critic.

None of it needs the gold answer; the oracle does, and has to be switched on for the whole run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maieutic.agents.agent import Agent
from maieutic.agents.critic import Critique
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.tasks.answers import canonical
from maieutic.tasks.constraints import constraints, violations
from maieutic.types import Outcome, ToolResult

Source = Literal["format", "tools", "judge", "oracle"]
LONGEST = 2000  # characters of one tool's error that are shown


@dataclass(frozen=True, slots=True)
class Feedback:
    """What is said of an attempt. `passed` is None where it could not be told: that is neither success nor failure."""

    passed: bool | None
    text: str
    source: Source
    call_id: str


async def feedback_on(
    ctx: Context, attempt: Solution, results: Sequence[ToolResult], source: Source, critic: Agent[Critique]
) -> Feedback:
    """What the environment says of `attempt`, whose tool calls came to `results`.

    Each source says what the ones before it say as well, but for the oracle, which says only how the answer fares:
      format  the answer can be read, is of the task's type, and keeps what the question demands of its form
      tools   the last tool call ended well
      judge   the critic accepts it; its verdict may be missing
      oracle  the outcome, never the gold answer; UserError where the run has no oracle
    """
    if source == "oracle":
        outcome = await ctx.verdict_of(attempt.proposal)
        told = _told(ctx, attempt, outcome is Outcome.CORRECT, f"The verifier says: {outcome.value}.", source)
        return told if outcome is not Outcome.TOOL_ERROR else Feedback(None, told.text, source, attempt.call_id)
    complaints = _format(ctx, attempt)
    if source in ("tools", "judge"):
        complaints += _tools(results)
    if complaints or source != "judge":
        return _told(ctx, attempt, not complaints, "\n".join(complaints), source)
    critique = await critic(ctx, attempt)
    ctx.gate("feedback", _word(critique.accepts), source=source, of=attempt.call_id, first_wrong=critique.first_wrong)
    return Feedback(critique.accepts, critique.text, source, attempt.call_id)


def _told(ctx: Context, attempt: Solution, passed: bool, text: str, source: Source) -> Feedback:
    ctx.gate("feedback", _word(passed), source=source, of=attempt.call_id, said=text)
    return Feedback(passed, text, source, attempt.call_id)


def _word(passed: bool | None) -> str:
    return "missing" if passed is None else "passed" if passed else "failed"


def _format(ctx: Context, attempt: Solution) -> list[str]:
    kind = ctx.task["answer_type"]
    said = []
    demands = constraints(ctx.task["question"])
    if attempt.answer is None and not demands:
        said.append("No answer could be read: a line that begins with 'Answer:' is missing.")
    elif attempt.answer is not None and canonical(attempt.answer, kind) is None:
        said.append(f"The answer {attempt.answer[:80]!r} is not of the type {kind}.")
    broken = violations(demands, attempt.text)
    return [*said, *(f"The question demands of the response: {demand}. It is not so." for demand in broken)]


def _tools(results: Sequence[ToolResult]) -> list[str]:
    """The last call decides: a mistake that was put right afterwards is none."""
    if not results or results[-1].status == "ok":
        return []
    last = results[-1]
    return [f"The last call of {last.name} failed ({last.status}): {last.content[-LONGEST:]}"]
