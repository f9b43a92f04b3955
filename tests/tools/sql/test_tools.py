"""The tools `sql` and `sql_schema` as a model meets them: descriptions, replies, hints, the trace."""

from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import TaskError, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tasks.task import Task
from maieutic.tools.sql import schema_tool, sql_tool
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.sql.opening import _opened
from maieutic.trace.reader import TraceReader
from tests.conftest import Ask
from tests.tools.sql.conftest import AMPLE, Server, make_sqlite, need_sandbox

JOIN = "SELECT name, sum(total) AS paid FROM customers JOIN orders ON customer_id = customers.id GROUP BY 1 ORDER BY 2"


@pytest.fixture(autouse=True)
async def sandbox() -> None:
    await need_sandbox()


async def replies(
    ask: Ask, *calls: Any, tools: list[Any], task: Any = "Who paid most?"
) -> tuple[ScriptedModel, list[str]]:
    """What the tools answered to these calls, in turn."""
    model = ScriptedModel([*calls, "Answer: Emmy"])
    await ask(model, "tool_loop", task, tools=tools)
    return model, [str(m["content"]) for m in model.requests[-1].messages if m["role"] == "tool"]


async def test_a_model_questions_a_database(ask: Ask, shop: Path, tmp_path: Path) -> None:
    calls = [call_tool("sql", query="SELECT nam FROM customers"), call_tool("sql", query=f"```sql\n{JOIN}\n```")]
    model, said = await replies(ask, *calls, tools=[sql_tool(shop, bounds=AMPLE)])
    description = model.requests[0].tools[0].description
    assert "SQLite's SQL" in description and "total REAL, e.g. 12.5, 7.5, 30.0" in description
    assert said[0] == "no such column: nam. The closest columns are customers.name."
    assert said[1] == "name | paid\nAda | 20.0\nEmmy | 30.0\n[2 rows]"
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = [reader.run(one.run_id) for one in reader.runs()]
    failed, done = (line.fields for line in run.events_of("tool_result"))
    assert (failed["status"], failed["meta"]["failure"]) == ("error", "failed")
    assert done["status"] == "ok" and done["meta"]["columns"] == ["name", "paid"]
    assert {**done["meta"], "seconds": 0} == {
        "engine": "sqlite",
        "tier": "bubblewrap",
        "database": "shop.sqlite",
        "rows": 2,
        "columns": ["name", "paid"],
        "truncated": False,
        "seconds": 0,
    }
    assert not _opened  # closed with the run


async def test_long_results_are_marked(ask: Ask, shop: Path) -> None:
    calls = [
        call_tool("sql", query="SELECT id FROM customers"),
        call_tool("sql", query="SELECT '', 'NULL', NULL, x'00', 'a\nb', printf('%.*c', 400, 'x')"),
        call_tool("sql", query="SELECT 1 WHERE 0"),
    ]
    _, said = await replies(ask, *calls, tools=[sql_tool(shop, rows=2, bounds=AMPLE)])
    assert said[0] == "id\n1\n2\n[The first 2 rows; there are more: aggregate, filter, or use LIMIT and OFFSET.]"
    assert said[1].splitlines()[1].startswith("'' | 'NULL' | NULL | x'00' | a\\nb | xxx")
    assert "… (400 characters)" in said[1]
    assert said[2] == "1\n[0 rows]"


async def test_a_timeout_says_so_and_the_next_query_works(ask: Ask, shop: Path, tmp_path: Path) -> None:
    endless = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r"
    calls = [call_tool("sql", query=endless), call_tool("sql", query="SELECT 1 AS one")]
    _, said = await replies(ask, *calls, tools=[sql_tool(shop, bounds=Bounds(seconds=1.5, grace=20))])
    assert said[0].startswith("The query took too long and was stopped. Ask for less")
    assert said[1] == "one\n1\n[1 row]"
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = [reader.run(one.run_id) for one in reader.runs()]
    assert [line.fields["status"] for line in run.events_of("tool_result")] == ["timeout", "ok"]


async def test_a_large_schema_is_looked_up(ask: Ask, tmp_path: Path) -> None:
    filler = "".join(f"CREATE TABLE stock_{n} (id INTEGER PRIMARY KEY, shelf TEXT, weight REAL);" for n in range(150))
    wide = f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {', '.join(f'c{n} TEXT' for n in range(80))}, salary REAL);"
    path = make_sqlite(tmp_path / "large.db", filler + wide + SHOP_WITH_BRIDGE)
    tools = [sql_tool(path, bounds=AMPLE), schema_tool(path, bounds=AMPLE)]
    calls = [
        call_tool("sql_schema", question="Which customers bought which products?"),
        call_tool("sql_schema", tables=["CUSTOMERS", "nowhere"]),
        call_tool("sql_schema", question="What is the highest salary?"),
        call_tool("sql_schema", tables=["nowhere"]),
    ]
    model, said = await replies(ask, *calls, tools=tools)
    description = model.requests[0].tools[0].description
    assert "See the columns with sql_schema first." in description and "stock_7" in description
    assert len(description) < 6_000
    told = said[0].split("Other tables:")[0]
    assert "customers (0 rows)" in told and "products (0 rows)" in told
    assert "purchases" in told and "-> products.id" in told  # it joins the two, though nobody named it
    assert "stock_7" not in told
    assert "name TEXT" in said[1] and "[There is no table nowhere.]" in said[1]
    assert "salary REAL" in said[2] and "id INTEGER, primary key" in said[2] and "more columns" in said[2]
    assert said[3].startswith("There is no table nowhere. Tables: ")


SHOP_WITH_BRIDGE = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT);
CREATE TABLE purchases (
  buyer INTEGER REFERENCES customers (id), thing INTEGER REFERENCES products (id), PRIMARY KEY (buyer, thing)
);
"""


async def test_a_task_brings_its_database(ask: Ask, shop: Path) -> None:
    task = Task(question="How many?", inputs={"database": str(shop)})
    calls = [call_tool("sql_schema"), call_tool("sql", query="SELECT count(*) AS n FROM customers")]
    _, said = await replies(ask, *calls, tools=["sql", "sql_schema"], task=task)
    assert said[0].startswith("customers (3 rows)") and said[1] == "n\n3\n[1 row]"


async def test_what_cannot_work_is_said_before_the_run(ask: Ask, shop: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no database"):
        sql_tool(tmp_path / "none.db")
    bad = tmp_path / "bad.db"
    bad.write_bytes(b"SQLite format 3\0" + bytes(200))
    with pytest.raises(UserError, match="bad.db can't be used"):
        await ask(ScriptedModel("Answer: 1"), tools=[sql_tool(bad)])
    with pytest.raises(UserError, match="has no database"):
        await ask(ScriptedModel([call_tool("sql", query="SELECT 1"), "Answer: 1"]), "tool_loop", tools=["sql"])
    with pytest.raises(TaskError, match="must be a path"):
        await ask(ScriptedModel("Answer: 1"), task=Task(question="?", inputs={"database": 7}))
    with pytest.raises(UserError, match="monty can't hold a database|monty"):
        await ask(ScriptedModel("Answer: 1"), tools=[sql_tool(shop)], sandbox="monty")
    assert not (tmp_path / "traces").exists() or not any((tmp_path / "traces").glob("**/*s3cr3t*"))


async def test_a_password_is_in_no_trace(ask: Ask, server: Server, tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed, so PostgreSQL is NOT checked")
    url = server.url("secretive", password="p%40ss%20w0rd")
    calls = [call_tool("sql", query="SELECT current_user AS who, 'shown' AS x"), call_tool("sql", query="SELECT nope")]
    model, said = await replies(ask, *calls, tools=[sql_tool(url), schema_tool(url)])
    assert said[0] == "who | x\nsecretive | shown\n[1 row]"
    shown = " ".join(tool.description for tool in model.requests[0].tools) + " ".join(said)
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = [reader.run(one.run_id) for one in reader.runs()]
    recorded = repr([run.header, *(line.fields for line in run.events_of("tool_result"))])
    assert "w0rd" not in shown + recorded
    with pytest.raises(UserError, match="PGPASSWORD") as caught:
        await ask(ScriptedModel("Answer: 1"), task=Task(question="?", inputs={"database": url}))
    assert "w0rd" not in str(caught.value)
