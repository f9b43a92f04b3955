"""Queries asked from code that is not async: whole results, for verifiers to compare."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from maieutic.tools.sql.bounds import DEFAULT, Bounds
from maieutic.tools.sql.database import Named, database_of
from maieutic.tools.sql.engine import Ask, QueryFailed, Table
from maieutic.tools.sql.opening import using

WHOLE = Ask(rows=100_000, cell=100_000, size=20_000_000)


def ask_all(
    named: Named, queries: Sequence[str], ask: Ask = WHOLE, bounds: Bounds = DEFAULT
) -> tuple[str, list[Table | QueryFailed]]:
    """The database's SQL dialect, and each query's result or how it failed.

    Raises UserError where the database can't be opened.
    """
    with ThreadPoolExecutor(1) as thread:  # the caller may be inside an event loop
        return thread.submit(lambda: asyncio.run(_ask_all(named, queries, ask, bounds))).result()


async def _ask_all(
    named: Named, queries: Sequence[str], ask: Ask, bounds: Bounds
) -> tuple[str, list[Table | QueryFailed]]:
    results: list[Table | QueryFailed] = []
    async with using(database_of(named), bounds) as opened:
        for query in queries:
            try:
                results.append(await opened.engine.query(query, ask))
            except QueryFailed as error:
                results.append(error)
        return opened.engine.dialect, results
