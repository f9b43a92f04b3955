"""Promotion: whether a new version takes the old one's place, decided on the same questions, by rule.

It has to be better on what it was trained for, significantly or by a margin, and significantly worse on no older set.
Both versions' shares of right samples are compared question by question, with a 95 % bootstrap interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maieutic.improve import sources
from maieutic.improve.measure import Measured
from maieutic.stats import Interval, paired_bootstrap


@dataclass(frozen=True, slots=True)
class Change:
    """What became of accuracy at temperature 1 on one set; `difference` is None where nothing could be compared."""

    source: str
    trained: bool
    difference: Interval | None

    @property
    def worse(self) -> bool:
        return self.difference is not None and self.difference.high < 0

    @property
    def better(self) -> bool:
        return self.difference is not None and self.difference.low > 0

    def in_words(self) -> str:
        """As "+4.5 points [+1.2, +7.9], n = 200"."""
        if self.difference is None:
            return "not compared"
        estimate, low, high = (100 * x for x in (self.difference.estimate, self.difference.low, self.difference.high))
        return f"{estimate:+.1f} points [{low:+.1f}, {high:+.1f}], n = {self.difference.n}"


@dataclass(frozen=True, slots=True)
class Decision:
    """`reasons` are sentences, one at least."""

    promoted: bool
    reasons: tuple[str, ...]
    changes: tuple[Change, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Decision":
        changes = tuple(
            Change(c["source"], c["trained"], None if c["difference"] is None else Interval(**c["difference"]))
            for c in data["changes"]
        )
        return cls(bool(data["promoted"]), tuple(data["reasons"]), changes)


def decide(
    before: Mapping[str, Measured],
    after: Mapping[str, Measured],
    trained: str,
    older: Sequence[str],
    margin: float | None = None,
) -> Decision:
    """Decide between two versions' figures by set. `margin` is a share: 0.05 are five points."""
    gain = _change(before[trained], after[trained], trained, True)
    changes = [_change(before[source], after[source], source, False) for source in older if source != trained]
    lost = [change for change in changes if change.worse]
    unknown = [change for change in (gain, *changes) if change.difference is None]
    enough = gain.better or (
        margin is not None and gain.difference is not None and gain.difference.estimate >= margin and not gain.worse
    )
    reasons = [f"Nothing could be compared on {sources.label(change.source)}." for change in unknown]
    reasons += [f"Worse on {sources.label(change.source)}: {change.in_words()}." for change in lost]
    if gain.difference is not None:
        said = "Better" if gain.better else "Better by the margin" if enough else "Not better"
        reasons.append(f"{said} on {sources.label(trained)}, which it was trained for: {gain.in_words()}.")
    return Decision(enough and not lost and not unknown, tuple(reasons), (gain, *changes))


def _change(before: Measured, after: Measured, source: str, trained: bool) -> Change:
    both = [task for task in before.shares if task in after.shares]
    if not both:
        return Change(source, trained, None)
    return Change(source, trained, paired_bootstrap([before.shares[t] for t in both], [after.shares[t] for t in both]))
