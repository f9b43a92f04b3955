"""What the gate looks at before rows are made of runs, because no row tells of it: difficulty, and how calls ended."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from maieutic.gate.difficulty import Difficulty
from maieutic.gate.endings import CUT
from maieutic.llm.loops import REPETITION
from maieutic.recipes.items import Dialogue, Episode, Item, Judged, Pair, Spans
from maieutic.recipes.recipe import Candidate, Tally
from maieutic.trace.record import CallRecord


@dataclass(frozen=True, slots=True)
class Sieve:
    """`difficulty` and `cut` are off where they are None and False."""

    difficulty: Difficulty | None
    cut: bool

    def runs(self, runs: Iterable[Candidate], tally: Tally) -> Iterator[Candidate]:
        return iter(runs) if self.difficulty is None else self.difficulty.runs(runs, tally)

    def items(self, items: Iterable[Item], tally: Tally) -> Iterator[Item]:
        """Items whose learnt replies ended by themselves; the others are counted."""
        for item in items:
            reasons = {call.completion.finish_reason for call in learnt(item) if call.completion is not None}
            if self.cut and reasons & {*CUT, REPETITION}:
                tally.counts["items_cut_short_or_looping"] += 1
            else:
                yield item


def learnt(item: Item) -> list[CallRecord]:
    """The recorded calls that an item teaches."""
    match item:
        case Episode():
            return list(item.calls)
        case Dialogue():
            return [turn.call for turn in item.turns if turn.learn and turn.call is not None]
        case Pair():
            return [side.call for side in (item.chosen, item.rejected) if side.call is not None]
        case Judged() | Spans():
            return [item.reply.call] if item.reply.call is not None else []
        case _:
            return []
