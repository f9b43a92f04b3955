"""Databases through SQLAlchemy, tried on PostgreSQL through its SQLAlchemy driver."""

import pytest

from maieutic.errors import UserError
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.database import Database, database_of
from maieutic.tools.sql.engine import Ask, QueryFailed
from maieutic.tools.sql.other import check_reads_only, open_other
from maieutic.tools.sql.schema import describe
from tests.tools.sql.conftest import Server

for needed in ("sqlalchemy", "sqlglot", "psycopg"):
    pytest.importorskip(needed, reason=f"{needed} is not installed, so other databases are NOT checked")


def meant(server: Server, **options: str) -> Database:
    url = server.url(**options).replace("postgresql", "postgresql+psycopg", 1)
    return Database("url", "postgresql+psycopg:///shop", url=url)


async def test_a_database_is_read_and_described(server: Server) -> None:
    engine = await open_other(meant(server), Bounds(seconds=60))
    try:
        table = await engine.query("SELECT id, name FROM customers ORDER BY id", Ask(rows=2))
        assert table.columns == ("id", "name") and table.rows == ((1, "Ada"), (2, "Emmy")) and table.cut
        text = describe((await engine.schema()).tables)
        assert "id INTEGER, primary key" in text and "-> customers.id" in text
        for query in ("DELETE FROM customers", "SELECT 1; SELECT 2", "SELECT nope FROM customers", "selec 1"):
            with pytest.raises(QueryFailed):
                await engine.query(query, Ask())
        assert server.run("SELECT count(*) FROM customers") == "3"
    finally:
        await engine.close()


async def test_the_password_is_never_shown(server: Server) -> None:
    with pytest.raises(UserError, match="can't be opened") as caught:
        await open_other(meant(server, role="secretive", password="s3cr3t%21x"), Bounds())
    assert "s3cr3t" not in f"{caught.value} {caught.value.__cause__!r}"


async def test_a_missing_driver_is_named() -> None:
    database = database_of("nosuch://ann:s3cr3t@localhost/shop")
    assert database.kind == "url" and database.label == "nosuch://localhost/shop"
    with pytest.raises(UserError, match="needs a driver") as caught:
        await open_other(database, Bounds())
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("SELECT 1; DROP TABLE t", "several"),
        ("", "empty"),
        ("INSERT INTO t VALUES (1)", "refused"),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "refused"),
        ("SELECT * INTO t2 FROM t", "refused"),
        ("SELECT * FROM t FOR UPDATE", "refused"),
        ("CREATE TABLE t (a INT)", "refused"),
        ("SET x = 1", "refused"),
        ("CALL p()", "refused"),
    ],
)
def test_what_does_not_read_is_refused(query: str, kind: str) -> None:
    with pytest.raises(QueryFailed) as caught:
        check_reads_only(query, "postgres")
    assert caught.value.kind == kind
    check_reads_only("WITH x AS (SELECT 1 AS a) SELECT a FROM x UNION ALL SELECT 2", "postgres")
