"""SQLite in the sandbox: typed rows, what a query may try, and files that are written, locked or broken."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.tools.sandbox.tier import NoSandbox, ensure_sandbox
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.database import database_of
from maieutic.tools.sql.engine import Ask
from maieutic.tools.sql.hints import explain
from maieutic.tools.sql.opening import using
from maieutic.tools.sql.schema import describe
from tests.tools.sql.conftest import AMPLE, Open, failure, make_sqlite, rows

REFUSED = [
    "INSERT INTO customers VALUES (9, 'x', 'y')",
    "UPDATE customers SET name = 'x'",
    "DELETE FROM customers",
    "WITH x AS (SELECT 1) DELETE FROM customers",
    "DROP TABLE customers",
    "CREATE TEMP TABLE t (a)",
    "CREATE VIEW temp.v AS SELECT 1",
    "ATTACH '/tmp/other.db' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "PRAGMA query_only = 0",
    "PRAGMA table_info(customers)",
    "SELECT * FROM pragma_database_list",
    "SELECT load_extension('/lib/x.so')",
    "SELECT LOAD_EXTENSION('/lib/x.so')",
    "SELECT fts3_tokenizer('simple', x'00')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/tmp/x', 'y')",
    "SELECT edit('x', 'vi')",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE customers",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT s",
    "VACUUM",
    "VACUUM INTO '/tmp/copy.db'",
    "REINDEX",
    "ANALYZE",
    "EXPLAIN DELETE FROM customers",
    "EXPLAIN QUERY PLAN UPDATE customers SET name = 'x'",
    "CREATE VIRTUAL TABLE f USING fts5(x)",
    "SELECT 1\u037e DROP TABLE customers",
    "/* SELECT */ DELETE FROM customers",
    "-- SELECT\nDELETE FROM customers",
    "",
    " ; -- nothing",
    "/* never closed",
]


async def test_a_query_brings_typed_rows(open_: Open, shop: Path) -> None:
    table = await (await open_(shop)).query(
        "SELECT 1 AS one, 2.5, 'x', NULL, x'00ff', 9223372036854775807, 1e999, name, name FROM customers LIMIT 1;",
        Ask(),
    )
    assert table.columns[0] == "one" and table.columns[-2:] == ("name", "name")
    inf = float("inf")
    assert table.rows == ((1, 2.5, "x", None, b"\x00\xff", 9223372036854775807, inf, "Ada", "Ada"),)


async def test_rows_and_cells_are_cut(open_: Open, shop: Path) -> None:
    engine = await open_(shop)
    numbers = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i FROM r"
    table = await engine.query(numbers, Ask(rows=3))  # it has no end, and isn't followed to it
    assert table.rows == ((1,), (2,), (3,)) and table.cut
    long = await engine.query("SELECT printf('%.*c', 1000000, 'x'), hex(zeroblob(10))", Ask(cell=30))
    assert long.rows == (("x" * 30, "0" * 20),) and long.shortened == {(0, 0): 1_000_000}
    much = await engine.query(
        "SELECT printf('%.*c', 1000, 'x') FROM customers a, customers b", Ask(cell=2000, size=2500)
    )
    assert len(much.rows) == 2 and much.cut


async def test_what_is_no_reading_is_refused(open_: Open, shop: Path) -> None:
    before = shop.read_bytes(), sorted(os.listdir(shop.parent))
    engine = await open_(shop)
    for query in REFUSED:
        await failure(engine, query)
    assert await rows(engine, "SELECT count(*) FROM customers") == [(3,)]
    assert (shop.read_bytes(), sorted(os.listdir(shop.parent))) == before
    assert not Path("/tmp/copy.db").exists()


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
        "SELECT count(*) FROM customers a, customers b, (WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i FROM r) "
        "SELECT i FROM r) c",
        "SELECT printf('%.*c', 2000000000, 'x')",  # one call, which no progress handler interrupts
    ],
)
async def test_a_query_without_an_end_is_stopped(open_: Open, shop: Path, query: str) -> None:
    engine = await open_(shop, Bounds(seconds=0.3, grace=0.4))
    error = await failure(engine, query)
    assert error.kind in ("timeout", "memory")
    assert await rows(await open_(shop), "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT zeroblob(2000000000)",
        "SELECT length(randomblob(1000000000))",
        f"SELECT group_concat(hex(zeroblob(100000))) FROM {', '.join(f'customers t{n}' for n in range(8))}",
        "SELECT replace(hex(zeroblob(10000000)), '0', 'xxxxxxxxxx')",
        "SELECT 'a' LIKE printf('%.*c', 100000, '%')",
        f"SELECT {'(' * 2000}1{')' * 2000}",
        f"SELECT {' || '.join(['1'] * 3000)}",
    ],
)
async def test_bombs_fail_and_the_database_stays_usable(open_: Open, shop: Path, query: str) -> None:
    engine = await open_(shop, Bounds(memory=256 << 20))
    await failure(engine, query)
    assert await rows(engine, "SELECT 1") == [(1,)]


async def test_the_schema_has_keys_comments_and_samples(open_: Open, tmp_path: Path) -> None:
    script = """
    CREATE TABLE people (id INTEGER PRIMARY KEY, -- a number
      "full name" TEXT NOT NULL /* as in the passport */);
    CREATE TABLE visits (person INTEGER REFERENCES people, day DATE);
    CREATE VIRTUAL TABLE words USING fts5(body);
    CREATE VIEW gone AS SELECT * FROM nowhere;
    INSERT INTO people VALUES (7, 'Ada Lovelace'); INSERT INTO visits VALUES (7, '2024-01-02');
    INSERT INTO words VALUES ('hello there');
    """
    engine = await open_(make_sqlite(tmp_path / "people.db", script))
    schema = await engine.schema()
    text = describe(schema.tables)
    assert [table.name for table in schema.tables] == ["people", "visits", "words", "gone"]
    assert "people (1 rows)" in text
    assert "full name TEXT, not null, e.g. 'Ada Lovelace'" in text
    assert "person INTEGER, -> people.id, e.g. 7" in text
    assert "gone (view) -- can't be read: no such table: main.nowhere" in text
    assert await rows(engine, "SELECT body FROM words WHERE words MATCH 'hello'") == [("hello there",)]


async def test_errors_say_where_and_what_instead(open_: Open, shop: Path) -> None:
    engine = await open_(shop)
    schema = await engine.schema()

    async def said(query: str) -> str:
        return explain(await failure(engine, query), query, schema, "sqlite")

    assert "The closest columns are customers.name" in await said("SELECT nam FROM customers")
    assert "total is a column of orders" in await said("SELECT total FROM customers")
    assert "customers has id, name, city" in await said("SELECT customers.nme FROM customers")
    assert "The closest tables are customers" in await said("SELECT * FROM customer")
    assert "customers.id, orders.id" in await said("SELECT id FROM customers, orders")
    assert "Line 2" in await said("SELECT name\nFROM customers WHERE AND id = 1")
    assert "strftime" in await said("SELECT year(ordered) FROM orders")
    assert "one statement" in await said("SELECT 1; SELECT 2")
    assert "only be read" in await said("DROP TABLE orders")


async def test_what_a_writer_has_committed_to_its_wal_is_seen_and_nothing_is_left_behind(
    open_: Open, tmp_path: Path
) -> None:
    path = tmp_path / "live.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert set(before) == {"live.db", "live.db-shm", "live.db-wal"}
    engine = await open_(path)
    assert await rows(engine, "SELECT a FROM t") == [(1,)]
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    writer.execute("INSERT INTO t VALUES (2)")
    assert await rows(engine, "SELECT a FROM t") == [(1,), (2,)]
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES (3)")  # not committed
    assert await rows(engine, "SELECT count(*) FROM t") == [(2,)]
    writer.execute("COMMIT")
    writer.close()  # the WAL goes into the database
    assert os.listdir(tmp_path) == ["live.db"]
    assert await rows(engine, "SELECT count(*) FROM t") == [(3,)]
    assert os.listdir(tmp_path) == ["live.db"]


async def test_a_wal_that_a_dead_writer_left_is_read(open_: Open, tmp_path: Path) -> None:
    program = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode=WAL'); c.execute('CREATE TABLE t (a)'); c.execute('INSERT INTO t VALUES (1)');"
        "os._exit(0)"
    )
    path = tmp_path / "left.db"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    (tmp_path / "left.db-shm").unlink()
    assert os.listdir(tmp_path).count("left.db-wal") == 1
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert await rows(await open_(path), "SELECT a FROM t") == [(1,)]
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


async def test_a_rollback_database_is_read_as_it_is_written(open_: Open, shop: Path) -> None:
    engine = await open_(shop)
    assert await rows(engine, "SELECT count(*) FROM customers") == [(3,)]
    writer = sqlite3.connect(shop)
    writer.execute("INSERT INTO customers VALUES (4, 'Hypatia', NULL)")
    assert await rows(engine, "SELECT count(*) FROM customers") == [(3,)]
    writer.commit()
    writer.close()
    assert await rows(engine, "SELECT count(*) FROM customers") == [(4,)]


@pytest.mark.slow
async def test_a_locked_database_says_so(open_: Open, shop: Path) -> None:
    engine = await open_(shop)
    writer = sqlite3.connect(shop, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    error = await failure(engine, "SELECT 1 FROM customers")
    assert "Another program is writing" in explain(error, "", None, "sqlite")
    writer.execute("ROLLBACK")
    assert await rows(engine, "SELECT count(*) FROM customers") == [(3,)]


async def test_reading_keeps_the_locks_of_this_very_process(open_: Open, shop: Path) -> None:
    writer = sqlite3.connect(shop, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert await rows(await open_(shop), "SELECT count(*) FROM customers") == [(3,)]
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    other = subprocess.run([sys.executable, "-c", program, str(shop)], capture_output=True, text=True)
    assert "database is locked" in other.stderr
    writer.close()


async def test_a_write_that_was_cut_off_is_said(open_: Open, shop: Path) -> None:
    program = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA cache_size=1'); c.execute('BEGIN'); c.execute('CREATE TABLE big (a)');"
        "c.executemany('INSERT INTO big VALUES (?)', [('x' * 5000,)] * 200); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(shop)], check=True)
    assert shop.with_name("shop.sqlite-journal").stat().st_size
    with pytest.raises(UserError, match="in the middle of a write"):
        await open_(shop)


async def test_a_database_that_is_replaced_is_read_anew(open_: Open, shop: Path, tmp_path: Path) -> None:
    engine = await open_(shop)
    assert await rows(engine, "SELECT count(*) FROM customers") == [(3,)]
    os.replace(make_sqlite(tmp_path / "new", "CREATE TABLE customers (a);"), shop)
    assert await rows(engine, "SELECT count(*) FROM customers") == [(0,)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a database at all" * 10, "neither a SQLite nor a DuckDB database"),
        (b"SQLite format 3\0" + bytes(300), ""),
    ],
)
async def test_a_file_that_is_no_database_is_named(open_: Open, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "some.db"
    path.write_bytes(content)
    if said:
        with pytest.raises(UserError, match=said):
            await open_(path)
    else:
        assert (await failure(await open_(path), "SELECT 1")).kind == "unopened"


async def test_an_empty_file_is_an_empty_database(open_: Open, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    engine = await open_(tmp_path / "empty.db")
    assert (await engine.schema()).tables == () and await rows(engine, "SELECT 1") == [(1,)]


async def test_text_that_is_no_utf8_is_shown_all_the_same(open_: Open, tmp_path: Path) -> None:
    path = make_sqlite(tmp_path / "odd.db", "CREATE TABLE t (a); INSERT INTO t VALUES (CAST(x'4aff' AS TEXT));")
    assert await rows(await open_(path), "SELECT a FROM t") == [("J\ufffd",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's workers give up the right to read a private file")
async def test_a_private_file_of_root_is_read(open_: Open, shop: Path) -> None:
    shop.chmod(0o600)
    assert await rows(await open_(shop), "SELECT count(*) FROM customers") == [(3,)]


async def test_queries_side_by_side_share_a_few_workers(open_: Open, shop: Path) -> None:
    engine = await open_(shop, Bounds(seconds=60, running=2))
    found = await asyncio.gather(*(rows(engine, f"SELECT {n}") for n in range(20)))
    assert [one[0][0] for one in found] == list(range(20))
    assert len(engine._idle) <= 2  # type: ignore[attr-defined]


async def test_a_cancelled_query_leaves_a_usable_database(open_: Open, shop: Path) -> None:
    engine = await open_(shop)
    endless = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r"
    asked = asyncio.ensure_future(rows(engine, endless))
    await rows(engine, "SELECT 1")  # while that one runs
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert await rows(engine, "SELECT 2") == [(2,)]


async def test_queries_beside_a_busy_writer_see_whole_transactions(open_: Open, tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.executescript("CREATE TABLE t (a); CREATE TABLE u (a);")
    written = 25

    def write() -> None:
        for n in range(written):
            writer.executescript(f"BEGIN; INSERT INTO t VALUES ({n}); INSERT INTO u VALUES ({n}); COMMIT")

    engine = await open_(path)
    both = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u)"
    writing = asyncio.to_thread(write)
    found = await asyncio.gather(writing, *(rows(engine, both) for _ in range(12)))
    assert all(one[0][0] == one[0][1] <= written for one in found[1:] if one is not None)
    assert await rows(engine, both) == [(written, written)]
    writer.close()


async def test_the_second_sandbox_holds_sqlite_too(shop: Path) -> None:
    try:
        tier = await ensure_sandbox("landlock")
    except NoSandbox as error:
        pytest.skip(f"Landlock does not work here, so SQLite in it is NOT checked: {error}")
    async with using(database_of(shop), AMPLE, tier.name) as opened:
        assert await rows(opened.engine, "SELECT count(*) FROM customers") == [(3,)]
        assert (await failure(opened.engine, "ATTACH '/etc/passwd' AS x")).kind == "refused"
