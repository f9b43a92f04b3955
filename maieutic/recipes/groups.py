"""What recipes share: runs by group, what a run answered and how it fared, and choices that are the same every time."""

import random
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import groupby
from typing import Any, TypeVar

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.items import Reply
from maieutic.recipes.recipe import Candidate, Tally
from maieutic.recipes.solved import winning_path
from maieutic.tasks.answers import canonical
from maieutic.trace.record import CallRecord, RunRecord
from maieutic.types import Message, Outcome

ENDED_EARLY = "its group ended early, so that its share is no fair one"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished, verified run: the call that gave its answer, the conversation it answered, and its outcome."""

    run: RunRecord
    call: CallRecord
    outcome: Outcome

    @property
    def right(self) -> bool:
        return self.outcome is Outcome.CORRECT

    @property
    def text(self) -> str:
        """The whole answering turn, what stood before it in the turn included."""
        assert self.call.completion is not None
        before = self.call.request.messages[-1]["content"] if self.call.request.goes_on else ""
        return f"{before or ''}{self.call.completion.text}"

    @property
    def prompt(self) -> tuple[Message, ...]:
        messages = self.call.request.messages
        return messages[:-1] if self.call.request.goes_on else messages

    @property
    def answer(self) -> str | None:
        return self.run.finish.fields.get("answer") if self.run.finish else None

    @property
    def reply(self) -> Reply:
        """The answering turn, with its call where that is the whole turn."""
        assert self.call.completion is not None
        if self.call.request.goes_on:
            return Reply({"role": "assistant", "content": self.text})
        return Reply(self.call.completion.message(), self.call)


@dataclass(frozen=True)
class Group:
    """The attempts at one prompt by one policy, in the order of their samples. `id` is their group's, or the run's
    where it has none. A group that `ended_early` did so because of its answers, so that how often it was right is no
    fair estimate of how often the policy is."""

    id: str
    attempts: tuple[Attempt, ...]
    ended_early: bool

    @property
    def task(self) -> str:
        return self.attempts[0].run.header.task_key

    @cached_property
    def right(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.right]

    @cached_property
    def wrong(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.right]

    @property
    def run_ids(self) -> tuple[str, ...]:
        return tuple(attempt.run.header.run_id for attempt in self.attempts)

    @property
    def meta(self) -> dict[str, Any]:
        """What rows made of it say of it."""
        return {"group": self.id, **({"ended_early": True} if self.ended_early else {})}


def attempts(runs: Iterable[Candidate], tally: Tally, recipe: str, oracle: bool = False) -> Iterator[Attempt]:
    """The finished runs whose answer was verified, in the order they are given; every other one is dropped with its
    reason.

    Runs that may have seen gold are no unaided work: they are dropped unless `oracle`. Raises UserError where no run
    was verified at all.
    """
    verified = False
    for candidate in runs:
        verified = verified or candidate.summary.outcome is not None
        if (attempt := _read(candidate, tally, oracle)) is not None:
            yield attempt
    _need_verified(verified, tally, recipe)


def answered(runs: Iterable[Candidate], tally: Tally) -> Iterator[Attempt]:
    """Finished runs, verified or not, for recipes that use no gold; an outcome that is missing stands as unparsed."""
    for candidate in runs:
        tally.seen += 1
        summary = candidate.summary
        if summary.finished is None or summary.partial:
            tally.dropped["unfinished"] += 1
            continue
        run = candidate.load()
        path = winning_path(run)
        if not path or path[-1].completion is None:
            tally.dropped["no answering call"] += 1
            continue
        tally.kept += 1
        yield Attempt(run, path[-1], summary.outcome or Outcome.UNPARSED)


def by_task(runs: Candidates, tally: Tally, recipe: str) -> Iterator[list[Attempt]]:
    """The attempts at each question, by whatever policy; one question's are held at a time. Raises UserError as
    `attempts` does."""
    return side_by_side(attempts(runs.by_task(), tally, recipe))


def side_by_side(found: Iterable[Attempt]) -> Iterator[list[Attempt]]:
    """Attempts that come task by task, a list for each task, in the order of their samples."""
    for _, group in groupby(found, key=lambda attempt: attempt.run.header.task_key):
        yield sorted(group, key=_order)


def by_policy(runs: Candidates, tally: Tally, recipe: str) -> Iterator[Group]:
    """The attempts at each prompt by one policy, as their group ids have it; one question's are held at a time. Counts
    the groups that ended early. Raises UserError as `attempts` does."""
    verified = False
    for group in policies(runs.by_task()):
        verified = verified or any(candidate.summary.outcome is not None for candidate in group)
        read = [attempt for one in group if (attempt := _read(one, tally)) is not None]
        if not read:
            continue
        early = ended_early(group)
        if early:
            tally.counts["groups_that_ended_early"] += 1
        yield Group(_policy(group[0]), tuple(sorted(read, key=_order)), early)
    _need_verified(verified, tally, recipe)


def policies(runs: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Runs that come task by task, a list for each group of attempts at one prompt by one policy."""
    for _, of_task in groupby(runs, key=lambda candidate: candidate.summary.task_key):
        groups: defaultdict[str, list[Candidate]] = defaultdict(list)
        for candidate in of_task:
            groups[_policy(candidate)].append(candidate)
        yield from groups.values()


def ended_early(group: Sequence[Candidate]) -> bool:
    """Whether a group, all of whose runs are given, has fewer attempts than it was to have, and by a rule that looks at
    their answers."""
    wanted = group[0].summary.group_samples
    return wanted is not None and len({candidate.summary.sample for candidate in group}) < wanted


class Known:
    """What the verified runs of a question tell of its answers. Answers are the same where they are so by their type.

    Where a right answer is known every other one is wrong; where none is, only those are that were found wrong.
    """

    def __init__(self, group: Iterable[Attempt]) -> None:
        self._right: set[Hashable] = set()
        self._wrong: set[Hashable] = set()
        self._type: Any = "auto"
        for attempt in group:
            self._type = attempt.run.header.task.get("answer_type", "auto")
            if (key := self.key(attempt.answer)) is not None:
                if attempt.right:
                    self._right.add(key)
                elif attempt.outcome is Outcome.WRONG:
                    self._wrong.add(key)

    def key(self, answer: str | None) -> Hashable | None:
        return None if answer is None else canonical(answer, self._type)

    def right(self, answer: str | None) -> bool | None:
        """Whether an answer is right; None where that can't be told, or there is no answer that can be read."""
        key = self.key(answer)
        if key is None:
            return None
        if key in self._right or key in self._wrong:
            return key in self._right
        return False if self._right else None


def drop_kept(tally: Tally, reason: str, number: int = 1) -> None:
    """Runs that had been kept, and are of no use after all."""
    if number:
        tally.kept -= number
        tally.dropped[reason] += number


def chance(*names: object) -> random.Random:
    """Randomness that is the same for the same names, on every machine and in every order."""
    return random.Random(blake2b("\0".join(map(str, names)).encode("utf-8", "surrogatepass"), digest_size=8).digest())


def pick(items: Sequence[T], *names: object) -> T:
    return items[chance(*names).randrange(len(items))]


def _order(attempt: Attempt) -> tuple[int, int, str]:
    header = attempt.run.header
    return header.sample, header.attempt, header.run_id


def _policy(candidate: Candidate) -> str:
    """A run without a group is a group of its own."""
    return candidate.summary.group_id or candidate.summary.run_id


def _read(candidate: Candidate, tally: Tally, oracle: bool = False) -> Attempt | None:
    """A run as an attempt; None where it is none, which is counted with its reason."""
    tally.seen += 1
    summary = candidate.summary
    reason = (
        "unfinished"
        if summary.finished is None
        else "not verified"
        if summary.outcome is None
        else "partial"
        if summary.partial
        else "run with an oracle"
        if summary.oracle and not oracle
        else None
    )
    if reason is None:
        run = candidate.load()
        path = winning_path(run)
        if not path or path[-1].completion is None:
            reason = "no answering call"
        elif not oracle and any(call.gold_in_context for call in run.calls):
            reason = "gold in context"
        else:
            assert summary.outcome is not None
            tally.kept += 1
            return Attempt(run, path[-1], summary.outcome)
    tally.dropped[reason] += 1
    return None


def _need_verified(verified: bool, tally: Tally, recipe: str) -> None:
    if tally.seen and not verified:
        raise UserError(
            f"The recipe {recipe} needs verified runs: collect tasks that have a gold answer or a verifier."
        )
