"""`solved`: unaided runs whose answer was verified as correct, reduced to the conversation that gave the answer.

What only helped it along (critiques, other debaters, losing samples, a first draft) was read by the answering call, but
is no example of solving: it is material for other recipes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.items import Episode
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.tasks.founded import unfounded
from maieutic.trace.record import CallRecord, RunRecord, RunSummary
from maieutic.types import Outcome

_WHOLE = ("stop", "tool_calls", "function_call")  # finish reasons of a reply that the model itself ended


@recipe("solved", needs="verified runs")
def solved(
    runs: Candidates, tally: Tally, *, per_question: int | None = None, steps: bool = False
) -> Iterator[Episode]:
    """`per_question` keeps at most so many different solutions of a question, the shortest ones (ReFT, Luong et al.
    2024, arXiv 2401.08967, learns from several paths to one answer); without it every run is kept. With `steps` the
    answer has to follow from the equations that are written down, too (`maieutic.tasks.founded`)."""
    if per_question is None:
        yield from _solved(runs, tally, steps)
        return
    for _, found in groupby(_solved(runs.by_task(), tally, steps), key=lambda episode: episode.run.header.task_key):
        yield from _different(found, tally, per_question)


def _solved(runs: Iterable[Candidate], tally: Tally, steps: bool) -> Iterator[Episode]:
    for candidate in runs:
        tally.seen += 1
        reason = reject_summary(candidate.summary)
        if reason is not None:
            tally.dropped[reason] += 1
            continue
        run = candidate.load()
        path = winning_path(run)
        reason = reject_path(run, path) or (reject_steps(run, path) if steps else None)
        if reason is not None:
            tally.dropped[reason] += 1
            continue
        tally.kept += 1
        tally.counts["calls_not_on_the_path"] += len(run.calls) - len(path)
        yield Episode(run, path)


def _different(found: Iterable[Episode], tally: Tally, most: int) -> Iterator[Episode]:
    """At most `most` episodes of one question, of which no two say the same but for white space and case."""
    texts: defaultdict[str, list[Episode]] = defaultdict(list)
    for episode in found:
        said = " ".join(call.completion.text for call in episode.calls if call.completion)
        texts[" ".join(said.casefold().split())].append(episode)
    for rank, text in enumerate(sorted(texts, key=lambda text: (len(text), text))):
        first, *others = texts[text]
        if rank < most:
            yield first
            _drop(tally, "said already", len(others))
        else:
            _drop(tally, f"more than {most} of a question", len(others) + 1)


def _drop(tally: Tally, reason: str, number: int) -> None:
    if number:
        tally.kept -= number
        tally.dropped[reason] += number


def reject_summary(summary: RunSummary) -> str | None:
    """Why a run is no unaided, complete, correct one, as far as can be told without reading it."""
    if summary.finished is None:
        return "unfinished"
    if summary.outcome is None:
        return "not verified"
    if summary.outcome is not Outcome.CORRECT:
        return summary.outcome.replace("_", " ")
    if summary.partial is not False:
        return "partial"
    return "run with an oracle" if summary.oracle else None


def reject_path(run: RunRecord, path: tuple[CallRecord, ...]) -> str | None:
    """Why a path is not the model's own whole work."""
    if any(call.gold_in_context for call in run.calls):
        return "gold in context"
    if not path:
        return "no answering call"
    if any(call.error or call.cancelled or call.completion is None for call in path):
        return "failed call"
    reasons = {call.completion.finish_reason for call in path if call.completion}
    if None in reasons:
        return "without a finish reason"
    return None if reasons <= set(_WHOLE) else "cut short"


def reject_steps(run: RunRecord, path: tuple[CallRecord, ...]) -> str | None:
    """Why the answer doesn't follow from the equations of the path's last reply."""
    text = path[-1].completion.text if path and path[-1].completion else ""
    answer = run.finish.fields.get("answer") if run.finish else None
    return unfounded(str(run.header.task.get("question", "")), text, answer)


def winning_path(run: RunRecord) -> tuple[CallRecord, ...]:
    """The call that gave the answer and the earlier calls of the same conversation; empty if it can't be told.

    The closing line names the answering call; where it does not, a run with a single last call has but one.
    """
    return path_to(run, _answering_call(run) or "")


def path_to(run: RunRecord, call_id: str) -> tuple[CallRecord, ...]:
    """A call and the earlier calls of the same conversation, in their order; empty where there is no such call."""
    calls = {call.call_id: call for call in run.calls}
    answer = calls.get(call_id)
    wanted = {answer.call_id} if answer else set()
    agenda = [answer] if answer else []
    while agenda:
        call = agenda.pop()
        for parent in call.parents:
            before = calls.get(parent.call_id)
            if before and before.call_id not in wanted and parent.type in ("continuation", "splice"):
                if _continues(call, before):
                    wanted.add(before.call_id)
                    agenda.append(before)
    return tuple(call for call in run.calls if call.call_id in wanted)


def _answering_call(run: RunRecord) -> str | None:
    named = run.finish.fields.get("answer_call") if run.finish else None
    if named is not None:
        return str(named)
    continued = {parent.call_id for call in run.calls for parent in call.parents}
    last = [call.call_id for call in run.calls if call.call_id not in continued]
    return last[0] if len(last) == 1 else None


def _continues(call: CallRecord, before: CallRecord) -> bool:
    """Whether the earlier reply stands in the later call's conversation as its own turn, not as quoted text."""
    if before.completion is None:
        return False
    end = len(before.request.messages)
    turns = call.request.messages[max(0, end - 1) : end + 1]
    text = before.completion.text
    return any(turn["role"] == "assistant" and text in str(turn.get("content") or "") for turn in turns)
