"""What can be drawn from only once all is seen: items laid aside in a temporary file, and those that are wanted of each
side taken out again, in memory that doesn't grow with their number."""

import pickle
from collections.abc import Callable, Iterable, Iterator

from maieutic.recipes.items import Dialogue
from maieutic.recipes.scratch import scratch

Lot = tuple[str, float, Dialogue]


def drawn(lots: Iterable[Lot], wanted: Callable[[dict[str, int]], dict[str, int]]) -> Iterator[Dialogue]:
    """Of lots (side, number drawn, dialogue) those with the lowest numbers of each side, in their old order.

    `wanted` is given how many there are of each side, and says how many are taken of each. The dialogues hold no
    recorded calls: they are written to a file that is gone with the process.
    """
    table = scratch(
        "CREATE TABLE lots (id INTEGER PRIMARY KEY, side TEXT, draw REAL, item BLOB)",
        "CREATE TABLE taken (id INTEGER PRIMARY KEY)",
    )
    try:
        for side, draw, item in lots:
            table.execute("INSERT INTO lots (side, draw, item) VALUES (?, ?, ?)", (side, draw, pickle.dumps(item)))
        table.execute("CREATE INDEX by_draw ON lots (side, draw, id)")
        numbers = dict(table.execute("SELECT side, COUNT(*) FROM lots GROUP BY side"))
        for side, number in wanted(numbers).items():
            query = "INSERT INTO taken SELECT id FROM lots WHERE side = ? ORDER BY draw, id LIMIT ?"
            table.execute(query, (side, number))
        for (item,) in table.execute("SELECT item FROM taken JOIN lots USING (id) ORDER BY id"):
            yield pickle.loads(item)  # noqa: S301
    finally:
        table.close()
