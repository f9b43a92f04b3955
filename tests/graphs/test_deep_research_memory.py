"""deep_research with one memory in place of all that was said and found."""

from pathlib import Path

import pytest

from maieutic.agents.context_policy import LONGEST, lost, open_questions, read_memory
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.tools.tool import Tool, tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Request
from tests.conftest import Ask

QUESTION = "How heavy is a barn owl, and what does it eat?"
OPEN = "Q1 [open]: How heavy?\nQ2 [open]: What does it eat?"


@tool
async def search(query: str) -> str:
    """Search."""
    return f"Nothing about {query}: " + "word " * 50


@tool
async def read_page(url: str) -> str:
    """Read."""
    return url


TOOLS = [search, read_page]


def turn(memory: str, query: str = "owls") -> Completion:
    call = call_tool("search", query=query)
    return Completion(f"<memory>\n{memory}\n</memory>", call.tool_calls, finish_reason="tool_calls")


def size(request: Request) -> int:
    return sum(len(str(message)) for message in request.messages)


def recorded(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = reader.runs()
        return reader.run(run.run_id)


async def ask_with(ask: Ask, model: ScriptedModel, max_turns: int = 17, tools: list[Tool] = TOOLS) -> str | None:
    settings = {"context": "memory", "max_turns": max_turns}
    return (await ask(model, "deep_research", QUESTION, tools=tools, graph_settings=settings)).answer


async def test_the_prompt_stays_as_long_over_sixteen_turns(ask: Ask) -> None:
    model = ScriptedModel(lambda r: turn(OPEN) if r.tool_choice != "none" else f"<memory>{OPEN}</memory>\nAnswer: 1")
    assert await ask_with(ask, model) == "1"
    sizes = [size(request) for request in model.requests]
    assert len(sizes) == 17 and max(sizes[1:]) - min(sizes[1:]) <= 2  # the number of turns left has a digit less
    roles = [[message["role"] for message in request.messages] for request in model.requests[1:]]
    assert all(one == ["system", "user", "assistant", "tool"] for one in roles)
    assert "15 turns are left" in str(model.requests[2].messages[-1]["content"])


async def test_the_last_action_and_result_are_kept_and_older_ones_are_gone(ask: Ask) -> None:
    model = ScriptedModel([turn(OPEN, "first"), turn(OPEN, "second"), "Answer: 1"])
    await ask_with(ask, model)
    last = str(model.requests[2].messages)
    assert "Nothing about second" in last and "first" not in last and "Q2 [open]" in last


async def test_a_lost_sub_question_is_asked_for_once_more(ask: Ask) -> None:
    fixed = "<memory>Q1 [answered]: 350 g\nQ2 [open]: What does it eat?</memory>"
    model = ScriptedModel([turn(OPEN), turn("Q1 [answered]: 350 g"), fixed, "Answer: 1"])
    assert await ask_with(ask, model) == "1"
    again = str(model.requests[2].messages[-1]["content"])
    assert "its memory leaves out Q2" in again and not model.requests[2].tools
    assert "Q2 [open]" in str(model.requests[3].messages[2]["content"])


async def test_what_is_lost_twice_is_put_back_by_rule(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel(
        [turn(OPEN), turn("Q1 [answered]: 350 g"), "<memory>Q1 [answered]: 350 g</memory>", "Answer: 1"]
    )
    await ask_with(ask, model)
    memory = str(model.requests[3].messages[2]["content"])
    assert "Q2 [open]: What does it eat?" in memory and "Q1 [answered]: 350 g" in memory
    (note,) = [e.fields for e in recorded(tmp_path).events_of("note") if "mended" in e.fields]
    assert note["mended"] is False


async def test_a_turn_without_a_memory_keeps_the_one_before(ask: Ask) -> None:
    model = ScriptedModel([turn(OPEN), call_tool("search", query="more"), "I have none.", "Answer: 1"])
    await ask_with(ask, model)
    assert OPEN in str(model.requests[3].messages[2]["content"])


async def test_a_memory_that_is_too_long_is_cut_behind_its_sub_questions(ask: Ask) -> None:
    long = "note " * LONGEST + "\n" + OPEN
    model = ScriptedModel([turn(long), f"<memory>{long}</memory>", "Answer: 1"])
    await ask_with(ask, model)
    memory = str(model.requests[2].messages[2]["content"])
    assert OPEN in memory and len(memory) < LONGEST + 30


async def test_the_answer_is_without_the_memory(ask: Ask) -> None:
    model = ScriptedModel("<memory>\nAnswer: an example\n</memory>\nIt is light.\nAnswer: 350 grams")
    result = await ask(model, "deep_research", QUESTION, tools=TOOLS, graph_settings={"context": "memory"})
    assert (result.answer, result.text) == ("350 grams", "It is light.\nAnswer: 350 grams")


async def test_rows_of_old_state_and_result_to_new_state_and_action_are_in_the_trace(ask: Ask, tmp_path: Path) -> None:
    await ask_with(ask, ScriptedModel([turn(OPEN), turn("Q1 [answered]: 1\nQ2 [open]: ?"), "Answer: 1"]))
    _, second, _ = recorded(tmp_path).calls
    assert OPEN in str(second.request.messages[2]["content"]) and second.completion is not None
    assert read_memory(second.completion.text) == "Q1 [answered]: 1\nQ2 [open]: ?" and second.completion.tool_calls


@pytest.mark.parametrize(
    ("before", "after", "missing"),
    [
        (OPEN, OPEN, set()),
        (OPEN, "q2 [answered]: voles\nQ1 [open]", set()),
        (OPEN, "Q1 [open]: How heavy?", {"Q2"}),
        ("Q1 [answered]: 350 g", "", set()),
        ("", "Q7 [open]: new", set()),
    ],
)
def test_open_sub_questions_must_occur_again(before: str, after: str, missing: set[str]) -> None:
    assert set(lost(before, after)) == missing


def test_the_last_memory_counts() -> None:
    assert read_memory("<memory>an example</memory> …\n<memory>\nQ1 [open]: x\n</memory>") == "Q1 [open]: x"
    assert read_memory("<memory>not closed") is None
    assert open_questions("- Q3 [OPEN]: who?\nQ4 [answered]: me") == {"Q3": "- Q3 [OPEN]: who?"}
