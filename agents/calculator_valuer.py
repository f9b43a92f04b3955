"""A valuer that calculates: it does the sums of a partial solution again, and asks no model.

Feedback from a tool, as `calculator_critic` has it, in the statuses of a search: a way with a false sum is lost (E),
one that ends in an answer without any is likely (B), one on its way uncertain (C). No way is called solved (A), since a
number that was copied wrongly can't be seen: a search among such values goes on to its last evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.calculator_critic import sums
from maieutic.agents.valuer import Argument
from maieutic.context import Context
from maieutic.tasks.answers import extract
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class CalculatorValuer:
    """Values a partial solution by its sums; it reads neither arguments nor notes."""

    role: str = "calculator"
    sampling: Sampling = Sampling()
    """Taken as by every agent in a role, and not needed: nothing is sampled."""

    async def __call__(
        self, ctx: Context, steps: Sequence[str], arguments: Sequence[Argument] = (), notes: str = "", of: str = ""
    ) -> str | None:
        false = any(not equation.holds for step in steps for line in step.splitlines() for equation in sums(line))
        ended = bool(steps) and extract(steps[-1], ctx.task["answer_type"]) is not None
        status = "E" if false else "B" if ended else "C"
        ctx.record("verdict", call_id=of, of=of, status=status)
        return status
