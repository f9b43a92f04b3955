"""Let a model question a database, and check its query against the right one by what the two bring."""

import sqlite3
from pathlib import Path

import maieutic
from maieutic.llm.scripted import call_tool
from maieutic.tools.sql import sql_tool

QUERY = """
SELECT name FROM customers JOIN orders ON customer_id = customers.id GROUP BY name ORDER BY sum(total) DESC LIMIT 1
"""

if __name__ == "__main__":
    shop = Path("shop.sqlite")
    shop.unlink(missing_ok=True)
    connection = sqlite3.connect(shop)
    connection.executescript(
        """
        CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE orders (customer_id INTEGER REFERENCES customers (id), total REAL);
        INSERT INTO customers VALUES (1, 'Ada'), (2, 'Emmy');
        INSERT INTO orders VALUES (1, 12.5), (1, 7.5), (2, 30);
        """
    )
    connection.close()

    model = maieutic.ScriptedModel([call_tool("sql", query=QUERY), f"Answer: {QUERY.strip()}"])
    task = maieutic.Task(
        question="Which customer paid most? Answer with a query.",
        inputs={"database": str(shop)},
        gold="SELECT name FROM customers, orders WHERE customer_id = id GROUP BY id ORDER BY sum(total) DESC LIMIT 1",
        verifier="sql",
    )
    result = maieutic.run(task, "tool_loop", model=model, tools=[sql_tool(shop)])
    print(result.answer, result.outcome)
