"""The oracle: the switch that lets a graph ask how an answer fares, or read the gold answer, and marks the run for it.

A run has an oracle only where it was asked for (`oracle=True`, `--oracle`): its header then says so, recipes of unaided
work leave it out, and from the first look at the gold answer on every call is flagged `gold_in_context`.
"""

import asyncio
from dataclasses import dataclass

from pydantic import JsonValue

from maieutic.errors import TaskError, UserError
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verifier_for, verify
from maieutic.types import Outcome

REFUSAL = "This graph asks an oracle, which this run has none of: start it with --oracle (oracle=True in Python)."


@dataclass(slots=True)
class Oracle:
    """What knows the right answer to a run's task. `seen` says whether the gold answer itself has been read."""

    task: Task
    seen: bool = False

    async def outcome(self, answer: str | None, text: str = "") -> Outcome:
        """How an answer fares: the word alone, since a verdict's reason may name the gold answer.

        It is read from `text` as the run's own is, and `answer` counts where `text` holds none. Raises TaskError for a
        task that nothing can be checked against.
        """
        if text:
            return (await asyncio.to_thread(verify, self.task, text, answer)).outcome
        own = verifier_for(self.task)
        if answer is None:
            return Outcome.UNPARSED
        return (await asyncio.to_thread(own.judge, self.task, answer)).outcome

    @property
    def gold(self) -> JsonValue:
        """The gold answer. Raises TaskError for a task without one."""
        if self.task.gold is None:
            raise TaskError(f"Task {self.task.id!r} has no gold answer to be shown: give it one.")
        self.seen = True
        return self.task.gold


def required(oracle: Oracle | None) -> Oracle:
    """The oracle; raises UserError where the run has none."""
    if oracle is None:
        raise UserError(REFUSAL)
    return oracle
