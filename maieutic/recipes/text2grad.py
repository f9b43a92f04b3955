"""`text2grad`: replies with the words marked that a critic found wrong, or in need of improvement.

Text2Grad (Wang et al. 2025, arXiv 2505.22338): the critic quotes from the reply; a quote becomes a reward on its very
characters, -1 where they are wrong and less where they could be better. A quote that does not stand in the reply word
for word is left out: a place that has to be guessed is no place.
"""

import json
from collections.abc import Iterator
from typing import Any

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import question_of
from maieutic.recipes.groups import Attempt
from maieutic.recipes.items import Ask, Item, Spans
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.teaching import Teacher
from maieutic.types import Outcome

_CRITICISE = """\
Below is a problem and a reply to it.{outcome} Say what is wrong with the reply and what could be better, and quote the
places, each word for word as it stands there and no longer than needed.

Problem:
{question}

Reply:
{reply}

End with one JSON object on a line:
Answer: {{"feedback": "…", "wrong": ["a quote", "…"], "improve": ["a quote", "…"]}}"""
_KNOWN = {
    Outcome.CORRECT: " Its answer has been checked: it is right.",
    Outcome.WRONG: " Its answer has been checked: it is wrong.",
}

Span = tuple[int, int, float]


@recipe("text2grad", needs="any runs", gives="labelled spans", asks=True)
def text2grad(
    runs: Candidates, tally: Tally, *, wrong: float = -1.0, improve: float = -0.5, outcome: bool = True
) -> Iterator[Item]:
    """`wrong` and `improve` are the weights of the two kinds of quote; `outcome` tells the critic how the answer fared,
    where it was verified."""
    teacher = Teacher(runs, tally, "text2grad")
    for attempt in (attempt for group in teacher.by_task(verified=False) for attempt in group):
        known = _KNOWN.get(attempt.outcome, "") if outcome else ""
        form = _CRITICISE.format(outcome=known, question=question_of(attempt.run), reply=attempt.text)
        reply = teacher.ask("criticise", form, attempt.run, answer_type="json")
        if isinstance(reply, Ask):
            yield reply
            continue
        said = _read(reply.answer)
        spans = located(attempt.text, said, wrong, improve, tally) if said is not None else ()
        if said is None:
            tally.counts["critiques_that_could_not_be_read"] += 1
        elif spans:
            yield _item(attempt, spans, said, reply.run.header.run_id)


def located(text: str, said: dict[str, Any], wrong: float, improve: float, tally: Tally) -> tuple[Span, ...]:
    """The quotes' places in the reply, none over another: what is wrong goes before what could be better."""
    spans: list[Span] = []
    for key, weight in (("wrong", wrong), ("improve", improve)):
        for quote in said.get(key) or ():
            start = text.find(quote) if isinstance(quote, str) and quote.strip() else -1
            end = start + len(str(quote))
            if start < 0:
                tally.counts["quotes_that_are_not_in_the_reply"] += 1
            elif all(end <= a or start >= b for a, b, _ in spans):
                spans.append((start, end, weight))
    return tuple(sorted(spans))


def _read(answer: str | None) -> dict[str, Any] | None:
    try:
        said = json.loads(answer or "")
    except ValueError:
        return None
    lists = (
        all(isinstance(said.get(key, []), list) for key in ("wrong", "improve")) if isinstance(said, dict) else False
    )
    return said if lists else None


def _item(attempt: Attempt, spans: tuple[Span, ...], said: dict[str, Any], critic: str) -> Spans:
    ids = (attempt.run.header.run_id, critic)
    meta = {"feedback": said.get("feedback"), "outcome": attempt.outcome}
    return Spans(attempt.prompt, attempt.reply, spans, ids, meta)
