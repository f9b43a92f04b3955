"""`self_rag_generator`: right answers with words of reflection among their parts: when to look up, how good a part is.

Self-RAG (Asai et al. 2023, arXiv 2310.11511), the generator's corpus: a model learns to say itself whether it wants a
passage, whether that is relevant, and how far it supports what was written from it, and at the very end of what use the
answer is. The words are the paper's. Passages are read and not learnt. Of answers with a part that is supported partly,
or not at all, and of those without a passage, only shares are kept, as in the paper's corpus; what is written from an
irrelevant passage has no word on support.

Deviations: grades are those of the runs' own grader, and there is no random irrelevant passage where none was found. A
passage is a turn of its own, since no chat template masks a part of a turn: asked so, the generator stops after
[Retrieval] and is given the passage.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from maieutic.errors import UserError
from maieutic.recipes.dialogues import asked, said
from maieutic.recipes.groups import Attempt, attempts, chance, drop_kept
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.linearise import tree_of, way_to
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import CallRecord

RETRIEVE, NO_RETRIEVAL, CONTINUE = "[Retrieval]", "[No Retrieval]", "[Continue to Use Evidence]"
RELEVANT = {"A": "[Relevant]", "B": "[Irrelevant]"}
SUPPORTED = {"A": "[Fully supported]", "B": "[Partially supported]", "C": "[No support / Contradictory]"}
USE = "[Utility:{}]"

SYSTEM = (
    "You answer a question part by part, and judge what you write. Before each part say [Retrieval] and stop, to be "
    "given a passage, or [Continue to Use Evidence] to go on with the last one, or [No Retrieval]. Say of a new "
    "passage whether it is [Relevant] or [Irrelevant]. After each part that is written from a relevant one say how far "
    "it supports the part: [Fully supported], [Partially supported] or [No support / Contradictory]. End the last part "
    "with a line Answer: <the result>, and after it say of what use the whole is, from [Utility:1] to [Utility:5]."
)

_BEFORE = "\nPassage:\n"  # as the segment writer's prompt has it
_NONE = "(none)"


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an answer, the passage it was written from, and its grades; None where there is none."""

    text: str
    passage: str | None
    relevance: str | None
    support: str | None
    use: str | None

    @property
    def graded(self) -> bool:
        """Whether all grades are there that apply."""
        alone = self.passage is None
        read = self.relevance in RELEVANT and (self.relevance == "B" or self.support in SUPPORTED)
        return self.use is not None and (alone or read)


_MISSING = _Part("", None, None, None, None)


@recipe("self_rag_generator", needs="verified runs of `self_rag`")
def self_rag_generator(
    runs: Iterable[Candidate],
    tally: Tally,
    *,
    partly: float = 0.7,
    unsupported: float = 0.25,
    plain: float = 0.4,
) -> Iterator[Dialogue]:
    """The best path of each run of the graph `self_rag` that ended right. `partly`, `unsupported` and `plain` are the
    shares that are kept of answers whose worst part is supported partly or not at all, and of those without a passage.
    Raises UserError where no run has graded parts."""
    graded = 0
    for attempt in attempts(runs, tally, "self_rag_generator"):
        parts = list(_parts(attempt))
        graded += bool(parts)
        reason = (
            "no graded parts"
            if not parts
            else "not right"
            if not attempt.right
            else "a grade or a passage is missing"
            if not all(part.graded for part in parts)
            else _left_out(attempt, parts, {"partly": partly, "unsupported": unsupported, "plain": plain})
        )
        if reason is None:
            yield _row(attempt, parts)
        else:
            drop_kept(tally, reason)
    if tally.seen and not graded:
        raise UserError("The recipe self_rag_generator needs graded parts: collect with --graph self_rag.")


def _parts(attempt: Attempt) -> Iterator[_Part]:
    """The parts of the answer that the run gave, from the first one on."""
    run, tree = attempt.run, tree_of(attempt.run)
    calls = {call.call_id: call for call in run.calls}
    grades: dict[str, dict[str, str | None]] = {}
    for event in run.events_of("label"):
        if event.fields.get("name") in ("isrel", "issup", "isuse"):
            grades.setdefault(str(event.fields.get("of")), {})[str(event.fields["name"])] = event.fields.get("value")
    last = tree.get(attempt.call.call_id)
    for node in way_to(tree, last)[1:] if last is not None else ():
        call = calls.get(node.call_id)
        shown = _shown(call) if call is not None else None
        if call is None or call.completion is None or shown is None:
            yield _MISSING
            continue
        found, text = grades.get(node.id, {}), without_thoughts(call.completion.text).strip()
        passage = None if shown == _NONE else shown
        yield _Part(text, passage, found.get("isrel"), found.get("issup"), found.get("isuse"))


def _shown(call: CallRecord) -> str | None:
    """The passage in a writer's prompt, which ends with what it is to do; None where the prompt has another form."""
    _, found, rest = str(call.request.messages[-1]["content"]).partition(_BEFORE)
    return rest.rpartition("\n\n")[0].strip() if found else None


def _left_out(attempt: Attempt, parts: list[_Part], shares: dict[str, float]) -> str | None:
    """Why an answer is among those of which only a share is kept; None where it is kept."""
    supports = {part.support for part in parts if part.passage is not None and part.relevance != "B"}
    kind, reason = (
        ("plain", "more without a passage than wanted")
        if all(part.passage is None for part in parts)
        else ("unsupported", "more without support than wanted")
        if not supports or "C" in supports
        else ("partly", "more with partial support than wanted")
        if "B" in supports
        else ("", "")
    )
    kept = not kind or chance("self_rag", attempt.run.header.run_id).random() < shares[kind]
    return None if kept else reason


def _row(attempt: Attempt, parts: list[_Part]) -> Dialogue:
    turns = [*asked(attempt.run, SYSTEM)]
    said_now: list[str] = []
    before: str | None = None
    for part in parts:
        if part.passage is None:
            said_now += [NO_RETRIEVAL, part.text]
        elif part.passage == before:
            said_now += [CONTINUE, part.text, *_support(part)]
        else:
            turns += [said("\n".join([*said_now, RETRIEVE])), _passage(part.passage)]
            said_now = [RELEVANT[str(part.relevance)], part.text, *_support(part)]
        before = part.passage
    turns.append(said("\n".join([*said_now, USE.format(parts[-1].use)])))
    passages = len({part.passage for part in parts} - {None})
    return Dialogue(tuple(turns), (attempt.run.header.run_id,), {"parts": len(parts), "passages": passages})


def _support(part: _Part) -> list[str]:
    return [] if part.relevance == "B" else [SUPPORTED[str(part.support)]]


def _passage(text: str) -> Turn:
    return Turn({"role": "user", "content": f"<paragraph>{text}</paragraph>"}, author="tool")
