"""The query writer: the next search query, from what was found and what earlier queries led to, never one of those."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maieutic.agents.passages import Passage, shown
from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.context import Context
from maieutic.tasks.answers import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

FORM = '{"query": "<a query that is none of the earlier ones>"}'
LONGEST = 300  # characters of a query
_OBJECT = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A query (None for an answer without a search), and what it led to, in a sentence."""

    query: str | None
    came_to: str


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for; `text` is None where nothing but an earlier query was said."""

    text: str | None
    call_id: str


@dataclass(frozen=True, slots=True)
class QueryWriter:
    """Asks for JSON. A reply that isn't is searched for as it stands, after one attempt to have it put right."""

    role: str = "query-writer"
    sampling: Sampling = Sampling()

    async def __call__(
        self,
        ctx: Context,
        passages: Sequence[Passage] = (),
        earlier: Sequence[Attempt] = (),
        parents: tuple[Parent, ...] = (),
    ) -> Query:
        used = [attempt.query for attempt in earlier if attempt.query is not None]
        messages = opening(ctx, self.role, passages=shown(passages), earlier=_listed(earlier), form=FORM)

        def read(text: str) -> str | None:
            query = read_query(text)
            return None if query is None or is_among(query, used) else query

        reply = await ask(ctx, self.role, messages, read, FORM, sampling=self.sampling, parents=parents)
        query = reply.value or _as_it_stands(reply.text)
        if query is not None and is_among(query, used):
            query = None
        ctx.record("note", call_id=reply.call_id, query=query, read=reply.value is not None)
        return Query(query, reply.call_id)


def read_query(text: str) -> str | None:
    """The query of the last JSON object in `text`, on one line; None where there is none."""
    for found in reversed(_OBJECT.findall(without_thoughts(text))):
        try:
            query = json.loads(found).get("query")
        except ValueError:
            continue
        if isinstance(query, str) and query.strip():
            return " ".join(query.split())[:LONGEST]
    return None


def is_among(query: str, used: Iterable[str]) -> bool:
    """Whether the query was used before, whatever its case, punctuation and white space."""
    return _plain(query) in map(_plain, used)


def _plain(query: str) -> str:
    return " ".join(re.findall(r"\w+", query.casefold()))


def _as_it_stands(text: str) -> str | None:
    """The text itself; of a JSON object without a usable query, nothing."""
    plain = " ".join(without_thoughts(text).split())
    if read_query(plain) is not None:
        return read_query(plain)
    return plain[:LONGEST] or None


def _listed(earlier: Sequence[Attempt]) -> str:
    if not earlier:
        return "(none)"
    return "\n".join(f"- {attempt.query or '(no search)'}: {attempt.came_to}" for attempt in earlier)
