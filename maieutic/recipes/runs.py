"""`runs`: every finished run whole, with all its calls: for formats that show a run rather than teach from it."""

from collections.abc import Iterable, Iterator

from maieutic.recipes.items import Episode
from maieutic.recipes.recipe import Candidate, Tally, recipe


@recipe("runs", needs="any runs")
def runs(runs: Iterable[Candidate], tally: Tally, *, unfinished: bool = False) -> Iterator[Episode]:
    """`unfinished` takes those in, too, that were killed or still run."""
    for candidate in runs:
        tally.seen += 1
        if candidate.summary.finished is None and not unfinished:
            tally.dropped["unfinished"] += 1
            continue
        tally.kept += 1
        run = candidate.load()
        yield Episode(run, run.calls)
