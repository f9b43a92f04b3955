"""`--database`: what it gives the model, and what it never shows."""

import asyncio
import json
from pathlib import Path

from maieutic.trace.reader import TraceReader
from tests.cli.conftest import Command
from tests.tools.sql.conftest import make_sqlite, need_sandbox


def test_a_database_gives_both_tools_and_the_schema(maieutic: Command, tmp_path: Path, scripts: Path) -> None:
    asyncio.run(need_sandbox())
    shop = make_sqlite(tmp_path / "shop.sqlite")
    ended = maieutic("ask", "Who?", "--model", "yes", "--tool", "sql", "--database", str(shop), "--json", "--quiet")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    with TraceReader(Path(said["trace"])) as reader:
        run = reader.run(said["run_id"])
    assert run.header.tools == ("sql", "sql_schema")


def test_what_is_no_database_is_one_sentence(maieutic: Command, tmp_path: Path) -> None:
    ended = maieutic("ask", "Who?", "--model", "yes", "--database", str(tmp_path / "no.sqlite"))
    assert ended.code == 2 and "There is no database" in ended.err and len(ended.err.splitlines()) == 1
    (tmp_path / "some.db").write_text("not a database" * 20)
    ended = maieutic("ask", "Who?", "--model", "yes", "--database", str(tmp_path / "some.db"))
    assert ended.code == 2 and "neither a SQLite nor a DuckDB database" in ended.err


def test_a_password_is_refused_and_not_repeated(maieutic: Command) -> None:
    ended = maieutic("ask", "Who?", "--model", "yes", "--database", "postgresql://ann:s3cr3t@localhost/shop")
    assert ended.code == 2 and "PGPASSWORD" in ended.err and "s3cr3t" not in ended.err + ended.out
