"""Small databases made up by rule: five subjects, each with two tables, a row of the second belonging to one of the
first.

The same subject, number and size give the same file, whose name has a hash of all that is in it, so that a file that
is there already is the right one.
"""

import hashlib
import os
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from maieutic.settings import state_dir

FIRST = (
    "Ada Bo Cleo Dag Eva Finn Gro Hal Ida Jon Kaja Lars Mia Nils Olga Per Runa Siv Tor Una Vera Wim Ylva Zoe".split()
)
LAST = "Berg Dahl Eide Foss Gran Holm Iversen Juul Krog Lund Moe Nes Oldfield Pratt Quist Rask Solberg Thorne".split()
COUNTRIES = ("Norway", "Chile", "Kenya", "Japan", "Canada", "Greece")
CITIES = ("Bergen", "Quito", "Nairobi", "Osaka", "Halifax", "Patras", "Turin", "Leeds")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in SQL, what it is in words, and its values: a list to choose from, or bounds of numbers."""

    name: str
    words: str
    values: tuple[str, ...] | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `label` names a row and is unique, `group` is one of a few texts, `number` and `other` are numbers."""

    name: str
    one: str
    many: str
    label: Column
    group: Column
    number: Column
    other: Column


@dataclass(frozen=True, slots=True)
class Subject:
    """A parent table and one whose rows each belong to a row of it, by the column `link`."""

    name: str
    parent: Table
    child: Table
    link: str


def _people(words: str) -> Column:
    return Column("name", words, tuple(f"{first} {last}" for first in FIRST for last in LAST))


def _titles(name: str, words: str, first: str, second: str) -> Column:
    return Column(name, words, tuple(f"{a} {b}" for a in first.split() for b in second.split()))


_NOUNS = "River House Letter Garden Bridge Island Clock Orchard Road Harbour Mirror"
_ADJECTIVES = "Silent Crooked Golden Distant Hollow Bitter Northern Borrowed Paper Winter Restless Copper"
SUBJECTS = (
    Subject(
        "library",
        Table("authors", "author", "authors", _people("name"), Column("country", "country", COUNTRIES),
              Column("born", "year of birth", (1900, 1990)), Column("prizes", "number of prizes", (0, 9))),
        Table("books", "book", "books",
              _titles("title", "title", _ADJECTIVES, _NOUNS),
              Column("genre", "genre", ("fantasy", "crime", "history", "poetry", "travel")),
              Column("pages", "number of pages", (80, 900)), Column("year", "year of publication", (1950, 2024))),
        "author_id",
    ),
    Subject(
        "shop",
        Table("customers", "customer", "customers", _people("name"), Column("city", "city", CITIES),
              Column("since", "year of the first visit", (2000, 2024)), Column("age", "age", (18, 90))),
        Table("orders", "order", "orders",
              Column("code", "code", tuple(f"{a}{b}" for a in "KLMNPRST" for b in range(100, 130))),
              Column("status", "status", ("paid", "open", "returned", "cancelled")),
              Column("total", "total", (5, 500)), Column("items", "number of items", (1, 20))),
        "customer_id",
    ),
    Subject(
        "clinic",
        Table("doctors", "doctor", "doctors", _people("name"),
              Column("specialty", "specialty", ("surgery", "dentistry", "cardiology", "paediatrics", "neurology")),
              Column("years", "years of practice", (1, 40)), Column("room", "room number", (1, 60))),
        Table("visits", "visit", "visits",
              Column("patient", "patient", tuple(f"{a} {b[0]}. {c}" for a in FIRST[:16] for b in LAST[:3]
                                                 for c in LAST[6:10])),
              Column("kind", "kind", ("first", "control", "emergency", "advice")),
              Column("minutes", "length in minutes", (5, 120)), Column("cost", "cost", (20, 900))),
        "doctor_id",
    ),
    Subject(
        "airline",
        Table("airports", "airport", "airports", _titles("name", "name", "North South East West Old New Upper Lower",
                                                         "Bergen Quito Nairobi Osaka Halifax Patras Turin Leeds"),
              Column("country", "country", COUNTRIES), Column("gates", "number of gates", (2, 80)),
              Column("opened", "year of opening", (1930, 2020))),
        Table("flights", "flight", "flights",
              Column("code", "code", tuple(f"{a}{b}" for a in ("QA", "BX", "TL", "MO") for b in range(200, 260))),
              Column("carrier", "carrier", ("Quetzal Air", "Boreal", "Tern Lines", "Monarchia")),
              Column("minutes", "duration in minutes", (40, 700)), Column("price", "price", (30, 1500))),
        "airport_id",
    ),
    Subject(
        "league",
        Table("teams", "team", "teams", _titles("name", "name", "Red Blue Green White Black Amber Iron Royal",
                                                "Foxes Herons Wolves Otters Comets Badgers"),
              Column("city", "city", CITIES), Column("founded", "year of foundation", (1890, 2010)),
              Column("titles", "number of titles", (0, 25))),
        Table("players", "player", "players", _people("name"),
              Column("position", "position", ("keeper", "defender", "midfielder", "striker")),
              Column("goals", "number of goals", (0, 60)), Column("age", "age", (17, 39))),
        "team_id",
    ),
)  # fmt: skip


def schema(subject: Subject) -> str:
    """The statements that create the two tables."""
    parts = []
    for table in (subject.parent, subject.child):
        columns = ["id INTEGER PRIMARY KEY"]
        if table is subject.child:
            columns.append(f"{subject.link} INTEGER NOT NULL REFERENCES {subject.parent.name} (id)")
        columns += [f"{column.name} TEXT NOT NULL" for column in (table.label, table.group)]
        columns += [f"{column.name} INTEGER NOT NULL" for column in (table.number, table.other)]
        parts.append(f"CREATE TABLE {table.name} ({', '.join(columns)});")
    return "\n".join(parts)


def filled(subject: Subject, number: int, rows: int) -> sqlite3.Connection:
    """The database in memory: `rows` rows of the second table, about a quarter of that of the first."""
    rng = Random(f"{subject.name}/{number}/{rows}")
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema(subject))
    parents = max(4, rows // 4)
    idle = rng.randrange(1, parents + 1)  # there is one that nothing belongs to
    owners = [owner for owner in range(1, parents + 1) if owner != idle]
    for table, size in ((subject.parent, parents), (subject.child, rows)):
        labels = rng.sample(table.label.values, size)
        for place, label in enumerate(labels, 1):
            link = [rng.choice(owners)] if table is subject.child else []
            row = [place, *link, label, *(_value(rng, c) for c in (table.group, table.number, table.other))]
            connection.execute(f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(row))})", row)
    connection.commit()
    return connection


def stored(subject: Subject, number: int, rows: int, folder: Path | None = None) -> Path:
    """The database as a file in `folder`, by default one of the state directory; written whole or not at all."""
    folder = folder or state_dir() / "databases"
    with filled(subject, number, rows) as connection:
        script = "\n".join(connection.iterdump())
    connection.close()
    digest = hashlib.blake2b(script.encode(), digest_size=6).hexdigest()
    path = folder / f"{subject.name}-{number}-{rows}-{digest}.sqlite"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".new")
    os.close(handle)
    copy = sqlite3.connect(temporary)
    try:
        copy.executescript(script)
    finally:
        copy.close()
    os.replace(temporary, path)
    return path


def _value(rng: Random, column: Column) -> Any:
    first = column.values[0]
    return rng.choice(column.values) if isinstance(first, str) else rng.randint(first, int(column.values[1]))
