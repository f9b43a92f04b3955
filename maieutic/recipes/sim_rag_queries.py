"""`sim_rag_queries`: search queries that brought the right answer, above those of the same state that didn't.

SIM-RAG (Yang et al. 2025, arXiv 2505.02811) learns a critic from its turns; the same turns tell which queries helped. A
query is good where the answer before it wasn't right and the one after it is, and bad where that isn't right either.
A state is the query writer's very prompt: question, passages, and what earlier queries led to. What was asked after a
right answer is neither, and a query that was once good and once bad in one state tells nothing.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Attempt, Group, Known, by_policy, drop_kept, pick
from maieutic.recipes.items import Dialogue, Item, Pair, Reply, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.trace.payload import dump
from maieutic.trace.record import CallRecord


@dataclass(frozen=True, slots=True)
class _Query:
    """A query, the call that wrote it, and whether it brought the right answer; `read` that it had the asked form."""

    attempt: Attempt
    call: CallRecord
    text: str
    read: bool
    good: bool

    @property
    def reply(self) -> Reply:
        assert self.call.completion is not None
        return Reply(self.call.completion.message(), self.call)


@recipe("sim_rag_queries", needs="verified groups of `sim_rag`", gives="pairs, dialogues")
def sim_rag_queries(
    runs: Candidates, tally: Tally, *, rows: Literal["pairs", "good", "all"] = "pairs", per_state: int = 1
) -> Iterator[Item]:
    """Several attempts at each question by the graph `sim_rag`, best with its `self_practice`. `pairs` are of a good
    query and a bad one, `per_state` of each state; `good` are good queries alone, each once a state. Raises UserError
    where no run searched after a first answer."""
    searched = 0
    for group in by_policy(runs, tally, "sim_rag_queries"):
        known = Known(group.attempts)
        found = {attempt.run.header.run_id: list(_queries(attempt, known, tally)) for attempt in group.attempts}
        searched += sum(map(len, found.values()))
        states: defaultdict[bytes, list[_Query]] = defaultdict(list)
        for query in (query for queries in found.values() for query in queries):
            states[dump(list(query.call.request.messages))].append(query)
        items = [item for queries in states.values() for item in _items(queries, group, rows, per_state, tally)]
        used = {run for item in items for run in item.runs}
        drop_kept(tally, "no query that is better or worse than another", len(group.attempts) - len(used))
        yield from items
    if tally.seen and not searched:
        raise UserError(
            "The recipe sim_rag_queries needs queries that can be judged: collect --graph sim_rag --samples 8."
        )


def _queries(attempt: Attempt, known: Known, tally: Tally) -> Iterator[_Query]:
    """The queries between an answer that wasn't right and one of which it is known whether it is."""
    calls = {call.call_id: call for call in attempt.run.calls}
    notes = {
        str(event.fields.get("call_id")): event.fields
        for event in attempt.run.events_of("note")
        if "read" in event.fields
    }
    before: bool | None = None
    for event in attempt.run.events_of("gate"):
        inputs = event.fields.get("inputs") or {}
        answered = calls.get(str(inputs.get("of")))
        if event.fields.get("gate") != "sufficiency" or answered is None:
            continue
        silent = inputs.get("answer") is None or inputs.get("abstained")
        right = False if silent else known.right(inputs["answer"])
        call = next((calls.get(p.call_id) for p in answered.parents if p.type == "continuation"), None)
        note = notes.get(call.call_id, {}) if call is not None else {}
        if call is not None and call.completion is not None and note.get("query") and before is False:
            if right is None:
                tally.counts["queries_of_unknown_worth_left_out"] += 1
            else:
                yield _Query(attempt, call, str(note["query"]), bool(note.get("read")), right)
        before = right


def _items(queries: list[_Query], group: Group, rows: str, per_state: int, tally: Tally) -> Iterator[Dialogue | Pair]:
    texts = [{_plain(query.text) for query in queries if query.good is good} for good in (True, False)]
    unsure = texts[0] & texts[1]
    tally.counts["queries_once_good_and_once_bad_left_out"] += sum(_plain(query.text) in unsure for query in queries)
    sure = {_plain(query.text): query for query in queries if _plain(query.text) not in unsure}
    good = [query for query in sure.values() if query.good and query.read]
    bad = [query for query in sure.values() if not query.good]
    if rows != "pairs":
        yield from (_row(query, group.meta) for query in good)
    if rows != "good":
        for number in range(min(per_state, len(good), len(bad))):
            chosen, rejected = (pick(side, "sim_rag", group.id, number) for side in (good, bad))
            ids = (chosen.attempt.run.header.run_id, rejected.attempt.run.header.run_id)
            yield Pair(chosen.call.request.messages, chosen.reply, rejected.reply, "queries", ids, dict(group.meta))


def _row(query: _Query, meta: dict[str, Any]) -> Dialogue:
    asked = tuple(Turn(message, author="template") for message in query.call.request.messages)
    learnt = Turn(query.reply.message, learn=True, call=query.call)
    return Dialogue((*asked, learnt), (query.attempt.run.header.run_id,), {"query": query.text, **meta})


def _plain(query: str) -> str:
    return " ".join(query.casefold().split())
