"""`mem1`: the turns of a researcher that carries one memory, each with the short prompt that it had.

MEM1 (Zhou et al. 2025, arXiv 2506.15841): a turn is learnt from what it saw, which is the task, the memory before it,
the last action and its result, and nothing older. So each turn is a row of its own; one row of the whole run would
train on prompts that never were.
"""

from collections.abc import Iterable, Iterator

from maieutic.errors import UserError
from maieutic.recipes.groups import attempts, drop_kept
from maieutic.recipes.items import Episode
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.trace.record import CallRecord, RunRecord

MARK = "<memory>"


@recipe("mem1", needs="verified runs of `deep_research` with a memory")
def mem1(runs: Iterable[Candidate], tally: Tally, *, role: str = "researcher") -> Iterator[Episode]:
    """The turns of `role` in runs that ended right. A turn whose memory had to be asked for again, or put right by
    rule, is left out and counted. Raises UserError where no run carried a memory."""
    carried = 0
    for attempt in attempts(runs, tally, "mem1"):
        turns = [call for call in attempt.run.calls if call.role == role and call.completion is not None]
        turns = [call for call in turns if not any(parent.type == "retry" for parent in call.parents)]
        in_memory = any(MARK in str(call.request.messages) for call in turns)
        carried += in_memory
        if not in_memory or not attempt.right:
            drop_kept(tally, "not right" if in_memory else "no memory was carried")
            continue
        mended = _mended(attempt.run)
        for number, call in enumerate(turns, 1):
            if call.call_id in mended or not _rewrites(call, last=number == len(turns)):
                tally.counts["turns_with_a_mended_memory_left_out"] += 1
            else:
                yield Episode(attempt.run, (call,), {"turn": number, "turns": len(turns)})
    if tally.seen and not carried:
        raise UserError("The recipe mem1 needs runs with a memory: collect deep_research with --set context=memory.")


def _rewrites(call: CallRecord, last: bool) -> bool:
    """Whether a turn wrote its memory anew, which the last one, the answer, need not do."""
    return last or (call.completion is not None and MARK in call.completion.text)


def _mended(run: RunRecord) -> set[str]:
    """The calls whose memory was not as it has to be: the turns themselves, not the repairs."""
    repaired = {e.fields.get("call_id") for e in run.events_of("note") if e.fields.get("memory")}
    parents = {call.call_id: [p.call_id for p in call.parents if p.type == "retry"] for call in run.calls}
    found = {str(call_id) for call_id in repaired}
    return found | {up for call_id in found for up in parents.get(call_id, ())}
