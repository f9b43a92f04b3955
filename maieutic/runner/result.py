"""What a run came to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.tools.approval import Pending
from maieutic.types import Outcome, Usage, Verdict


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    `answer` is None where none could be read from `text`. `outcome` is None where the task has nothing to check the
    answer against. `partial` says that the run ended before its graph did (budget, time-out, interruption, failed
    branches); `reason` says why. `waiting` are the tool calls that a person has yet to allow. `oracle` says
    that the graph could ask whether an answer was right. `trace` is the directory
    that holds the run under `run_id`.
    """

    answer: str | None
    text: str
    outcome: Outcome | None
    partial: bool
    reason: str
    usage: Usage
    run_id: str
    trace: Path
    graph: str
    task_id: str
    verdict: Verdict | None = None
    waiting: tuple[Pending, ...] = ()
    oracle: bool = False

    def as_json(self) -> dict[str, Any]:
        """The object that `maieutic ask --json` prints."""
        usage = {name: getattr(self.usage, name) for name in ("calls", "prompt_tokens", "completion_tokens")}
        waiting = [{"tool": p.tool, "arguments": p.arguments, "branch": p.branch} for p in self.waiting]
        return {
            "answer": self.answer if self.answer is not None else self.text or None,
            "outcome": self.outcome,
            "partial": self.partial,
            "usage": {**usage, "seconds": round(self.usage.seconds, 3)},
            "run_id": self.run_id,
            "trace": str(self.trace),
            **({"waiting": waiting} if waiting else {}),
            **({"oracle": True} if self.oracle else {}),
        }
