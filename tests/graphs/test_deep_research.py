import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import ModelError, UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.runner import Result, open_runner
from maieutic.runner.replay import Recording
from maieutic.tasks.task import Task
from maieutic.tools.tool import Tool
from maieutic.tools.web import page_tool, search_tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Request, ToolCall
from tests.conftest import Ask

OWL, HERON, ZOO = "https://birds.example/owl", "https://birds.example/heron", "https://zoo.example/owls"
PAGES = [
    {"url": OWL, "title": "Owls", "text": "A barn owl weighs about 350 grams."},
    {"url": HERON, "title": "Herons", "text": "A grey heron weighs up to two kilograms, more than a barn owl."},
    {"url": ZOO, "title": "Owls of the zoo", "text": "Our barn owl weighs 340 grams. " + "It sleeps by day. " * 400},
]
QUESTION = "How heavy is a barn owl?"
RESEARCH, READ, VALIDATE = "You research", "You read one page", "You compare claims"
FACT = "A barn owl weighs about 350 grams."
SEARCHED = call_tool("search", query="weight of a barn owl")


@pytest.fixture
def tools(tmp_path: Path) -> list[Tool]:
    file = tmp_path / "pages.jsonl"
    file.write_text("\n".join(map(json.dumps, PAGES)))
    return [search_tool(str(file)), page_tool(str(file), size=1_000)]


def extract(*facts: str, page_down: bool = False) -> str:
    return json.dumps({"new": facts, "page_down": page_down})


def browse(*urls: str) -> Completion:
    return call_tool("browse", urls=list(urls), looking_for="the weight of a barn owl")


def asked(model: ScriptedModel, role: str) -> list[Request]:
    return [request for request in model.requests if role in str(request.messages[0]["content"])]


def said_by_tools(request: Request) -> list[str]:
    return [str(message["content"]) for message in request.messages if message["role"] == "tool"]


def prompts(model: ScriptedModel, role: str) -> list[str]:
    return [str(request.messages[1]["content"]) for request in asked(model, role)]


def recorded(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        *_, run = reader.runs()
        return reader.run(run.run_id)


def decisions(tmp_path: Path) -> list[str]:
    return [event.fields["decision"] for event in recorded(tmp_path).events_of("gate")]


async def test_pages_are_read_and_cited(ask: Ask, tools: list[Tool], tmp_path: Path) -> None:
    answer = f"{FACT[:-1]} [1].\nAnswer: 350 grams [1]"
    model = ScriptedModel({RESEARCH: [SEARCHED, browse(OWL), answer], READ: extract(FACT)})
    result = await ask(model, "deep_research", QUESTION, tools=tools)
    assert result.answer == "350 grams"
    assert result.text == f"{FACT[:-1]} [1].\nAnswer: 350 grams\n\nSources:\n[1] Owls, {OWL}"
    assert said_by_tools(asked(model, RESEARCH)[2])[1] == f"[1] Owls ({OWL})\n- {FACT}"
    offered = [tool.name for tool in asked(model, RESEARCH)[0].tools]
    assert offered == ["search", "browse"]
    assert decisions(tmp_path) == ["no_second_source"]


async def test_what_is_told_of_browse_is_made_once_and_not_in_every_turn(ask: Ask, tools: list[Tool]) -> None:
    """A schema takes milliseconds to make, in which every other answer waits."""
    model = ScriptedModel({RESEARCH: [SEARCHED, browse(OWL), "Answer: 350 grams [1]"], READ: extract(FACT)})
    await ask(model, "deep_research", QUESTION, tools=tools)
    offered = [request.tools[-1] for request in asked(model, RESEARCH)]
    assert [spec.name for spec in offered] == ["browse"] * 3
    assert all(spec is offered[0] for spec in offered)


async def test_only_pages_of_the_latest_search_are_read_and_another_is_refused_with_a_sentence(
    ask: Ask, tools: list[Tool]
) -> None:
    script = [browse(OWL), call_tool("search", query="heron"), browse(ZOO, HERON), "Answer: I don't know"]
    model = ScriptedModel({RESEARCH: script, READ: extract("A heron is heavier.")})
    await ask(model, "deep_research", QUESTION, tools=tools)
    results = said_by_tools(asked(model, RESEARCH)[3])
    assert results[0].startswith(f"{OWL} was not read: it is not among the results of your latest search")
    refused, read = results[2].split("\n\n")
    assert refused.startswith(f"{ZOO} was not read") and HERON in refused and read.startswith("[1] Herons")
    assert len(asked(model, READ)) == 1


async def test_a_reader_goes_on_while_it_is_worth_it_and_stops_at_the_first_no(ask: Ask, tools: list[Tool]) -> None:
    replies = [extract("It weighs 340 grams.", page_down=True), extract(), extract("never read")]
    model = ScriptedModel({RESEARCH: [SEARCHED, browse(ZOO), "Answer: 340 grams"], READ: replies})
    await ask(model, "deep_research", QUESTION, tools=tools)
    first, second = prompts(model, READ)
    assert "page 1 of" in first and "page 2 of" in second
    assert "Known already:\n(nothing)" in first and "Known already:\n- It weighs 340 grams." in second


async def test_screens_bound_a_reader(ask: Ask, tools: list[Tool]) -> None:
    model = ScriptedModel({RESEARCH: [SEARCHED, browse(ZOO), "Answer: 1"], READ: extract(page_down=True)})
    await ask(model, "deep_research", QUESTION, tools=tools, graph_settings={"screens": 3})
    assert len(asked(model, READ)) == 3


async def test_what_is_known_is_never_told_again(ask: Ask, tools: list[Tool]) -> None:
    model = ScriptedModel({RESEARCH: [SEARCHED, browse(OWL), browse(ZOO), "Answer: 1"], READ: extract(FACT)})
    await ask(model, "deep_research", QUESTION, tools=tools)
    assert f"- {FACT}" in prompts(model, READ)[1]
    assert said_by_tools(asked(model, RESEARCH)[3])[2].endswith("Nothing new was found there.")


async def test_pages_are_read_side_by_side_and_a_failed_reader_leaves_the_others(ask: Ask, tools: list[Tool]) -> None:
    def reply(request: Request) -> Any:
        system, prompt = str(request.messages[0]["content"]), str(request.messages[1]["content"])
        if READ in system:
            return ModelError("gone") if "grey heron" in prompt else extract(FACT)
        return [SEARCHED, browse(HERON, OWL), "Answer: 350 grams"][len(said_by_tools(request))]

    model = ScriptedModel(reply, latency=0.02)
    result = await ask(model, "deep_research", QUESTION, tools=tools)
    assert result.answer == "350 grams" and model.peak == 2
    failed, read = said_by_tools(asked(model, RESEARCH)[2])[1].split("\n\n")
    assert failed == f"{HERON} can't be read: its reader failed." and read.startswith("[1] Owls")


async def test_a_reply_of_a_reader_that_cant_be_read_is_missing_not_empty(ask: Ask, tools: list[Tool]) -> None:
    model = ScriptedModel({RESEARCH: [SEARCHED, browse(OWL), "Answer: I don't know"], READ: "350, I think"})
    await ask(model, "deep_research", QUESTION, tools=tools)
    assert len(asked(model, READ)) == 2
    assert "could not be read" in said_by_tools(asked(model, RESEARCH)[2])[1]


async def test_a_citation_of_nothing_that_was_read_is_dropped_and_noted(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    answer = (
        f"It weighs 350 grams [1, 7]. It hunts at night [2] (https://made.up/page).\nSo {OWL}.\nAnswer: 350 grams [3]"
    )
    model = ScriptedModel({RESEARCH: [SEARCHED, browse(OWL), answer], READ: extract(FACT), VALIDATE: "1: silent"})
    result = await ask(model, "deep_research", QUESTION, tools=tools)
    body = result.text.partition("\n\nSources")[0]
    assert body == "It weighs 350 grams [1]. It hunts at night.\nSo [1].\nAnswer: 350 grams"
    (note,) = [e.fields for e in recorded(tmp_path).events_of("note") if "dropped" in e.fields]
    assert set(note["dropped"]) == {"https://made.up/page", "[2]", "[3]", "[7]"}


async def test_a_claim_is_held_against_a_second_source(ask: Ask, tools: list[Tool], tmp_path: Path) -> None:
    answer = "It weighs about 350 grams [1].\nAnswer: 350 grams"
    facts = [extract(FACT), extract("The barn owl of the zoo weighs 340 grams.")]
    model = ScriptedModel(
        {RESEARCH: [SEARCHED, browse(OWL), browse(ZOO), answer], READ: facts, VALIDATE: "1: supported"}
    )
    await ask(model, "deep_research", QUESTION, tools=tools)
    (prompt,) = prompts(model, VALIDATE)
    assert "340 grams" in prompt and FACT not in prompt and "1. It weighs about 350 grams." in prompt
    (gate,) = recorded(tmp_path).events_of("gate")
    assert gate.fields["decision"] == "confirmed"
    assert gate.fields["inputs"]["claims"] == [{"cites": [1], "supports": [2], "contradicts": []}]


async def test_a_contradiction_sends_the_researcher_back_once_and_stays_in_the_answer(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    answer = "It weighs about 350 grams [1].\nAnswer: 350 grams"
    script = [SEARCHED, browse(OWL, ZOO), answer, answer]
    facts = lambda r: extract("It weighs 9 kg." if "zoo" in str(r) else FACT)  # noqa: E731
    roles = ScriptedModel({RESEARCH: script, VALIDATE: "1: contradicted"})

    async def reply(request: Request) -> Any:
        return facts(request) if READ in str(request.messages[0]["content"]) else await roles.sample(request)

    model = ScriptedModel(reply)
    result = await ask(model, "deep_research", QUESTION, tools=tools)
    assert decisions(tmp_path) == ["contradicted", "contradicted"]
    again = str(asked(model, RESEARCH)[3].messages[-1]["content"])
    assert "- It weighs about 350 grams. (contradicted by [2])" in again
    assert "Page [2] contradicts: It weighs about 350 grams." in result.text and result.answer == "350 grams"


async def test_a_judgement_that_is_missing_neither_confirms_nor_contradicts(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    script = [SEARCHED, browse(OWL), browse(ZOO), "It weighs 350 grams [1].\nAnswer: 350 grams"]
    model = ScriptedModel({RESEARCH: script, READ: [extract(FACT), extract("Other.")], VALIDATE: "Hard to say."})
    await ask(model, "deep_research", QUESTION, tools=tools)
    (gate,) = recorded(tmp_path).events_of("gate")
    assert (gate.fields["decision"], gate.fields["inputs"]["missing"]) == ("unconfirmed", 1)


async def test_not_having_found_it_is_an_answer(ask: Ask, tools: list[Tool]) -> None:
    model = ScriptedModel(
        {RESEARCH: [SEARCHED, browse(OWL), "No page says it.\nAnswer: I don't know"], READ: extract(FACT)}
    )
    result = await ask(model, "deep_research", QUESTION, tools=tools)
    assert result.answer == "I don't know" and not asked(model, VALIDATE)


async def test_in_the_last_turn_it_has_to_answer(ask: Ask, tools: list[Tool]) -> None:
    model = ScriptedModel(lambda r: SEARCHED if r.tool_choice != "none" else "Answer: 1")
    result = await ask(model, "deep_research", QUESTION, tools=tools, graph_settings={"max_turns": 4})
    assert (result.answer, len(model.requests)) == ("1", 4)


async def test_calls_of_one_turn_are_answered_in_their_order(ask: Ask, tools: list[Tool]) -> None:
    both = Completion(
        "", (ToolCall("b", "browse", json.dumps({"urls": [OWL]})), ToolCall("s", "search", '{"query": "heron"}'))
    )
    wrong = Completion("", (ToolCall("w", "browse", "{}"), ToolCall("x", "look", "{}")))
    model = ScriptedModel({RESEARCH: [SEARCHED, both, wrong, "Answer: 1"], READ: extract(FACT)})
    await ask(model, "deep_research", QUESTION, tools=tools)
    _, page, found, invalid, unknown = said_by_tools(asked(model, RESEARCH)[3])
    assert page.startswith("[1] Owls") and HERON in found
    assert "urls is missing" in invalid and "There is no tool look" in unknown


async def test_without_a_way_to_read_nothing_starts(ask: Ask, tools: list[Tool]) -> None:
    with pytest.raises(UserError, match="needs the tool read_page or open_source"):
        await ask(ScriptedModel("Answer: 1"), "deep_research", QUESTION, tools=tools[:1])


async def test_the_trace_holds_what_a_readers_rows_need(ask: Ask, tools: list[Tool], tmp_path: Path) -> None:
    model = ScriptedModel({RESEARCH: [SEARCHED, browse(OWL), "Answer: 1"], READ: extract(FACT)})
    await ask(model, "deep_research", QUESTION, tools=tools)
    run = recorded(tmp_path)
    (reader,) = [call for call in run.calls if call.role == "reader"]
    (note,) = [e.fields for e in run.events_of("note") if e.fields.get("call_id") == reader.call_id]
    assert (note["address"], note["screen"], note["new"], note["read"]) == (OWL, 1, [FACT], True)
    assert [e.fields["name"] for e in run.events_of("tool_result")] == ["search", "read_page", "browse"]


def scripted(request: Request) -> Any:
    """What is said depends on the request alone, so that a run can be taken up anywhere."""
    system = str(request.messages[0]["content"])
    if READ in system:
        return extract("It weighs 340 grams." if "zoo" in str(request.messages[1]) else FACT)
    if VALIDATE in system:
        return "1: supported"
    return [SEARCHED, browse(OWL, ZOO), "It weighs 350 grams [1].\nAnswer: 350 grams"][len(said_by_tools(request))]


@pytest.mark.parametrize("kept", range(6))
async def test_killed_it_goes_on_without_paying_twice(tools: list[Tool], kept: int, tmp_path: Path) -> None:
    whole = ScriptedModel(scripted)
    result = await run_once(whole, tools, tmp_path)
    record = recorded(tmp_path)
    assert len(record.calls) == 6
    half = replace(record, calls=record.calls[:kept], finish=None)
    rest = ScriptedModel(scripted)
    resumed = await run_once(rest, tools, tmp_path / "again", Recording(half))
    assert (resumed.text, len(rest.requests)) == (result.text, 6 - kept)


async def run_once(model: ScriptedModel, tools: list[Tool], place: Path, past: Recording | None = None) -> Result:
    async with open_runner("deep_research", model=model, tools=tools, traces=place / "traces") as runner:
        return await runner.start(Task(question=QUESTION), seed=3, past=past).result()


async def test_a_reader_may_have_a_model_of_its_own(ask: Ask, tools: list[Tool]) -> None:
    model, small = ScriptedModel(scripted), ScriptedModel(scripted)
    await ask(model, "deep_research", QUESTION, tools=tools, models={"reader": small})
    assert len(small.requests) == 2 and not asked(model, READ)
