"""Databases for the tests of SQL: a small shop in each engine, and a real PostgreSQL server on a socket of its own."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maieutic.tools.sandbox.tier import NoSandbox, ensure_sandbox
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.database import database_of
from maieutic.tools.sql.engine import Ask, Engine, QueryFailed, Table
from maieutic.tools.sql.opening import using

AMPLE = Bounds(seconds=60)
SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), total REAL, ordered DATE
);
INSERT INTO customers VALUES (1, 'Ada', 'London'), (2, 'Emmy', 'Erlangen'), (3, 'Sofja', NULL);
INSERT INTO orders VALUES (1, 1, 12.5, '2024-01-02'), (2, 1, 7.5, '2024-02-03'), (3, 2, 30, '2024-02-04');
"""
Open = Callable[..., Awaitable[Engine]]


def make_sqlite(path: Path, script: str = SHOP) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_sqlite(tmp_path / "shop.sqlite")


@pytest.fixture
async def open_() -> AsyncIterator[Open]:
    """Opens engines, closed after the test."""
    async with AsyncExitStack() as stack:

        async def opening(named: Any, bounds: Bounds = AMPLE) -> Engine:
            database = database_of(named)
            if database.kind not in ("postgresql", "url"):
                await need_sandbox()
            return (await stack.enter_async_context(using(database, bounds))).engine

        yield opening


async def need_sandbox() -> None:
    try:
        tier = await ensure_sandbox()
    except NoSandbox as error:
        pytest.skip(f"no sandbox works here, so SQLite and DuckDB are NOT checked: {error}")
    if tier.name != "bubblewrap":
        pytest.skip(f"the sandbox is {tier.name}, so what bubblewrap does for databases is NOT checked")


async def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    return list((await engine.query(query, Ask())).rows)


async def failure(engine: Engine, query: str) -> QueryFailed:
    """How a query fails. The test fails where it doesn't."""
    try:
        table: Table = await engine.query(query, Ask())
    except QueryFailed as error:
        return error
    raise AssertionError(f"{query!r} brought {table.rows!r}")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server. `url` makes a role's URL; `run` runs a script as superuser and says what it printed."""

    folder: Path
    run: Callable[[str], str]

    def url(self, role: str = "reader", database: str = "shop", password: str = "") -> str:
        return f"postgresql://{role}{':' if password else ''}{password}@/{database}?host={self.folder}"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    programs = _programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL (apt-get install postgresql), so the tool's barriers there are NOT checked")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # its socket's path must be short
    as_server: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_server = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]

    def call(program: str, *arguments: str, given: str | None = None) -> str:
        command = [*as_server, str(programs / program), *arguments]
        with (folder / "output").open("w+") as output:  # no pipe, which the server would keep open
            done = subprocess.run(command, stdout=output, stderr=output, input=given, text=True, cwd=folder)
            output.seek(0)
            said = output.read()
        assert done.returncode == 0, said
        return said

    data = str(folder / "data")
    call("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
    hba = folder / "data" / "pg_hba.conf"
    hba.write_text("local all secretive scram-sha-256\nlocal all all trust\n")
    settings = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=40"
    call("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", settings, "start")
    try:
        psql = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(folder), "-U", "postgres")
        call("psql", *psql, "-d", "postgres", "-c", "CREATE DATABASE shop")

        def run(script: str) -> str:
            return call("psql", *psql, "-d", "shop", given=script).strip()

        run(SHOP + _ROLES)
        yield Server(folder, run)
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


_ROLES = """
COMMENT ON TABLE orders IS 'one row an order';
COMMENT ON COLUMN orders.total IS 'in euro';
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE notes (id int PRIMARY KEY, feeling mood, body jsonb);
CREATE SEQUENCE counter;
CREATE ROLE reader LOGIN;
CREATE ROLE secretive LOGIN PASSWORD 'p@ss w0rd';
CREATE ROLE writer LOGIN;
CREATE ROLE root_like LOGIN SUPERUSER;
CREATE ROLE server_reader LOGIN;
GRANT pg_read_server_files TO server_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader, secretive;
CREATE ROLE all_reader LOGIN;
GRANT pg_read_all_data TO all_reader;
GRANT INSERT ON customers TO writer;
GRANT USAGE ON SEQUENCE counter TO reader;
ANALYZE;
"""


def _programs() -> Path | None:
    """Where PostgreSQL's programs are; root needs a user postgres to run them."""
    if os.geteuid() == 0 and subprocess.run(["id", "postgres"], capture_output=True).returncode != 0:
        return None
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")) if Path("/usr/lib/postgresql").is_dir() else []
    if found:
        return found[-1].parent
    on_path = shutil.which("pg_ctl")
    return Path(on_path).resolve().parent if on_path else None
