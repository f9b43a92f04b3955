"""Prices that have to be looked up: "What do 3 pears and 2 figs cost together?"

`env:prices?goods=3&most=9&market=7`: so many kinds of goods (1 to 8), up to so many of each, sold at one market. Nobody
can know the answer without its price list, which is the task's database (SQLite, one table `prices` with `item` and
`price`, for the tool `sql`) and, as notes of one sentence each, `maieutic.tasks.market.notes` (to be indexed, for the
tool `retrieve`). Checked as a number. A guess is right about once in a hundred times: so many sums are about as likely.
"""

import random
from collections.abc import Iterator

from maieutic.errors import TaskError
from maieutic.settings import state_dir
from maieutic.tasks.environment import Request, environment
from maieutic.tasks.market import asked, basket, database, market
from maieutic.tasks.task import Task


@environment("prices")
def prices(request: Request) -> Iterator[Task]:
    options = dict(request.options)
    kinds, most = _option(options, "goods", 3, 1, 8), _option(options, "most", 9, 1, 30)
    number = _option(options, "market", request.seed, 0, 10**9)
    if options:
        raise TaskError(f"env:prices has no setting {next(iter(options))!r}: it has goods, most and market.")
    listed, rng = market(number), random.Random(f"{request.seed} {number} {kinds} {most}")
    path = database(number, state_dir() / "markets")
    while True:
        wanted = basket(kinds, most, rng)
        yield Task(
            question=asked(wanted),
            gold=str(sum(count * listed[good] for good, count in wanted.items())),
            answer_type="number",
            inputs={"database": str(path)},
            metadata={"market": number, "goods": kinds, "most": most},
        )


def _option(options: dict[str, str], name: str, default: int, least: int, greatest: int) -> int:
    text = options.pop(name, str(default))
    if not text.isdecimal() or not least <= int(text) <= greatest:
        raise TaskError(f"env:prices: {name} is {text!r}; it is a whole number from {least} to {greatest}.")
    return int(text)
