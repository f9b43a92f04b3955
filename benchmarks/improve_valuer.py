"""A valuer for `improve.py` that marks a solution's lines exactly: a way with a wrong line is lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.valuer import Argument
from maieutic.context import Context
from maieutic.in_box.marking import first_slip
from maieutic.in_box.reading import problem_of
from maieutic.types import Sampling


@dataclass(frozen=True, slots=True)
class Marker:
    """Statuses by the program that marks the in-box model's exercises: E from the first wrong line on, B at the end of
    a solution without one, C on the way. It reads the question, and no gold answer."""

    role: str = "marker"
    sampling: Sampling = Sampling()

    async def __call__(
        self, ctx: Context, steps: Sequence[str], arguments: Sequence[Argument] = (), notes: str = "", of: str = ""
    ) -> str | None:
        problem = problem_of(ctx.task["question"])
        if problem is None:
            return None
        slip = first_slip(list(steps), problem)
        status = "B" if slip is None else "C" if slip.line > len(steps) else "E"
        ctx.record("verdict", call_id=of, of=of, status=status)
        return status
