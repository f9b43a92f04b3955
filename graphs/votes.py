"""Votes over answers that are compared by type, never by the similarity of whole replies."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from maieutic.agents.speech import Solution
from maieutic.tasks.abstention import abstains
from maieutic.tasks.answers import canonical
from maieutic.tasks.task import AnswerType


@dataclass(frozen=True, slots=True)
class Tally:
    """Groups of solutions with equivalent answers, largest first; of equal groups, the one that got there first.

    "First" goes by the order in which the solutions are given, which is that of their branches and not of the clock, so
    that a seeded vote has one outcome.

    Solutions without a readable answer of the task's type are abstentions, and so are those that say "I don't know":
    they are counted, and they vote for nothing.

    `weights` are those of the groups, where votes do not all weigh the same: then the weightiest group comes first.
    """

    groups: tuple[tuple[Solution, ...], ...]
    abstained: int
    weights: tuple[float, ...] | None = None

    @classmethod
    def of(cls, solutions: Sequence[Solution], answer_type: AnswerType) -> "Tally":
        """Count `solutions`, given in the order of their branches."""
        said: dict[str, list[int]] = {}  # a vote is counted again with each answer that comes in: each text once
        for i, solution in enumerate(solutions):
            if solution.answer is not None:
                said.setdefault(str(solution.answer), []).append(i)
        groups: dict[Hashable, list[int]] = {}
        for answer, members in said.items():
            key = None if abstains(answer) else canonical(answer, answer_type)
            if key is not None:
                groups.setdefault(key, []).extend(members)
        ranked = sorted(map(sorted, groups.values()), key=lambda members: (-len(members), members[-1]))
        abstained = len(solutions) - sum(map(len, ranked))
        return cls(tuple(tuple(solutions[i] for i in members) for members in ranked), abstained)

    @property
    def winner(self) -> Solution | None:
        """The first solution of the leading group; None where nobody voted."""
        return self.groups[0][0] if self.groups else None

    @property
    def unanimous(self) -> bool:
        return len(self.groups) == 1 and self.abstained == 0

    @property
    def voters(self) -> list[Solution]:
        """The solutions that voted, group by group."""
        return [solution for group in self.groups for solution in group]

    @property
    def share(self) -> float | None:
        """The winner's share of the votes and abstentions, by weight where there are weights; None without a vote."""
        if not self.groups:
            return None
        weights = self.weights or tuple(map(len, self.groups))
        votes = sum(map(len, self.groups))
        return weights[0] / sum(weights) * votes / (votes + self.abstained)

    def weighed(self, weights: Mapping[str, float | None]) -> "Tally":
        """The same groups by the sums of their votes' `weights`, which are named by call.

        A vote without a weight weighs as much as the others in the mean, so that what is missing neither adds nor takes
        away; where none has one, or all are zero, the votes are counted as they were.
        """
        known = [weight for voter in self.voters if (weight := weights.get(voter.call_id)) is not None]
        if not sum(known):
            return self
        mean = sum(known) / len(known)
        sums = [sum(_or(weights.get(solution.call_id), mean) for solution in group) for group in self.groups]
        order = sorted(range(len(sums)), key=lambda i: -round(sums[i], 9))
        return replace(self, groups=tuple(self.groups[i] for i in order), weights=tuple(sums[i] for i in order))

    def counts(self) -> dict[str, int]:
        """Votes by answer, as the answer was first written."""
        return {str(members[0].answer): len(members) for members in self.groups}

    def needed(self, remaining: int, ordered: bool = True) -> int:
        """The fewest further votes that could settle it; 0 when the remaining ones can't change the winner.

        `ordered` says that the remaining votes come after those counted: then a rival must overtake the leader, since
        at equal size the one that got there first stays in front. Otherwise a draw may change the winner too.
        """
        lead, second = (len(g) for g in (*self.groups[:2], (), ())[:2])
        short = second + remaining - lead + (not ordered and remaining > 0)
        return max(0, min(remaining, -(-short // 2)))


def _or(weight: float | None, instead: float) -> float:
    return instead if weight is None else weight
