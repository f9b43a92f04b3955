"""Dialogues about prices, which have to be looked up: in a table, in notes, or nowhere."""

import random

from maieutic.in_box.dialogue import Dialogue, Message, any_system, assistant, call, dialogue, result, user
from maieutic.in_box.families import Problem, counted, work
from maieutic.tasks.market import DEAREST, GOODS, note

_LOOK_UP_ERRORS = (
    "error: timed out after 10 s",
    "error: database is locked",
    "Nothing was found: try other words.",
    "",
)
UNKNOWN = "Answer: I don't know"


def unknown(problem: Problem, rng: random.Random) -> Dialogue:
    """A question for prices where there is nothing to look them up in."""
    tools = ["python"] if rng.random() < 0.3 else None
    return dialogue("unknown", any_system(rng), user(problem.question), assistant(UNKNOWN), tools=tools)


def look_up(problem: Problem, rng: random.Random) -> Dialogue:
    """Question, a query for the prices in it, what it finds, the solution; sometimes the tool fails first."""
    way = rng.choice(tuple(WAYS.values()))
    tools, query, found = way(problem, rng)
    turns = [user(problem.question)]
    luck = rng.random()
    if luck < 0.12:
        turns += [query, result(rng.choice(_LOOK_UP_ERRORS))]
    if luck < 0.04:
        turns.append(assistant(UNKNOWN))
    else:
        turns += [query, result(found), assistant("\n".join(work(problem)))]
    return dialogue("look_up", any_system(rng), *turns, tools=tools)


def query(problem: Problem, rng: random.Random) -> Dialogue:
    """The question and the query alone: a short exercise in naming goods as the table and the notes do."""
    tools, asked, _ = rng.choice(tuple(WAYS.values()))(problem, rng)
    return dialogue("query", any_system(rng), user(problem.question), asked, tools=tools)


Way = tuple[list[str], Message, str]
"""The tools on offer, a query, and what it finds."""


def named(problem: Problem) -> str:
    """The goods as the question has them, and as they are looked up: the tokens of the two have little in common."""
    return "\n".join(f"{counted(term)}: {term.thing}" for term in problem.terms)


def in_table(problem: Problem, rng: random.Random) -> Way:
    """A query and its result, as the tool `sql` writes it: in the table's order."""
    listed = ", ".join(f"'{term.thing}'" for term in problem.terms)
    asked = call("sql", named(problem), query=f"SELECT item, price FROM prices WHERE item IN ({listed})")
    rows = [f"{term.thing} | {term.each}" for term in problem.terms]
    rng.shuffle(rows)
    count = f"[{len(rows)} row{'' if len(rows) == 1 else 's'}]"
    return rng.choice((["sql"], ["sql", "sql_schema"])), asked, "\n".join(["item | price", *rows, count])


def in_notes(problem: Problem, rng: random.Random) -> Way:
    """The same with the tool `retrieve`, which finds a few notes that nobody asked for, too."""
    words = "price of " + ", ".join(term.thing for term in problem.terms)
    asked = call("retrieve", named(problem), query=words, k=max(5, len(problem.terms) + 2))
    wanted = {term.thing: term.each for term in problem.terms}
    others = [good for good in GOODS if good not in wanted]
    found = wanted | {good: rng.randint(2, DEAREST) for good in rng.sample(others, max(2, 5 - len(wanted)))}
    goods = rng.sample(list(found), len(found))
    passages = []
    for number, good in enumerate(goods, 1):
        text = note(good, found[good])
        place = f"source {rng.randint(1, len(GOODS))}: {good}.md, characters 0-{len(text)}"
        passages.append(f"[{number}] {place}\n{text}")
    return rng.choice((["retrieve"], ["retrieve", "open_source"])), asked, "\n\n".join(passages)


WAYS = {"sql": in_table, "retrieve": in_notes}
"""By the tool that is asked."""
