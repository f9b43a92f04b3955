"""A scratch database: any number of entries in memory that doesn't grow with them, gone with the process."""

import sqlite3

_CACHE = 16 * 1024  # KiB of the tables that are held in memory; the rest lies in a temporary file


def scratch(*tables: str, cache: int = _CACHE) -> sqlite3.Connection:
    """An SQLite database without a name, on disk and nobody else's, with these tables (CREATE TABLE …) and a cache of
    so many KiB.

    It is one transaction that never ends: a transaction for each insert would write all that it touched to the file,
    and the more there is, the more pages that are.
    """
    database = sqlite3.connect("", isolation_level=None)
    database.execute(f"PRAGMA cache_size = -{cache}")
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("BEGIN")
    for table in tables:
        database.execute(table)
    return database
