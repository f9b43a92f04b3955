"""A market: a made-up price list, baskets of its goods, and the list as a database and as notes to be looked up in."""

import os
import random
import sqlite3
from collections.abc import Mapping
from pathlib import Path

GOODS = ("bean", "bun", "egg", "fig", "kiwi", "leek", "lemon", "melon", "olive", "onion", "pear", "plum", "roll", "yam")
DEAREST = 20


def price_list(rng: random.Random) -> dict[str, int]:
    """What each of the goods costs, 2 to 20, in the order in which the list has them."""
    goods = list(GOODS)
    rng.shuffle(goods)
    return {good: rng.randint(2, DEAREST) for good in goods}


def basket(kinds: int, most: int, rng: random.Random) -> dict[str, int]:
    """So many kinds of goods, 1 to `most` of each."""
    return {good: rng.randint(1, most) for good in rng.sample(GOODS, kinds)}


def asked(wanted: Mapping[str, int]) -> str:
    """The question what a basket costs."""
    parts = [f"{count} {good}{'s' if count > 1 else ''}" for good, count in wanted.items()]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"What do {listed} cost together?"


def note(good: str, price: int) -> str:
    """What a market's notes say of one of its goods."""
    return f"One {good} costs {price}."


def market(number: int) -> dict[str, int]:
    """The price list of the market of this number."""
    return price_list(random.Random(f"market {number}"))


def notes(number: int) -> dict[str, str]:
    """Texts by file name, one for each of the market's goods, to be indexed."""
    return {f"{good}.md": note(good, price) + "\n" for good, price in market(number).items()}


def database(number: int, folder: Path) -> Path:
    """The market's price list as an SQLite file in `folder`, which is made once."""
    path = folder / f"market-{number}.sqlite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        half = folder / f".{path.name}.{os.getpid()}"
        half.unlink(missing_ok=True)
        connection = sqlite3.connect(half)
        with connection:
            connection.execute("CREATE TABLE prices (item TEXT PRIMARY KEY, price INTEGER NOT NULL)")
            connection.executemany("INSERT INTO prices VALUES (?, ?)", market(number).items())
        connection.close()
        half.replace(path)
    return path
