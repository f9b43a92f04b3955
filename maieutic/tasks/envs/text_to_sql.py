"""`env:text_to_sql`: a question about a small database, to be answered with one SQLite query.

The question, the gold query and the database are all made by rule; answers are compared by their result (the verifier
`sql`). As in the test suites of Zhong et al. 2020, "Semantic Evaluation for Text-to-SQL with Distilled Test Suites",
arXiv 2010.02840, an item is kept only where the data tell the gold query from near misses of it: another bound, a
condition left out, the wrong aggregate. Deviation: one database an item, since its rows were drawn with that in mind.

Databases lie in the state directory, so that tasks made here are for this machine: elsewhere they are made again by the
same request.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from pydantic import Field

from maieutic.tasks.databases import SUBJECTS, Column, Subject, Table, filled, schema, stored
from maieutic.tasks.generated import Draft, Knobs, generated

DATABASES = 6
"""Databases of each subject and size."""


class TextToSql(Knobs):
    hardness: int = Field(default=1, ge=1, le=4)
    """1 conditions on one table, 2 aggregates and order, 3 joins, 4 subqueries and HAVING."""
    rows: int = Field(default=40, ge=20, le=120)
    """Rows of the larger table."""
    tables: bool = True
    """Whether the question shows how the tables are made; without it they have to be looked up with the tool `sql`."""


LEVELS = tuple(TextToSql(hardness=hardness) for hardness in (1, 2, 3, 4))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its query, and queries that come near it and bring something else."""

    question: str
    gold: str
    near: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """What questions are made from: a subject, its rows at hand, and a random number generator."""

    subject: Subject
    connection: sqlite3.Connection
    rng: Random

    def text(self, table: Table) -> str:
        """A text that stands in the group column of a table."""
        return str(self.rng.choice(self._column(table, table.group)))

    def bound(self, table: Table, column: Column) -> int:
        """A number that stands in a column, neither the least nor the largest: where the bound falls counts."""
        values = sorted(set(self._column(table, column)))
        return int(self.rng.choice(values[1:-1] or values))

    def number(self, table: Table) -> Column:
        """One of the two columns of numbers."""
        return self.rng.choice((table.number, table.other))

    def _column(self, table: Table, column: Column) -> list[Any]:
        found = self.connection.execute(f"SELECT {column.name} FROM {table.name} ORDER BY id")
        return [row[0] for row in found]


@generated("text_to_sql", levels=LEVELS)
def text_to_sql(knobs: TextToSql, rng: Random) -> Draft | None:
    """Text-to-SQL over generated SQLite databases, checked by the result of the query."""
    subject, number = rng.choice(SUBJECTS), rng.randrange(DATABASES)
    connection = filled(subject, number, knobs.rows)
    try:
        asked = rng.choice(TEMPLATES[knobs.hardness])(Source(subject, connection, rng))
        if asked is None or not _told_apart(connection, asked):
            return None
    finally:
        connection.close()
    tables = f"A SQLite database has these tables:\n\n{schema(subject)}\n\n" if knobs.tables else ""
    question = (
        f"{tables}{asked.question}\nEnd with one query that brings this and nothing else, on one line or in a block "
        "```sql: Answer: QUERY"
    )
    return Draft(
        question,
        asked.gold,
        "text",
        {"near": list(asked.near)},
        inputs={"database": str(stored(subject, number, knobs.rows))},
        difficulty=float(knobs.hardness),
        chance=0.0,
        verifier="sql",
    )


def _told_apart(connection: sqlite3.Connection, asked: Asked) -> bool:
    gold = connection.execute(asked.gold).fetchall()
    ordered = "ORDER BY" in asked.gold
    kept = [gold if ordered else sorted(gold, key=repr)]
    for query in asked.near:
        rows = connection.execute(query).fetchall()
        kept.append(rows if ordered else sorted(rows, key=repr))
    return 0 < len(gold) <= 60 and None not in gold[0] and kept[0] not in kept[1:]


def _where_text(source: Source) -> Asked:
    t = source.subject.child
    value = source.text(t)
    gold = f"SELECT {t.label.name} FROM {t.name} WHERE {t.group.name} = '{value}'"
    near = (f"SELECT {t.label.name} FROM {t.name}", gold.replace(" = ", " <> "))
    return Asked(f'What are the {t.label.words}s of the {t.many} whose {t.group.words} is "{value}"?', gold, near)


def _count_above(source: Source) -> Asked:
    t = source.rng.choice((source.subject.parent, source.subject.child))
    column = source.number(t)
    bound = source.bound(t, column)
    gold = f"SELECT count(*) FROM {t.name} WHERE {column.name} > {bound}"
    near = (gold.replace(">", ">="), gold.replace(">", "<"), f"SELECT count(*) FROM {t.name}")
    return Asked(f"How many {t.many} are there whose {column.words} is greater than {bound}?", gold, near)


def _two_conditions(source: Source) -> Asked:
    t = source.subject.child
    column, value = source.number(t), source.text(t)
    bound = source.bound(t, column)
    texts = f"{t.group.name} = '{value}'"
    gold = f"SELECT {t.label.name}, {column.name} FROM {t.name} WHERE {texts} AND {column.name} <= {bound}"
    near = (gold.replace(" AND ", " OR "), gold.replace("<=", "<"), gold.replace(f"{texts} AND ", ""))
    question = (
        f'List {t.label.words} and {column.words} of the {t.many} whose {t.group.words} is "{value}" and whose '
        f"{column.words} is at most {bound}."
    )
    return Asked(question, gold, near)


def _average(source: Source) -> Asked:
    t = source.subject.child
    value = source.text(t)
    word, function, others = source.rng.choice(
        (("average", "avg", ("sum", "max")), ("total", "sum", ("avg", "count")), ("highest", "max", ("min", "avg")))
    )
    column = t.number if function == "sum" else source.number(t)  # nobody asks for a sum of years
    where = f"WHERE {t.group.name} = '{value}'"
    gold = f"SELECT {function}({column.name}) FROM {t.name} {where}"
    near = (gold.replace(f" {where}", ""), *(gold.replace(function, other, 1) for other in others))
    return Asked(f'What is the {word} {column.words} of the {t.many} whose {t.group.words} is "{value}"?', gold, near)


def _count_groups(source: Source) -> Asked:
    t = source.subject.child
    column = source.number(t)
    bound = source.bound(t, column)
    tail = f"FROM {t.name} WHERE {column.name} >= {bound} GROUP BY {t.group.name}"
    gold = f"SELECT {t.group.name}, count(*) {tail}"
    near = (gold.replace(">=", ">"), gold.replace("count(*)", f"sum({column.name})"))
    question = (
        f"For each {t.group.words}: it, and how many {t.many} there are whose {column.words} is at least {bound}, "
        "where there are any."
    )
    return Asked(question, gold, near)


def _top(source: Source) -> Asked | None:
    t = source.subject.child
    column, many = source.number(t), source.rng.randint(3, 5)
    gold = f"SELECT {t.label.name} FROM {t.name} ORDER BY {column.name} DESC LIMIT {many}"
    near = (gold.replace(" DESC", ""), gold.replace(f"LIMIT {many}", f"LIMIT {many + 1}"))
    if _tied(source, f"SELECT {column.name} FROM {t.name} ORDER BY {column.name} DESC", many):
        return None
    return Asked(
        f"What are the {t.label.words}s of the {many} {t.many} with the highest {column.words}, the highest first?",
        gold,
        near,
    )


def _tied(source: Source, query: str, many: int) -> bool:
    """Whether the first values of a query are equal to each other or to the next one, so that their order is open."""
    values = [row[0] for row in source.connection.execute(f"{query} LIMIT {many + 1}")]
    return len(set(values)) < len(values)


def _join(source: Source) -> str:
    p, c = source.subject.parent, source.subject.child
    return f"FROM {c.name} JOIN {p.name} ON {c.name}.{source.subject.link} = {p.name}.id"


def _join_text(source: Source) -> Asked:
    p, c = source.subject.parent, source.subject.child
    value = source.text(p)
    gold = f"SELECT {c.name}.{c.label.name} {_join(source)} WHERE {p.name}.{p.group.name} = '{value}'"
    near = (gold.replace(f"{c.name}.{source.subject.link}", f"{c.name}.id"), gold.replace(" = '", " <> '"))
    question = f'What are the {c.label.words}s of the {c.many} whose {p.one} has the {p.group.words} "{value}"?'
    return Asked(question, gold, near)


def _join_count(source: Source) -> Asked:
    p, c = source.subject.parent, source.subject.child
    value = source.text(c)
    where = f"WHERE {c.name}.{c.group.name} = '{value}'"
    gold = f"SELECT {p.name}.{p.label.name}, count(*) {_join(source)} {where} GROUP BY {p.name}.id"
    near = (gold.replace(f" {where}", ""), gold.replace("count(*)", f"max({c.name}.{c.number.name})"))
    question = (
        f'For each {p.one} with at least one {c.one} whose {c.group.words} is "{value}": the {p.label.words}, and how '
        f"many of these {c.many} there are."
    )
    return Asked(question, gold, near)


def _join_sum(source: Source) -> Asked:
    p, c = source.subject.parent, source.subject.child
    column = c.number
    gold = (
        f"SELECT {p.name}.{p.group.name}, sum({c.name}.{column.name}) {_join(source)} GROUP BY {p.name}.{p.group.name}"
    )
    near = (gold.replace("sum(", "count("), gold.replace("sum(", "avg("), gold.replace(f"{p.group.name}", "id"))
    whom = f"{p.group.words} of {p.many}"
    question = f"For each {whom}: it, and the total {column.words} of their {c.many}, where there are any."
    return Asked(question, gold, near)


def _having(source: Source) -> Asked:
    p, c = source.subject.parent, source.subject.child
    number = source.rng.randint(2, 5)
    gold = f"SELECT {p.name}.{p.label.name} {_join(source)} GROUP BY {p.name}.id HAVING count(*) > {number}"
    near = (gold.replace(">", ">="), gold.replace(">", "="), gold.partition(" HAVING")[0])
    return Asked(f"What are the {p.label.words}s of the {p.many} with more than {number} {c.many}?", gold, near)


def _without(source: Source) -> Asked:
    p, c, link = source.subject.parent, source.subject.child, source.subject.link
    value = source.text(c)
    inner = f"SELECT {link} FROM {c.name} WHERE {c.group.name} = '{value}'"
    gold = f"SELECT {p.label.name} FROM {p.name} WHERE id NOT IN ({inner})"
    wrong = f"SELECT DISTINCT {p.name}.{p.label.name} {_join(source)} WHERE {c.name}.{c.group.name} <> '{value}'"
    near = (gold.replace("NOT IN", "IN"), wrong, gold.replace(f" WHERE {c.group.name} = '{value}'", ""))
    question = f'What are the {p.label.words}s of the {p.many} without any {c.one} whose {c.group.words} is "{value}"?'
    return Asked(question, gold, near)


def _above_average(source: Source) -> Asked:
    c = source.subject.child
    column, value = source.number(c), source.text(c)
    where = f"{c.group.name} = '{value}'"
    inner = f"SELECT avg({column.name}) FROM {c.name}"
    gold = f"SELECT {c.label.name} FROM {c.name} WHERE {where} AND {column.name} > ({inner})"
    near = (gold.replace(f"({inner})", f"({inner} WHERE {where})"), gold.replace(f"{where} AND ", ""))
    question = (
        f'What are the {c.label.words}s of the {c.many} whose {c.group.words} is "{value}" and whose {column.words} is '
        f"above the average of all {c.many}?"
    )
    return Asked(question, gold, near)


def _best_group(source: Source) -> Asked | None:
    c = source.subject.child
    column = source.number(c)
    if _tied(source, f"SELECT avg({column.name}) AS a FROM {c.name} GROUP BY {c.group.name} ORDER BY a DESC", 1):
        return None
    gold = f"SELECT {c.group.name} FROM {c.name} GROUP BY {c.group.name} ORDER BY avg({column.name}) DESC LIMIT 1"
    near = (gold.replace("avg(", "sum("), gold.replace(" DESC", ""))
    return Asked(f"Which {c.group.words} of {c.many} has the highest average {column.words}?", gold, near)


Template = Callable[[Source], Asked | None]
TEMPLATES: dict[int, tuple[Template, ...]] = {
    1: (_where_text, _count_above, _two_conditions),
    2: (_average, _count_groups, _top),
    3: (_join_text, _join_count, _join_sum),
    4: (_having, _without, _above_average, _best_group),
}
