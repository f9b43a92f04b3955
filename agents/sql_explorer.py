"""The SQL explorer: thinks about a question, looks into the database as it does so, and ends in one query."""

import json
from dataclasses import dataclass

from maieutic.agents.grammar import SQL
from maieutic.agents.prompts import opening
from maieutic.agents.speech import Solution
from maieutic.agents.tagged import Insertion, Line, Tagged
from maieutic.context import Context
from maieutic.types import Message, Sampling, ToolCall, ToolResult


@dataclass(frozen=True, slots=True)
class Peek:
    """What is shown of a query's result: the names of its columns and its first `rows`, or its error."""

    rows: int = 3

    def __call__(self, result: ToolResult) -> str:
        lines = result.content.splitlines()
        found = result.meta.get("rows")
        if result.status != "ok" or not isinstance(found, int):
            return result.content
        shown = min(self.rows, found, max(0, len(lines) - 2))  # a header, a line a row, and a line that counts them
        return "\n".join([*lines[: 1 + shown], f"[{shown} of {found} row{'' if found == 1 else 's'}]"])


def explorer(role: str, sampling: Sampling, max_calls: int, rows: int, insertion: Insertion) -> Tagged:
    """One line of thought over the tool `sql`."""
    return Tagged(role, SQL, sampling, max_calls, insertion, Peek(rows))


async def question_with_schema(ctx: Context, role: str) -> tuple[Message, ...]:
    """The prompt: the question, and the database as `sql_schema` tells of it, or as the tool `sql` describes itself."""
    return opening(ctx, role, schema=await _schema(ctx), form=SQL.form)


async def _schema(ctx: Context) -> str:
    if "sql_schema" in ctx.run.tools:
        asked = json.dumps({"question": ctx.task["question"]}, ensure_ascii=False)
        told = await ctx.use(ToolCall("schema", "sql_schema", asked), "")
        if told.status == "ok":
            return told.content
    description = ctx.run.tools["sql"].description
    return description.partition("The tables:")[2].strip() or description


def final_query(line: Line) -> Solution:
    """The line's query as an answer that every verifier reads."""
    if line.answer is None:
        return line.solution
    return Solution(f"Answer:\n```sql\n{line.answer}\n```", line.answer, line.call_id)
