"""Groups: the attempts at one task. When no more of them are needed, and which of them ended early for it."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from maieutic.collector.rows import ResultRow
from maieutic.errors import UserError
from maieutic.tasks.answers import canonical
from maieutic.tasks.task import Task
from maieutic.types import Outcome


@dataclass(frozen=True, slots=True)
class GroupStop:
    """A group ends once `correct` of its attempts were verified as correct, or once its first `agreeing` answers are
    all the same, compared by type. None leaves a rule out.

    A group that ended early is no fair sample of how often the model is right, and is marked for it.
    """

    correct: int | None = None
    agreeing: int | None = None

    def __post_init__(self) -> None:
        if self.correct is not None and self.correct < 1:
            raise UserError(f"stop_group_at is {self.correct}: give a number from 1.")
        if self.agreeing is not None and self.agreeing < 2:
            raise UserError(f"stop_group_agreed is {self.agreeing}: give a number from 2.")

    def __bool__(self) -> bool:
        return self.correct is not None or self.agreeing is not None


@dataclass(slots=True, eq=False)
class Group:
    """One task's attempts: those that are done, and how many are under way. `todo` are samples not begun, in order."""

    task: Task
    todo: list[int]
    stop: GroupStop
    done: int = 0
    correct: int = 0
    under_way: int = 0
    _agree: bool = True
    _answer: Hashable | None = field(default=None)

    def take_in(self, row: ResultRow) -> None:
        """A finished attempt. One without a readable answer, or that abstained, agrees with nothing."""
        self.done += 1
        self.correct += row.outcome is Outcome.CORRECT
        spoke = row.answer is not None and row.outcome is not Outcome.ABSTAINED
        answer = canonical(row.answer or "", self.task.answer_type) if spoke else None
        self._agree = self._agree and answer is not None and self._answer in (None, answer)
        self._answer = answer

    @property
    def why(self) -> str | None:
        """Why no more attempts are needed; None while they are."""
        if self.stop.correct is not None and self.correct >= self.stop.correct:
            return f"{self.correct} correct"
        if self.stop.agreeing is not None and self._agree and self.done >= self.stop.agreeing:
            return f"the first {self.done} agree"
        return None

    @property
    def room(self) -> int:
        """How many attempts may be begun now: never one that those under way might make needless."""
        if self.why:
            return 0
        needed = [len(self.todo)]
        if self.stop.correct is not None:
            needed.append(self.stop.correct - self.correct - self.under_way)
        if self.stop.agreeing is not None and self._agree:
            needed.append(self.stop.agreeing - self.done - self.under_way)
        return max(0, min(needed))
