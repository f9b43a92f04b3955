"""Licences: what a row or its source states, against those that are allowed."""

from collections import Counter
from collections.abc import Sequence

from maieutic.gate.sample import Sample

UNKNOWN = "not stated"


class Licence:
    """Reason: under a licence that is not among the allowed ones, or under none that anybody has stated.

    A row's own word (`licence` in it, in its `meta` or in its task's `metadata`) goes before `default`, which is what
    was said of all of them. Without `allowed` everything passes, and is counted.
    """

    name = "licence"

    def __init__(self, default: str | None, allowed: Sequence[str]) -> None:
        self._default = default
        self._allowed = {name.casefold() for name in allowed}
        self.counts: Counter[str] = Counter()

    def __call__(self, sample: Sample) -> str | None:
        stated = sample.licence or self._default
        if self._allowed and (stated is None or stated.casefold() not in self._allowed):
            return f"licence: {stated or UNKNOWN}"
        return None

    def kept(self, sample: Sample) -> None:
        self.counts[sample.licence or self._default or UNKNOWN] += 1
