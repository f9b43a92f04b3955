"""The reader: goes through one page screen by screen, takes out what is new, and stops where it is not worth going on.

The reading agent of DeepResearcher (Zheng et al. 2025, arXiv 2504.03160).
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maieutic.agents.pages import screen
from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.context import Context
from maieutic.errors import ToolError
from maieutic.tasks.answers import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Sampling

FORM = '{"new": ["<a fact>", "<another>"], "page_down": <true or false>}'
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Extract:
    """What was new on one screen, and whether to look at the next one."""

    new: tuple[str, ...]
    page_down: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What was taken out of a page. `call_id` is the last call; `unread` counts screens of which nothing could be read
    from the reply: they are missing, not empty."""

    call_id: str
    address: str
    title: str
    facts: tuple[str, ...]
    screens: int
    unread: int


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads at most `screens` screens. A reply that can't be read ends the page."""

    role: str = "reader"
    sampling: Sampling = Sampling()
    screens: int = 8

    async def __call__(
        self, ctx: Context, address: str, goal: str, known: Sequence[str], parent: str, screens: int | None = None
    ) -> Reading:
        """Raises ToolError where the page can't be opened at all."""
        at, parents, facts = None, (Parent(parent, "continuation"),), list[str]()
        for number in range(1, (screens or self.screens) + 1):
            try:
                shown = await screen(ctx, address, at, parents[0].call_id, number)
            except ToolError:
                if number == 1:
                    raise
                break  # what was taken out of the screens before stays
            messages = opening(
                ctx,
                self.role,
                goal=goal or ctx.task["question"],
                known="\n".join(f"- {fact}" for fact in (*known, *facts)) or "(nothing)",
                number=str(number),
                screen=shown.text,
                form=FORM,
            )
            reply = await ask(ctx, self.role, messages, read_extract, FORM, sampling=self.sampling, parents=parents)
            extract, parents = reply.value, (Parent(reply.call_id, "continuation"),)
            fresh = novel(extract.new, (*known, *facts)) if extract else []
            facts += fresh
            ctx.record(
                "note", call_id=reply.call_id, address=address, screen=number, new=fresh, read=extract is not None
            )
            at, read = shown.following, number
            if extract is None or not extract.page_down or at is None:
                break
        return Reading(reply.call_id, address, shown.title, tuple(facts), read, int(extract is None))


def read_extract(text: str) -> Extract | None:
    """The JSON object in `text`; None where there is none of the form. A text in place of a list is one fact."""
    found = _OBJECT.search(without_thoughts(text))
    try:
        value = json.loads(found[0]) if found else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("page_down"), bool):
        return None
    new = [value["new"]] if isinstance(value.get("new"), str) else value.get("new")
    if not isinstance(new, list) or not all(isinstance(fact, str) for fact in new):
        return None
    return Extract(tuple(" ".join(fact.split()) for fact in new if fact.strip()), value["page_down"])


def novel(facts: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of `facts` whose words are not known yet in this order, each once."""
    seen = set(map(_plain, known))
    fresh: list[str] = []
    for fact in facts:
        if _plain(fact) not in seen:
            seen.add(_plain(fact))
            fresh.append(fact)
    return fresh


def _plain(fact: str) -> str:
    return " ".join(re.findall(r"\w+", fact.casefold()))
