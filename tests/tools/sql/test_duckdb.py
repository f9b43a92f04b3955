"""DuckDB in the sandbox: databases, folders of files, data frames, and what a query may try."""

import gzip
import os
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.engine import Ask
from maieutic.tools.sql.hints import explain
from maieutic.tools.sql.schema import describe
from tests.tools.sql.conftest import SHOP, Open, failure, rows

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed, so DuckDB and files of tables are NOT checked")

REFUSED = [
    "INSERT INTO customers VALUES (9, 'x', 'y')",
    "WITH x AS (INSERT INTO customers VALUES (9, 'x', 'y') RETURNING *) SELECT * FROM x",
    "CREATE TABLE t (a INTEGER)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "ATTACH '/tmp/other.duckdb' AS other",
    "ATTACH ':memory:' AS other",
    "COPY customers TO '/tmp/out.csv'",
    "COPY customers FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/out'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/data/*')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM read_csv('https://example.com/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x')",
    "SELECT * FROM sqlite_scan('/data/database', 'x')",
    "SELECT * FROM query('INSERT INTO customers VALUES (9)')",
    "SELECT nextval('counter')",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "BEGIN",
    "VACUUM",
    "USE memory",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN ANALYZE INSERT INTO customers VALUES (9, 'x', 'y')",
    "EXPLAIN INSERT INTO customers VALUES (9, 'x', 'y')",
    "EXPLAIN SELECT 1; DROP TABLE customers",
    "SELECT 1; SELECT 2",
    "/* SELECT */ DELETE FROM customers",
    "",
    "-- nothing",
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SHOP)
        connection.execute("COMMENT ON COLUMN orders.total IS 'in euro'; CREATE SEQUENCE counter")
    return path


async def test_a_query_brings_typed_rows(open_: Open, store: Path) -> None:
    table = await (await open_(store)).query(
        "SELECT 1, 2.50::DECIMAL(9, 2), 'x', NULL, DATE '2024-02-03', true, '\\x00\\xFF'::BLOB, [1, 2], {'a': 1}, "
        "TIMESTAMPTZ '2024-02-03 04:05:06+00', 170141183460469231731687303715884105727::HUGEINT",
        Ask(),
    )
    assert table.types[:3] == ("INTEGER", "DECIMAL(9,2)", "VARCHAR")
    (row,) = table.rows
    assert row[:7] == (1, Decimal("2.50"), "x", None, "2024-02-03", True, b"\x00\xff")
    assert row[7:] == ("[1, 2]", '{"a": 1}', "2024-02-03 04:05:06+00:00", 2**127 - 1)


async def test_rows_are_cut_and_keep_their_order(open_: Open, store: Path) -> None:
    engine = await open_(store)
    table = await engine.query("SELECT i FROM range(5000000) t(i) ORDER BY i DESC", Ask(rows=2))
    assert table.rows == ((4999999,), (4999998,)) and table.cut


async def test_what_is_no_reading_is_refused(open_: Open, store: Path) -> None:
    before = store.read_bytes(), sorted(os.listdir(store.parent))
    engine = await open_(store)
    for query in REFUSED:
        await failure(engine, query)
    assert await rows(engine, "SELECT count(*) FROM customers") == [(3,)]
    assert (store.read_bytes(), sorted(os.listdir(store.parent))) == before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c",
        pytest.param(
            "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
            marks=pytest.mark.slow,
        ),
        pytest.param("SELECT repeat('x', 2000000000)", marks=pytest.mark.slow),  # one call, which no interrupt reaches
    ],
)
async def test_a_query_without_an_end_is_stopped(open_: Open, store: Path, query: str) -> None:
    engine = await open_(store, Bounds(seconds=1, grace=1))
    assert (await failure(engine, query)).kind in ("timeout", "memory")
    assert await rows(await open_(store), "SELECT 1") == [(1,)]


async def test_too_much_memory_is_refused(open_: Open, store: Path) -> None:
    engine = await open_(store, Bounds(memory=128 << 20))
    query = "SELECT string_agg(repeat('x', 10000), '') FROM range(1000000)"
    assert (await failure(engine, query)).kind == "memory"
    assert await rows(engine, "SELECT 1") == [(1,)]


async def test_the_schema_has_keys_comments_and_samples(open_: Open, store: Path) -> None:
    text = describe((await (await open_(store)).schema()).tables)
    assert "customers (3 rows)" in text and "id INTEGER, primary key" in text
    assert "customer_id INTEGER, -> customers.id" in text
    assert "total FLOAT, e.g. 12.5, 7.5, 30.0 -- in euro" in text


async def test_errors_say_what_instead(open_: Open, store: Path) -> None:
    engine = await open_(store)
    schema = await engine.schema()

    async def said(query: str) -> str:
        return explain(await failure(engine, query), query, schema, "duckdb")

    assert "customers.name" in await said("SELECT nam FROM customers")
    assert "The closest tables are customers" in await said("SELECT * FROM customer")
    assert "customers.id, orders.id" in await said("SELECT id FROM customers, orders")
    assert "at the mark" in await said("SELECT name FROM customers WHERE AND id = 1")
    assert "only be read" in await said("DROP TABLE orders")


async def test_a_database_that_another_program_writes_says_so(open_: Open, store: Path) -> None:
    with duckdb.connect(str(store)):
        error = await failure(await open_(store), "SELECT 1")
    assert error.kind == "unopened" and "lock" in str(error).lower()


async def test_a_folder_of_files_is_a_database(open_: Open, tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("id,name\n1,Ada\n2,Emmy\n")
    (tmp_path / "2024 orders.tsv").write_text("customer\ttotal\tday\n1\t12.5\t2024-01-02\n")
    (tmp_path / "events.jsonl").write_text('{"what": "sale", "n": 1}\n{"what": "return", "n": 2}\n')
    (tmp_path / "zipped.csv.gz").write_bytes(gzip.compress(b"a\n1\n"))
    duckdb.sql(f"COPY (SELECT 7 AS seven) TO '{tmp_path}/numbers.parquet'")
    (tmp_path / "read me.txt").write_text("not a table")
    (tmp_path / ".hidden.csv").write_text("a\n1\n")
    engine = await open_(tmp_path)
    schema = await engine.schema()
    names = [table.name for table in schema.tables]
    assert names == ["customers", "events", "numbers", "t_2024_orders", "zipped"]
    query = "SELECT name, total, day, seven FROM customers JOIN t_2024_orders ON id = customer, numbers"
    assert await rows(engine, query) == [("Ada", 12.5, "2024-01-02", 7)]
    for forbidden in (
        "SELECT * FROM read_text('/data/../etc/hostname')",
        "CREATE TABLE t (a INTEGER)",
        "DROP VIEW events",
    ):
        await failure(engine, forbidden)
    (tmp_path / "customers.csv").write_text("id,name\n3,Sofja\n")
    assert await rows(engine, "SELECT name FROM customers") == [("Sofja",)]


async def test_a_file_that_is_no_utf8_is_read_as_latin_1_and_says_so(open_: Open, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_bytes("name,n\nJosé,1\n".encode("latin-1"))
    engine = await open_(tmp_path / "names.csv")
    assert await rows(engine, "SELECT name FROM names") == [("José",)]
    assert "not valid UTF-8: read as Latin-1" in describe((await engine.schema()).tables)


async def test_a_bad_byte_far_down_is_named(open_: Open, tmp_path: Path) -> None:
    lines = [b"name,n"] + [b"Jose,%d" % n for n in range(60_000)] + [b"Jos\xe9,1"]
    (tmp_path / "names.csv").write_bytes(b"\n".join(lines))
    engine = await open_(tmp_path / "names.csv")
    error = await failure(engine, "SELECT count(DISTINCT name) FROM names")
    assert "UTF-8" in explain(error, "", None, "duckdb")
    assert await rows(engine, "SELECT name FROM names LIMIT 1") == [("Jose",)]


async def test_one_broken_file_does_not_hide_the_others(open_: Open, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("a\n1\n")
    (tmp_path / "bad.parquet").write_bytes(b"no parquet at all")
    engine = await open_(tmp_path)
    assert await rows(engine, "SELECT a FROM good") == [(1,)]
    assert "bad (view) -- can't be read:" in describe((await engine.schema()).tables)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    from maieutic.tools.sql.database import database_of

    with pytest.raises(UserError, match="holds no CSV"):
        database_of(tmp_path)


@pytest.mark.skipif(find_spec("pandas") is None, reason="pandas is not installed, so its data frames are NOT checked")
async def test_a_pandas_frame_is_a_table(open_: Open) -> None:
    import pandas

    frame = pandas.DataFrame({"name": ["Ada", "Emmy"], "total": [1.5, None]})
    assert await rows(await open_({"orders": frame}), "SELECT * FROM orders") == [("Ada", 1.5), ("Emmy", None)]


async def test_what_is_no_data_frame_is_refused(open_: Open) -> None:
    relation = duckdb.sql("SELECT 1 AS a")
    assert await rows(await open_({"one": relation}), "SELECT a FROM one") == [(1,)]
    with pytest.raises(UserError, match="can't be read as a table"):
        await open_({"orders": object()})


@pytest.mark.slow
async def test_a_file_larger_than_the_memory_is_scanned(open_: Open, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    lines = 3_000_000
    duckdb.sql(f"COPY (SELECT i, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS h FROM range({lines}) t(i)) TO '{path}'")
    assert path.stat().st_size > 200 << 20
    engine = await open_(path, Bounds(seconds=200, memory=128 << 20))
    assert await rows(engine, "SELECT count(*), max(i), count(h) FROM large") == [(lines, lines - 1, lines)]
