"""`debate_pairs`: answers revised after reading others: what changed for the better above what changed for the worse.

Two debaters of a round read nearly the same and part: one went from wrong to right, or stayed right; the other let
itself be talked out of a right answer (conformity). ReConcile's data (Chen et al. 2023, arXiv 2309.13007).
"""

from collections.abc import Iterable, Iterator

from maieutic.recipes.groups import attempts, drop_kept
from maieutic.recipes.items import Judged, Reply
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.tasks.answers import canonical, extract
from maieutic.trace.record import CallRecord


@recipe("debate_pairs", needs="verified runs of a debate")
def debate_pairs(runs: Iterable[Candidate], tally: Tally, *, role: str = "debater") -> Iterator[Judged]:
    """Each revision of `role` in runs that ended right: wanted where it is right, unwanted where it was right before.

    The run's own answer, which was verified, tells what is right; a revision from wrong to wrong teaches nothing.
    """
    for attempt in attempts(runs, tally, "debate_pairs"):
        if not attempt.right or attempt.answer is None:
            drop_kept(tally, "did not end right")
            continue
        kind = attempt.run.header.task.get("answer_type", "auto")
        gold = canonical(attempt.answer, kind)
        calls = {call.call_id: call for call in attempt.run.calls}
        found = 0
        for call in attempt.run.calls:
            before = next((calls.get(p.call_id) for p in call.parents if p.type == "continuation"), None)
            speaks = call.role == role or call.role.startswith(f"{role}-")  # panelist-2 is a panelist
            if not speaks or before is None or call.completion is None or call.request.goes_on:
                continue
            was, now = _key(before, kind) == gold, _key(call, kind) == gold
            if not was and not now:
                continue
            found += 1
            meta = {"before": "right" if was else "wrong", "after": "right" if now else "wrong"}
            reply = Reply(call.completion.message(), call)
            yield Judged(call.request.messages, reply, now, (attempt.run.header.run_id,), meta)
        if not found:
            drop_kept(tally, "nobody revised a right answer or found one")


def _key(call: CallRecord, kind: str) -> object:
    said = extract(call.completion.text, kind) if call.completion else None  # type: ignore[arg-type]
    return None if said is None else canonical(said, kind)
