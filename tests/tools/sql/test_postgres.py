"""PostgreSQL, a real server: what a query may see, what it may try, and that nothing stays of it."""

import asyncio
from decimal import Decimal

import pytest

from maieutic.errors import UserError
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.engine import Ask
from maieutic.tools.sql.hints import explain
from maieutic.tools.sql.schema import describe
from tests.tools.sql.conftest import Open, Server, failure, rows

pytest.importorskip("psycopg", reason="psycopg is not installed, so PostgreSQL is NOT checked")


async def test_a_query_brings_typed_rows(open_: Open, server: Server) -> None:
    engine = await open_(server.url())
    table = await engine.query(
        "SELECT 1 AS one, 2.50::numeric AS two, 'x' AS three, NULL AS four, DATE '2024-02-03' AS five, true, "
        "'\\x00ff'::bytea, '{\"a\": 1}'::jsonb, ARRAY[1, 2], 0.1::float8 -- a comment",
        Ask(),
    )
    assert table.columns[:5] == ("one", "two", "three", "four", "five")
    assert table.types[:3] == ("int4", "numeric", "text")
    (row,) = table.rows
    assert row == (1, Decimal("2.50"), "x", None, "2024-02-03", True, b"\x00\xff", '{"a": 1}', "{1,2}", 0.1)


async def test_percent_signs_and_duplicate_names_are_kept(open_: Open, server: Server) -> None:
    engine = await open_(server.url())
    table = await engine.query("SELECT name, name, 5 % 3 FROM customers WHERE name LIKE 'A%';", Ask())
    assert table.columns[:2] == ("name", "name") and table.rows == (("Ada", "Ada", 2),)


async def test_rows_are_fetched_no_further_than_asked(open_: Open, server: Server) -> None:
    engine = await open_(server.url())
    table = await engine.query("SELECT generate_series(1, 100000000), 'x'", Ask(rows=3))
    assert [row[0] for row in table.rows] == [1, 2, 3] and table.cut
    ordered = await engine.query("SELECT name FROM customers ORDER BY name DESC", Ask())
    assert [row[0] for row in ordered.rows] == ["Sofja", "Emmy", "Ada"] and not ordered.cut


async def test_huge_values_are_cut_by_the_server(open_: Open, server: Server) -> None:
    engine = await open_(server.url())
    table = await engine.query("SELECT repeat('x', 5000000), repeat('x', 5000000)::bytea", Ask(cell=100))
    text, data = table.rows[0]
    assert text == "x" * 100 and isinstance(data, bytes) and len(data) <= 51
    assert set(table.shortened) == {(0, 0), (0, 1)}


async def test_the_schema_has_keys_comments_enums_and_samples(open_: Open, server: Server) -> None:
    schema = await (await open_(server.url())).schema()
    text = describe(schema.tables)
    assert "orders (3 rows) -- one row an order" in text
    assert "customer_id integer, -> customers.id, e.g. 1, 2" in text
    assert "total real, e.g. 12.5, 7.5, 30 -- in euro" in text
    assert "feeling mood, e.g. 'glad', 'sad'" in text
    assert "name text, not null, e.g. 'Ada', 'Emmy', 'Sofja'" in text


REFUSED = [
    "INSERT INTO customers VALUES (9, 'x', 'y')",
    "WITH x AS (INSERT INTO customers VALUES (9, 'x', 'y') RETURNING *) SELECT * FROM x",
    "SELECT * INTO copied FROM customers",
    "CREATE TEMP TABLE t AS SELECT 1",
    "COPY customers TO '/tmp/out.csv'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT nextval('counter')",
    "SELECT setval('counter', 7)",
    "SELECT 1; SELECT 2",
    "COMMIT; SET transaction_read_only = off; BEGIN READ WRITE; INSERT INTO customers VALUES (9, 'x', 'y'); COMMIT",
    "SELECT set_config('transaction_read_only', 'off', true), set_config('transaction_read_only', 'off', false)",
    "SET statement_timeout = 0",
    "SET ROLE postgres",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT set_config('session_authorization', 'postgres', false)",
    "BEGIN",
    "ROLLBACK",
    "DO $$ BEGIN PERFORM 1; END $$",
    "CALL x()",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "LISTEN x",
    "LOCK TABLE customers",
    "VACUUM",
    "LOAD 'x'",
    "EXPLAIN ANALYZE INSERT INTO customers VALUES (9, 'x', 'y')",
    "EXPLAIN (ANALYZE) DELETE FROM customers",
    "EXPLAIN (VERBOSE, ANALYZE true) SELECT pg_sleep(1)",
    "/* SELECT */ DELETE FROM customers",
    "-- SELECT\nDELETE FROM customers",
    "SELECT 1 FROM customers FOR UPDATE",
    "SELECT * FROM pg_authid",
    "SELECT query_to_xml('DELETE FROM customers', true, true, '')",
    "SELECT 1) AS asked(c0); DROP TABLE customers; --",
    "VALUES (1)\u037e DROP TABLE customers",
    "",
    "-- nothing",
    "/* never closed",
]


async def test_what_is_no_reading_is_refused(open_: Open, server: Server) -> None:
    before = server.run("SELECT count(*) FROM customers; SELECT last_value, is_called FROM counter")
    engine = await open_(server.url())
    for query in REFUSED:
        await failure(engine, query)
    assert server.run("SELECT count(*) FROM customers; SELECT last_value, is_called FROM counter") == before


async def test_nothing_stays_of_a_query(open_: Open, server: Server) -> None:
    engine = await open_(server.url())
    for query in (
        "SELECT pg_advisory_lock(7), 'x'",
        "SELECT lo_create(4242)::text",
        "SELECT set_config('search_path', 'nowhere', false), set_config('statement_timeout', '0', false)",
        "SELECT pg_notify('channel', 'x')::text",
    ):
        try:
            await rows(engine, query)
        except Exception as error:
            assert "lo_create" in query or "read-only" in str(error), error  # refused since PostgreSQL 16
    assert await rows(engine, "SELECT count(*) FROM customers") == [(3,)]
    assert server.run("SELECT count(*) FROM pg_largeobject_metadata") == "0"
    assert server.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_sleep(60)",
        "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)",
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
    ],
)
async def test_a_query_without_an_end_is_stopped(open_: Open, server: Server, query: str) -> None:
    engine = await open_(server.url(), Bounds(seconds=0.3))
    assert (await failure(engine, query)).kind == "timeout"
    while server.run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'maieutic'") != "0":
        await asyncio.sleep(0.05)  # until the server has seen that the connection is closed
    assert await rows(await open_(server.url()), "SELECT 1") == [(1,)]


async def test_a_query_that_is_cancelled_ends_at_the_server_too(open_: Open, server: Server) -> None:
    asked = asyncio.ensure_future(rows(await open_(server.url()), "SELECT pg_sleep(600)"))
    active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND state = 'active'"
    while server.run(active) != "1":
        await asyncio.sleep(0.05)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    while server.run(active) != "0":
        await asyncio.sleep(0.05)


async def test_a_query_that_costs_too_much_is_not_run(open_: Open, server: Server) -> None:
    query = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
    error = await failure(await open_(server.url(), Bounds(cost=1000.0)), query)
    assert error.kind == "costly" and "the limit is 1,000" in str(error)
    few = await failure(await open_(server.url(), Bounds(cost=None, rows=1e6)), query)
    assert few.kind == "costly" and "rows on the way" in str(few)
    assert await rows(await open_(server.url(), Bounds(cost=None, rows=None)), "SELECT 1") == [(1,)]


async def test_errors_say_where_and_what_instead(open_: Open, server: Server) -> None:
    engine = await open_(server.url())
    schema = await engine.schema()
    said = {}
    for query in (
        "SELECT nam FROM customers",
        "SELECT * FROM customer",
        "SELECT id FROM customers, orders",
        "SELECT name\nFROM customers WERE id = 1 AND",
        "SELECT count(*) FROM orders WHERE total > 'many'",
    ):
        said[query.split()[1]] = explain(await failure(engine, query), query, schema, "postgres")
    assert "customers.name" in said["nam"]
    assert 'relation "customer" does not exist' in said["*"] and "The closest tables are customers" in said["*"]
    assert "customers.id" in said["id"] and "orders.id" in said["id"]
    assert "Line 2" in said["name"]
    assert "invalid input syntax" in said["count(*)"]


async def test_explain_is_run(open_: Open, server: Server) -> None:
    assert "Scan" in str(await rows(await open_(server.url()), "EXPLAIN SELECT * FROM customers"))


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("root_like", "superuser"),
        ("postgres", "superuser"),
        ("writer", "customers"),
        ("server_reader", "server_files"),
        ("all_reader", "pg_read_all_data"),
    ],
)
async def test_a_role_that_may_do_more_is_refused(open_: Open, server: Server, role: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        await open_(server.url(role))


async def test_the_password_is_never_shown(open_: Open, server: Server) -> None:
    good = server.url("secretive", password="p%40ss%20w0rd")
    assert await rows(await open_(good), "SELECT 1") == [(1,)]
    for url in (
        server.url("secretive", password="s3cr3t%21x"),
        server.url("secretive", "no_such_database", password="s3cr3t%21x"),
        "postgresql://secretive:s3cr3t%21x@[/shop",
        "postgresql://secretive:s3cr3t%21x@/shop?host=/nowhere",
        f"postgresql:///shop?host={server.folder}&user=secretive&password=s3cr3t%21x",
        "postgresql://secretive:s3cr3t%21x@/shop?nonsense=1",
    ):
        with pytest.raises(UserError) as caught:
            await open_(url)
        told = f"{caught.value!r} {caught.value.__cause__!r} {caught.value}"
        assert "s3cr3t" not in told and "can't be opened" in told


async def test_queries_side_by_side_wait_for_their_turn(open_: Open, server: Server) -> None:
    engine = await open_(server.url(), Bounds(running=2))
    counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'maieutic'"
    seen = await asyncio.gather(*(rows(engine, f"SELECT pg_sleep(0.02)::text, ({counted})") for _ in range(12)))
    assert max(found[0][1] for found in seen) <= 3  # two at work and one that the server is still closing
