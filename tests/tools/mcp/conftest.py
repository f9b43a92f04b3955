"""What the tests of MCP share; without the SDK nothing of MCP is checked."""

from pathlib import Path
from typing import Any

import pytest

from maieutic.llm.scripted import ScriptedModel
from maieutic.trace.reader import TraceReader
from tests.conftest import Ask

SERVER = Path(__file__).with_name("server.py")


@pytest.fixture(autouse=True)
def sdk() -> None:
    pytest.importorskip("mcp", reason="NOT CHECKED: the tools of MCP servers, because the extra mcp is not installed")


async def replies(ask: Ask, tools: list[Any], *calls: Any, **options: Any) -> tuple[ScriptedModel, list[str]]:
    """What the tools answered to these calls, in turn."""
    model = ScriptedModel([*calls, "Answer: 7"])
    await ask(model, "tool_loop", tools=tools, graph_settings={"max_turns": 30}, **options)
    return model, [str(m["content"]) for m in model.requests[-1].messages if m["role"] == "tool"]


def recorded(tmp_path: Path) -> list[dict[str, Any]]:
    """The facts of each tool call in the only run of the trace."""
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = reader.runs()
        return [event.fields["meta"] for event in reader.run(run.run_id).events_of("tool_result")]
