"""`leap_t`: right paths of thought that summed themselves up and read what their peers had found.

LeaP-T (Luo et al. 2025, arXiv 2505.07787): a path is kept where its answer is right and all its summaries are short. Of
a path all is learnt that it said itself; what peers wrote was put into its prompts, and is never trained on. A path
that took part in no exchange is left out: learning from such traces alone was found to bring nothing.
"""

from collections.abc import Iterator

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Attempt, Known, by_task, drop_kept
from maieutic.recipes.items import Episode
from maieutic.recipes.recipe import Tally, recipe
from maieutic.tasks.answers import extract
from maieutic.trace.record import CallRecord, RunEvent


@recipe("leap_t", needs="verified runs of `peers`")
def leap_t(
    runs: Candidates, tally: Tally, *, longest: int = 256, least: int = 1, role: str = "peer"
) -> Iterator[Episode]:
    """Paths with `least` summaries or more, each of fewer than `longest` tokens. Raises UserError where no run has
    peers that sum up."""
    summed = False
    for group in by_task(runs, tally, "leap_t"):
        known = Known(group)
        for attempt in group:
            summaries = _summaries(attempt)
            summed = summed or bool(summaries)
            found = list(_paths(attempt, summaries, known, tally, longest, least, role))
            if not found:
                drop_kept(tally, "no right path with short summaries" if summaries else "no peers that sum up")
            yield from found
    if tally.seen and not summed:
        raise UserError("The recipe leap_t needs peers that sum up: collect with --graph peers.")


def _summaries(attempt: Attempt) -> dict[str, list[RunEvent]]:
    """What each path said of itself, by its name."""
    found: dict[str, list[RunEvent]] = {}
    for event in attempt.run.events_of("note"):
        if "summary" in event.fields and "path" in event.fields:
            found.setdefault(str(event.fields["path"]), []).append(event)
    return found


def _paths(
    attempt: Attempt,
    summaries: dict[str, list[RunEvent]],
    known: Known,
    tally: Tally,
    longest: int,
    least: int,
    role: str,
) -> Iterator[Episode]:
    calls = {call.call_id: call for call in attempt.run.calls}
    for name, events in summaries.items():
        own = [call for call in attempt.run.calls if call.branch.rsplit("/", 1)[-1] == name and call.role == role]
        if not own or own[-1].error or own[-1].completion is None or own[-1].completion.finish_reason != "stop":
            continue
        if not known.right(extract(_turn(own[-1]), attempt.run.header.task.get("answer_type", "auto"))):
            continue
        lengths = [_tokens(calls.get(str(event.fields.get("call_id"))), event) for event in events]
        if len(lengths) < least or any(length is None or length >= longest for length in lengths):
            tally.counts["right_paths_with_long_or_missing_summaries"] += 1
            continue
        said = tuple(call for call in own if call.completion is not None and not call.cancelled)
        yield Episode(attempt.run, said, {"path": name, "summaries": len(lengths)})


def _turn(call: CallRecord) -> str:
    """The whole last turn, what stood before the reply included."""
    before = call.request.messages[-1]["content"] if call.request.goes_on else ""
    return f"{before or ''}{call.completion.text if call.completion else ''}"


def _tokens(call: CallRecord | None, event: RunEvent) -> int | None:
    """How long a summary is; None where it said nothing, or its length is not known."""
    if not event.fields.get("summary") or call is None or call.completion is None:
        return None
    ids = call.completion.token_ids
    return len(ids) if ids is not None else call.completion.usage.completion_tokens or None
