"""`self_rag_critic`: parts of answers with their three grades, for a critic that grades them all in one reply.

Self-RAG (Asai et al. 2023, arXiv 2310.11511): relevance of the passage, support of the part by it, and use of the part.
A part is shown as its grader saw it; a part with a grade that is missing gives no row. Passages stand in the row, so
irrelevant ones get no grade of support: that is asked of relevant ones only, as in the paper's corpus.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from maieutic.errors import UserError
from maieutic.recipes.groups import attempts, drop_kept
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.trace.record import CallRecord, RunRecord
from maieutic.types import Message

FORM = "Relevance: <A or B>\nSupport: <A, B or C; nothing where the passage is not relevant>\nUse: <1 to 5>"
NAMES = {"isrel": "Relevance", "issup": "Support", "isuse": "Use"}


@recipe("self_rag_critic", needs="verified runs of `self_rag`")
def self_rag_critic(
    runs: Iterable[Candidate], tally: Tally, *, sure: float = 0.0, role: str = "passage-grader"
) -> Iterator[Dialogue]:
    """Runs of the graph `self_rag` that ended right or wrong alike: grades are of parts. `sure` is the least share that
    each grade's own option must have had. Raises UserError where no part was graded."""
    graded = 0
    for attempt in attempts(runs, tally, "self_rag_critic"):
        rows = list(_rows(attempt.run, tally, sure, role))
        graded += len(rows)
        if not rows:
            drop_kept(tally, "no part with all grades")
        yield from rows
    if tally.seen and not graded and not tally.counts["parts_with_a_missing_grade_left_out"]:
        raise UserError("The recipe self_rag_critic needs graded parts: collect with --graph self_rag.")


def _rows(run: RunRecord, tally: Tally, sure: float, role: str) -> Iterator[Dialogue]:
    labels: dict[str, dict[str, Any]] = {}
    for event in run.events_of("label"):
        if event.fields.get("name") in NAMES:
            labels.setdefault(str(event.fields.get("of")), {})[str(event.fields["name"])] = event.fields
    for of, grades in labels.items():
        call = _grading(run, of, role)
        if call is None:
            continue
        alone = "Passage:\n(none)" in str(call.request.messages[-1]["content"])
        if any(not _known(grades.get(name), sure) for name in (["isuse"] if alone else NAMES)):
            tally.counts["parts_with_a_missing_grade_left_out"] += 1
            continue
        values = {
            name: str(grades[name]["value"]) for name in NAMES if name in grades and grades[name]["value"] is not None
        }
        yield _row(run, of, call, values)


def _known(grade: dict[str, Any] | None, sure: float) -> bool:
    if grade is None or grade.get("value") is None:
        return False
    return float((grade.get("shares") or {}).get(grade["value"], 0.0)) >= sure


def _grading(run: RunRecord, of: str, role: str) -> CallRecord | None:
    """The first question that the grader was asked about a part."""
    found = (c for c in run.calls if c.role == role and any(p.call_id == of and p.type == "judge" for p in c.parents))
    return next(found, None)


def _row(run: RunRecord, of: str, call: CallRecord, values: dict[str, str]) -> Dialogue:
    system, *_ = call.request.messages
    shown = _unasked(str(call.request.messages[-1]["content"]))
    if values.get("isrel") == "B":
        values = {name: value for name, value in values.items() if name != "issup"}
    said = "\n".join(f"{NAMES[name]}: {values[name]}" for name in NAMES if name in values)
    asked: Message = {"role": "user", "content": f"{shown}\n\nGrade it:\n{FORM}"}
    turns = (
        Turn(system, author="template"),
        Turn(asked, author="template"),
        Turn({"role": "assistant", "content": said}, learn=True, author="critic"),
    )
    return Dialogue(turns, (run.header.run_id,), {"part": of, **values})


def _unasked(shown: str) -> str:
    """What the grader was shown, without the question for one of the grades that stands at its end."""
    return shown.rsplit("\n\n", 1)[0]
