"""`step_labels`: solutions with each step labelled, for process reward models.

From a critic that names the first wrong step (AutoMathCritique, Xi et al. 2024, arXiv 2411.16579): the steps before it
are right, it is wrong, and what follows is not labelled, since nothing follows from a wrong step. From a search tree:
each step's mean value, as Math-Shepherd (Wang et al. 2023, arXiv 2312.08935) has it of samples.
"""

from collections.abc import Iterator
from typing import Literal

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import asked, lines_of, messages_of
from maieutic.recipes.groups import Attempt, Known, by_task, drop_kept
from maieutic.recipes.items import Reply, Spans
from maieutic.recipes.linearise import TreeNode, tree_of, way_to
from maieutic.recipes.recipe import Tally, recipe
from maieutic.tasks.answers import extract
from maieutic.trace.record import CallRecord, RunEvent


@recipe("step_labels", needs="verified runs of `critique`, `planner` or `tree`")
def step_labels(
    runs: Candidates, tally: Tally, *, labels: Literal["critic", "tree", "both"] = "both", agree: bool = True
) -> Iterator[Spans]:
    """Runs of graphs with the critic (`critique`, `planner`) or of `tree`. `agree` keeps a critic's labels only where
    its verdict agrees with what is known of the solution's answer: no wrong step where that is right, one where it is
    wrong. Weights are 1 and -1, or the mean value on [-1, 1]. Raises UserError where no run has labels.
    """
    labelled = False
    for group in by_task(runs, tally, "step_labels"):
        known = Known(group)
        for attempt in group:
            items: list[Spans] = []
            if labels != "tree":
                items += _criticised(attempt, known, tally, agree)
            if labels != "critic":
                items += _valued(attempt)
            labelled = labelled or bool(attempt.run.events_of("verdict") or attempt.run.events_of("tree"))
            if not items:
                drop_kept(tally, "no step was labelled")
            yield from items
    if tally.seen and not labelled:
        raise UserError("The recipe step_labels found no labelled step: collect with a graph such as critique or tree.")


def _criticised(attempt: Attempt, known: Known, tally: Tally, agree: bool) -> Iterator[Spans]:
    calls = {call.call_id: call for call in attempt.run.calls}
    for event in attempt.run.events_of("verdict"):
        call = calls.get(str(event.fields.get("of")))
        if call is None or call.completion is None or call.request.goes_on or event.fields.get("accepts") is None:
            continue
        text, accepts = call.completion.text, event.fields["accepts"]
        right = known.right(extract(text, attempt.run.header.task.get("answer_type", "auto")))
        if agree and right is not accepts:
            tally.counts["verdicts_that_the_outcome_does_not_bear_out"] += 1
            continue
        if spans := _labelled(text, event):
            meta = {"labels": "critic", "right": right, "first_wrong": event.fields.get("first_wrong")}
            yield _item(attempt, call, spans, meta)


def _labelled(text: str, event: RunEvent) -> tuple[tuple[int, int, float], ...]:
    """The steps up to the first wrong one with their labels; nothing where that one is not there."""
    lines, wrong = lines_of(text), event.fields.get("first_wrong")
    if wrong is None:
        return tuple((start, end, 1.0) for start, end in lines)
    if not isinstance(wrong, int) or not 1 <= wrong <= len(lines):
        return ()
    return tuple((start, end, 1.0 if i < wrong else -1.0) for i, (start, end) in enumerate(lines[:wrong], 1))


def _item(
    attempt: Attempt, call: CallRecord, spans: tuple[tuple[int, int, float], ...], meta: dict[str, object]
) -> Spans:
    assert call.completion is not None
    reply = Reply(call.completion.message(), call)
    return Spans(call.request.messages, reply, spans, (attempt.run.header.run_id,), meta)


def _valued(attempt: Attempt) -> Iterator[Spans]:
    """The ways to the leaves of a search; a step whose value is missing has no label."""
    tree = tree_of(attempt.run)
    for leaf in tree.values():
        way = way_to(tree, leaf)[1:] if leaf.terminal and leaf.answer is not None else []
        text, spans = _joined(way)
        if spans:
            reply = Reply({"role": "assistant", "content": text})
            prompt = messages_of(asked(attempt.run))
            yield Spans(prompt, reply, spans, (attempt.run.header.run_id,), {"labels": "tree", "leaf": leaf.id})


def _joined(way: list[TreeNode]) -> tuple[str, tuple[tuple[int, int, float], ...]]:
    text, spans = "", []
    for node in way:
        text += "\n\n" if text else ""
        if node.worth is not None:
            weight = max(-1.0, min(1.0, 2 * node.worth - 1))
            spans.append((len(text), len(text) + len(node.action), weight))
        text += node.action + (f"\n{node.observation}" if node.observation is not None else "")
    return text, tuple(spans)
