"""`sim_rag_critic`: the turns of a search, each with whether its answer was right, for a critic of sufficiency.

SIM-RAG (Yang et al. 2025, arXiv 2505.02811): a question is taken through all turns, also after a right answer, and each
turn gives a row. Wrong turns are many, and are drawn down to as many as right ones; training and test rows differ by
question, never by turn. What is judged stands at the end, and only passages are cut where the row would be too long.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.drawn import Lot, drawn
from maieutic.recipes.groups import Attempt, Known, by_task, chance, drop_kept
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import CallRecord

SYSTEM = (
    "You judge whether an answer may be given as it is: whether the passages are enough to be sure of it, and the "
    "rationale follows from them. Reply with a line that holds only your verdict:\nSufficient: <yes or no>"
)


@dataclass(frozen=True, slots=True)
class _Judged:
    attempt: Attempt
    call: CallRecord
    turn: int
    right: bool


@recipe("sim_rag_critic", needs="verified runs of `sim_rag`")
def sim_rag_critic(
    runs: Candidates,
    tally: Tally,
    *,
    split: Literal["all", "train", "test"] = "all",
    test_share: float = 0.2,
    balance: bool = True,
    longest: int = 12_000,
) -> Iterator[Dialogue]:
    """Runs of the graph `sim_rag`, best with its `self_practice`. `split` takes the rows of one part of the questions,
    of which `test_share` are for the test; `balance` draws the more frequent verdict down; of question and passages
    `longest` characters are shown. An answer that can't be read is not sufficient; one of which nothing is known is
    left out. Raises UserError where no run was through such turns.
    """
    found = _found(runs, tally, split, test_share)
    if not balance:
        yield from (_row(one, longest) for one in found)
        return
    lots = (_lot(one, longest) for one in found)
    yield from drawn(lots, lambda sides: _as_the_rarer(sides, tally))


def _found(runs: Candidates, tally: Tally, split: str, test_share: float) -> Iterator[_Judged]:
    turns = 0
    for group in by_task(runs, tally, "sim_rag_critic"):
        key = group[0].run.header.task_key
        if split != "all" and (chance("sim_rag", key).random() < test_share) != (split == "test"):
            drop_kept(tally, "in the other split", len(group))
            turns += len(group)
            continue
        known = Known(group)
        for attempt in group:
            judged = list(_turns(attempt, known, tally))
            turns += len(judged)
            yield from judged
            if not judged:
                drop_kept(tally, "no turn can be judged")
    if tally.seen and not turns:
        raise UserError(
            "The recipe sim_rag_critic needs turns with answers: collect --graph sim_rag --set self_practice=true."
        )


def _turns(attempt: Attempt, known: Known, tally: Tally) -> Iterator[_Judged]:
    calls = {call.call_id: call for call in attempt.run.calls}
    for event in attempt.run.events_of("gate"):
        inputs = event.fields.get("inputs") or {}
        call = calls.get(str(inputs.get("of")))
        if event.fields.get("gate") != "sufficiency" or call is None or call.completion is None:
            continue
        right = False if inputs.get("answer") is None or inputs.get("abstained") else known.right(inputs["answer"])
        if right is None:
            tally.counts["turns_of_unknown_truth_left_out"] += 1
        else:
            yield _Judged(attempt, call, int(inputs.get("turn", 0)), right)


def _lot(one: _Judged, longest: int) -> Lot:
    draw = chance("balance", one.attempt.run.header.run_id, one.turn).random()
    return str(one.right), draw, _row(one, longest)


def _as_the_rarer(sides: dict[str, int], tally: Tally) -> dict[str, int]:
    """As many of each verdict as the rarer one has."""
    least = min(sides.get(side, 0) for side in ("True", "False"))
    tally.counts["turns_of_the_more_frequent_verdict_left_out"] += sum(sides.values()) - 2 * least
    return dict.fromkeys(sides, least)


def _row(one: _Judged, longest: int) -> Dialogue:
    """The row's question ends with what is judged, whole."""
    assert one.call.completion is not None
    seen = str(one.call.request.messages[-1]["content"])
    seen = seen if len(seen) <= longest else f"{seen[:longest].rstrip()} … [cut]"
    asked = f"{seen}\n\nRationale and answer to judge:\n{without_thoughts(one.call.completion.text).strip()}"
    verdict = f"Sufficient: {'yes' if one.right else 'no'}"
    turns = (
        Turn({"role": "system", "content": SYSTEM}, author="template"),
        Turn({"role": "user", "content": asked}, author="template"),
        Turn({"role": "assistant", "content": verdict}, learn=True, author="template"),
    )
    header = one.attempt.run.header
    return Dialogue(turns, (header.run_id,), {"question": header.task_key, "turn": one.turn, "label": int(one.right)})
