"""`re_rest`: an agent's own successes, and what a reflector made of its failures (Dou et al. 2024, arXiv 2406.01495).

Two kinds of rows: the question and a right answer, whoever wrote it, without the failure before it (`rows=agent`); and
the failure with its feedback and the right answer that came of it (`rows=reflector`).
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from maieutic.errors import UserError
from maieutic.recipes.groups import Attempt, attempts, drop_kept
from maieutic.recipes.items import Dialogue, Episode, Item, Turn
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.recipes.solved import winning_path
from maieutic.trace.record import CallRecord

REFLECTIVE = ("reflection", "critique", "retry")


@recipe("re_rest", needs="verified runs of `reflect` or `critique`", gives="calls, dialogues")
def re_rest(
    runs: Iterable[Candidate], tally: Tally, *, rows: Literal["agent", "reflector", "both"] = "both"
) -> Iterator[Item]:
    """Needs runs of a graph that tries again after feedback (`reflect`, `critique`). Raises UserError without any."""
    reflected = 0
    for attempt in attempts(runs, tally, "re_rest"):
        if not attempt.right:
            drop_kept(tally, "not right")
            continue
        failures = _failures(attempt)
        reflected += bool(failures)
        if rows != "reflector":
            yield _agent(attempt, failures)
        if rows != "agent" and failures and not attempt.call.request.goes_on:
            yield Episode(attempt.run, (attempt.call,), {"row": "reflector"})
        elif rows == "reflector":
            drop_kept(tally, "right at once")
    if tally.seen and not reflected and rows == "reflector":
        raise UserError("The recipe re_rest found no second attempt: collect with a graph such as reflect or critique.")


def _agent(attempt: Attempt, failures: list[CallRecord]) -> Item:
    """A success of the first attempt as it was; a later one put under the first attempt's question."""
    if not failures:
        return Episode(attempt.run, winning_path(attempt.run), {"row": "agent", "reflected": False})
    asked = tuple(Turn(message, author="template") for message in failures[0].request.messages)
    said = Turn({"role": "assistant", "content": attempt.text}, learn=True)
    return Dialogue((*asked, said), (attempt.run.header.run_id,), {"row": "agent", "reflected": True})


def _failures(attempt: Attempt) -> list[CallRecord]:
    """The first attempts that the answering call builds on by reflection, earliest first."""
    calls = {call.call_id: call for call in attempt.run.calls}
    found: list[CallRecord] = []
    agenda = [attempt.call]
    seen = {attempt.call.call_id}
    while agenda:
        for parent in agenda.pop().parents:
            before = calls.get(parent.call_id)
            if before is not None and before.call_id not in seen and parent.type in (*REFLECTIVE, "continuation"):
                seen.add(before.call_id)
                agenda.append(before)
                if parent.type in REFLECTIVE and before.role == "solver":
                    found.append(before)
    return sorted(found, key=lambda call: call.t0)
