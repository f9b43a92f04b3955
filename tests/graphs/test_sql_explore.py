"""Queries within a thought: what is shown of them, how the thought branches behind them, and how the branches vote."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import ModelError, UserError
from maieutic.graphs.sql_explore import shares
from maieutic.llm.scripted import ScriptedModel, decode, encode
from maieutic.recipes.export import export
from maieutic.tasks.task import Task
from maieutic.tools.sql import schema_tool, sql_tool
from maieutic.tools.sql.bounds import Bounds
from maieutic.tools.tool import tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Request
from tests.conftest import Ask
from tests.tools.sql.conftest import make_sqlite, need_sandbox

pytest.importorskip("sqlglot", reason="sqlglot is not installed: nothing of queries within a thought was checked")

LOOK = "I look. <intermediate_sql>SELECT name FROM customers ORDER BY id</intermediate_sql>"
MANY = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, paid REAL);
INSERT INTO customers VALUES (1, 'Ada', 20), (2, 'Emmy', 30), (3, 'Sofja', 5), (4, 'Hypatia', 1), (5, 'Maryam', 2);
"""
TASK = Task(question="Who paid most?", gold="SELECT name FROM customers ORDER BY paid DESC LIMIT 1", verifier="sql")


@pytest.fixture(autouse=True)
async def sandbox() -> None:
    await need_sandbox()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return make_sqlite(tmp_path / "shop.sqlite", MANY)


@pytest.fixture
def task(database: Path) -> Task:
    return TASK.model_copy(update={"inputs": {"database": str(database)}})


def the_run(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        (summary,) = reader.runs()
        return reader.run(summary.run_id)


def final(query: str) -> str:
    return f" So <final_sql>{query}</final_sql>"


def sent(request: Request) -> str:
    return decode(request.prompt_ids or ())


def tools(database: Path) -> list[Any]:
    return [sql_tool(database, bounds=Bounds(seconds=60)), schema_tool(database, bounds=Bounds(seconds=60))]


async def play(ask: Ask, script: Any, task: Task, **settings: Any) -> tuple[Any, ScriptedModel]:
    model = ScriptedModel(script)
    database = Path(str(task.inputs["database"]))
    result = await ask(model, "sql_explore", task, tools=tools(database), graph_settings={"leaves": 1, **settings})
    return result, model


async def test_column_names_and_three_rows_are_shown(ask: Ask, task: Task) -> None:
    result, model = await play(ask, [LOOK, final("SELECT name FROM customers WHERE paid = 30")], task)
    assert "<result>\nname\nAda\nEmmy\nSofja\n[3 of 5 rows]\n</result>" in sent(model.requests[1])
    assert "customers" in str(model.requests[0].messages[-1]["content"])
    assert result.answer == "SELECT name FROM customers WHERE paid = 30"
    assert result.verdict.outcome == "correct"
    assert model.requests[0].sampling.stop == ("</intermediate_sql>", "</final_sql>")


async def test_the_error_message_is_shown_where_a_query_fails(ask: Ask, task: Task) -> None:
    broken = "<intermediate_sql>SELECT nam FROM customers</intermediate_sql>"
    _, model = await play(ask, [broken, final("SELECT 1")], task)
    assert "<result>\nno such column: nam." in sent(model.requests[1])


async def test_fewer_rows_than_three_and_none(ask: Ask, task: Task) -> None:
    queries = ("SELECT 1 AS one", "SELECT 1 AS one WHERE 1 = 0")
    script = [*(f"<intermediate_sql>{query}</intermediate_sql>" for query in queries), final("SELECT 1")]
    _, model = await play(ask, script, task)
    assert "<result>\none\n1\n[1 of 1 row]\n</result>" in sent(model.requests[1])
    assert "<result>\none\n[0 of 0 rows]\n</result>" in sent(model.requests[2])


def branching(finals: dict[str, str]) -> Callable[[Request], str]:
    """Looks twice, and ends in a query that depends on the order in which the leaves are reached."""
    given: list[str] = []
    queries = list(finals.values())

    def script(request: Request) -> str:
        looked = sent(request).count("<result>\n")
        if looked < 2:
            return LOOK
        given.append("")
        return final(queries[len(given) - 1])

    return script


async def test_it_branches_behind_each_result_and_the_branches_share_what_is_before(
    ask: Ask, task: Task, tmp_path: Path
) -> None:
    good = "SELECT name FROM customers WHERE paid = 30"
    result, model = await play(ask, branching(dict.fromkeys("abcd", good) | {"b": "SELECT 1"}), task, leaves=4)
    run = the_run(tmp_path)
    assert (result.answer, len(run.calls)) == (good, 1 + 2 + 4)
    paths = [call.branch for call in run.calls if call.branch.count("/") == 1]
    assert sorted(paths) == ["way-1/way-1", "way-1/way-2", "way-2/way-1", "way-2/way-2"]
    prompts = [call.request.prompt_ids for call in run.calls if call.branch.startswith("way-1/")]
    assert prompts[0] == prompts[1] and len(prompts) == 2
    seeds = {call.request.sampling.seed for call in run.calls}
    assert len(seeds) == 7
    looks = [event for event in run.events_of("tool_result") if not event.fields["tool_call_id"].startswith("final")]
    assert [look.fields["name"] for look in looks].count("sql") == 1 + 2  # once for each node, not for each branch


async def test_the_vote_is_by_what_queries_bring_and_not_by_their_text(ask: Ask, task: Task, tmp_path: Path) -> None:
    """Two queries that bring the same in other words, against one that brings something else and one that fails."""
    finals = {
        "a": "SELECT 1.0, 'x'",
        "b": "SELECT name FROM customers WHERE paid = 30",
        "c": "SELECT name FROM customers ORDER BY paid DESC LIMIT 1",
        "d": "SELECT broken",
    }
    result, _ = await play(ask, branching(finals), task, leaves=4)
    run = the_run(tmp_path)
    (vote,) = run.events_of("vote")
    assert result.answer in (finals["b"], finals["c"]) and result.verdict.outcome == "correct"
    assert sorted(vote.fields["votes"].values()) == [1, 2] and vote.fields["abstained"] == 1
    leaves = [event.fields for event in run.events_of("tree") if event.fields["terminal"]]
    values = {leaf["action"]: leaf["value"] for leaf in leaves}
    assert values == {finals["a"]: 0.25, finals["b"]: 0.5, finals["c"]: 0.5, finals["d"]: None}
    ids = {event.fields["id"] for event in run.events_of("tree")}
    assert all(event.fields["up"] in ids or event.fields["depth"] == 0 for event in run.events_of("tree"))


async def test_one_as_number_and_one_as_text_are_two_results(ask: Ask, task: Task, tmp_path: Path) -> None:
    finals = {"a": "SELECT 1", "b": "SELECT '1'", "c": "SELECT 1.0", "d": "SELECT '1 '"}
    result, _ = await play(ask, branching(finals), task, leaves=4)
    assert result.answer in ("SELECT 1", "SELECT 1.0")


async def test_a_failed_branch_leaves_its_siblings_alone(ask: Ask, task: Task) -> None:
    def script(request: Request) -> str:
        if sent(request).count("<result>\n") == 0:
            return LOOK
        if request.sampling.seed == min(seeds):
            raise ModelError("cut")
        return final("SELECT name FROM customers WHERE paid = 30")

    seeds: list[int] = []
    model = ScriptedModel(lambda request: [LOOK, final("SELECT 1")][request.prompt_ids is not None])
    database = Path(str(task.inputs["database"]))
    options: dict[str, Any] = {"tools": tools(database), "graph_settings": {"leaves": 2}}
    await ask(model, "sql_explore", task, **options)
    seeds += [request.sampling.seed or 0 for request in model.requests if request.prompt_ids]
    assert len(seeds) == 2
    result = await ask(ScriptedModel(script), "sql_explore", task, **options)
    assert result.verdict is not None and result.verdict.outcome == "correct" and not result.partial


async def test_the_tree_is_bounded_whatever_the_model_does(ask: Ask, task: Task) -> None:
    _, model = await play(ask, LOOK, task, leaves=5, branches=3, max_calls=3)
    assert len(model.requests) <= 1 + 5 * 3
    assert max(sent(request).count("<result>\n") for request in model.requests) == 3


def test_leaves_are_shared_out_evenly() -> None:
    assert (shares(5, 2), shares(7, 3), shares(2, 4), shares(1, 2)) == ([3, 2], [3, 2, 2], [1, 1], [1])


async def test_a_line_that_ends_without_a_query_abstains(ask: Ask, task: Task) -> None:
    result, _ = await play(ask, ["I can't.", " No."], task, max_calls=1)
    assert result.answer is None and result.verdict.outcome == "unparsed"


async def test_results_are_not_trained_on(ask: Ask, task: Task, tmp_path: Path) -> None:
    query = "SELECT name FROM customers WHERE paid = 30"
    open_ = LOOK.removesuffix("</intermediate_sql>")
    script = [
        Completion(open_, finish_reason="stop", token_ids=encode(LOOK)),
        Completion(f"<final_sql>{query}", finish_reason="stop", token_ids=encode(f"<final_sql>{query}</final_sql>")),
    ]
    await play(ask, script, task)
    report = export(tmp_path / "traces", "solved", "trl-sft", tmp_path / "rows.jsonl")
    (row,) = [json.loads(line) for line in report.out.read_text().splitlines()]
    trained = decode([label for label in row["labels"] if label >= 0])
    assert trained == f"{LOOK}<final_sql>{query}</final_sql>"
    assert re.search(r"<result>\nname\nAda", decode(row["input_ids"]))


async def test_another_tool_of_that_name_votes_by_the_text_of_its_results(ask: Ask, task: Task) -> None:
    @tool
    async def sql(query: str) -> str:
        """Run a query."""
        return "same" if "FROM" in query else query

    finals = {"a": "SELECT 1", "b": "SELECT 2 FROM t", "c": "SELECT 3 FROM t", "d": "SELECT 4"}
    model = ScriptedModel(branching(finals))
    result = await ask(model, "sql_explore", "Who?", tools=[sql], graph_settings={"leaves": 4})
    assert result.answer in (finals["b"], finals["c"])


async def test_without_a_database_nothing_starts(ask: Ask) -> None:
    with pytest.raises(UserError, match="needs the tool sql"):
        await ask(ScriptedModel("Answer: 7"), "sql_explore")
