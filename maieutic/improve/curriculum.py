"""Which source comes next: decided by how the version at hand fares on what is held out of each.

By threshold (SATURN, Liu et al. 2025, arXiv 2505.16368): the first source, easiest first, that isn't mastered. By the
edge of ability: the one that is solved nearest to half of the time, where attempts tell most. Deviation from SATURN: a
source that falls below the threshold again is gone back to.
"""

from collections.abc import Mapping, Sequence

from maieutic.improve.measure import Measured
from maieutic.improve.plan import Choosing


def choose(measured: Mapping[str, Measured], held: Sequence[str], threshold: float, by: Choosing) -> int | None:
    """The place of the source to train on; None where all are at the threshold. What can't be scored isn't mastered."""
    shares = [None if (found := measured[source].accuracy) is None else found.estimate for source in held]
    open_ = [place for place, share in enumerate(shares) if share is None or share < threshold]
    if not open_:
        return None
    if by == "threshold":
        return open_[0]
    return min(open_, key=lambda place: abs((shares[place] or 0.0) - 0.5))
