import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.passages import Passage
from maieutic.agents.query_writer import is_among, read_query
from maieutic.agents.registry import register_agent
from maieutic.agents.speech import Solution
from maieutic.agents.sufficiency_critic import Sufficiency, SufficiencyCritic, read_sufficiency
from maieutic.context import Context
from maieutic.errors import ModelError, UserError
from maieutic.llm.scripted import ScriptedModel
from maieutic.tools.tool import Tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Sampling
from tests.conftest import Ask
from tests.support.contexts import open_context

pytest.importorskip("faiss", reason="faiss is not installed: nothing of graphs that look things up was checked")
from tests.support.documents import document_tools  # noqa: E402

CLOSED, ANSWER, JUDGE, QUERY = "from what you know", "from passages", "You judge whether", "You write the next query"
QUESTION = "How heavy is the barn owl?"
KNOWN, UNKNOWN = "It is light.\nAnswer: 350 grams", "Answer: I don't know"


@pytest.fixture
def tools(tmp_path: Path) -> list[Tool]:
    return document_tools(tmp_path)


def query(text: str) -> str:
    return json.dumps({"query": text})


def asked(model: ScriptedModel, role: str) -> list[str]:
    return [str(r.messages[1]["content"]) for r in model.requests if role in str(r.messages[0]["content"])]


def recorded(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        *_, run = reader.runs()
        return reader.run(run.run_id)


def decisions(run: RunRecord) -> list[str]:
    return [event.fields["decision"] for event in run.events_of("gate")]


async def test_what_is_not_known_is_searched_for_until_the_critic_accepts(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    model = ScriptedModel(
        {CLOSED: UNKNOWN, QUERY: query("weight of the barn owl"), ANSWER: KNOWN, JUDGE: "Sufficient: yes"}
    )
    result = await ask(model, "sim_rag", QUESTION, tools=tools)
    assert (result.answer, result.usage.calls) == ("350 grams", 4)
    assert "[1] " in asked(model, ANSWER)[0] and "barn owl weighs about 350 grams" in asked(model, ANSWER)[0]
    assert decisions(recorded(tmp_path)) == ["search", "accept"]


async def test_an_answer_from_memory_that_the_critic_accepts_needs_no_search(ask: Ask, tools: list[Tool]) -> None:
    model = ScriptedModel({CLOSED: KNOWN, JUDGE: "Sufficient: yes"})
    assert (await ask(model, "sim_rag", QUESTION, tools=tools)).usage.calls == 2


async def test_the_last_answer_is_returned_marked_as_rejected(ask: Ask, tools: list[Tool], tmp_path: Path) -> None:
    queries = [query("barn owl weight"), query("owl mass in grams")]
    model = ScriptedModel(
        {CLOSED: "Answer: 1", ANSWER: ["Answer: 2", "Answer: 3"], JUDGE: "Sufficient: no", QUERY: queries}
    )
    result = await ask(model, "sim_rag", QUESTION, tools=tools, graph_settings={"max_turns": 3})
    assert (result.answer, result.partial) == ("3", False)
    run = recorded(tmp_path)
    assert decisions(run) == ["search", "search", "rejected"]
    assert [event.fields["accepts"] for event in run.events_of("verdict")] == [False, False, False]
    earlier = asked(model, QUERY)[1]
    assert "- barn owl weight: the answer was '2', which was not covered" in earlier


async def test_self_practice_takes_every_turn_and_goes_on_after_a_right_answer(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    model = ScriptedModel(
        {CLOSED: KNOWN, ANSWER: [KNOWN, "Answer: 2 kg"], QUERY: [query("owl weight"), query("owl mass")]}
    )
    settings = {"self_practice": True, "max_turns": 3}
    await ask(model, "sim_rag", QUESTION, tools=tools, graph_settings=settings)
    run = recorded(tmp_path)
    calls = {call.call_id: call for call in run.calls}
    rows = []
    for event in run.events_of("gate"):
        inputs = event.fields["inputs"]
        call = calls[inputs["of"]]
        assert call.completion is not None
        rows.append((inputs["turn"], inputs["answer"], call.completion.text, str(call.request.messages[-1]["content"])))
    assert [row[0] for row in rows] == [1, 2, 3]
    assert [row[1] for row in rows] == ["350 grams", "350 grams", "2 kg"]
    assert rows[0][2] == KNOWN and "[1]" not in rows[0][3] and "[1]" in rows[1][3]
    assert not asked(model, JUDGE) and not run.events_of("verdict")


async def test_no_query_is_repeated(ask: Ask, tools: list[Tool], tmp_path: Path) -> None:
    model = ScriptedModel(
        {
            CLOSED: UNKNOWN,
            ANSWER: "Answer: 2",
            JUDGE: "Sufficient: no",
            QUERY: [
                query("Owl weight"),
                query("owl  weight?"),
                query("mass of owls"),
                query("owl weight"),
                "owl weight!",
            ],
        }
    )
    await ask(model, "sim_rag", QUESTION, tools=tools, graph_settings={"max_turns": 4})
    results = recorded(tmp_path).events_of("tool_result")
    assert [json.loads(event.fields["arguments"])["query"] for event in results] == ["Owl weight", "mass of owls"]


async def test_a_query_that_is_no_json_is_searched_for_as_it_stands(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    model = ScriptedModel({CLOSED: UNKNOWN, QUERY: "barn owl weight", ANSWER: KNOWN, JUDGE: "Sufficient: yes"})
    assert (await ask(model, "sim_rag", QUESTION, tools=tools)).answer == "350 grams"
    (found,) = recorded(tmp_path).events_of("tool_result")
    assert json.loads(found.fields["arguments"]) == {"query": "barn owl weight", "k": 2}


async def test_a_document_is_added_once(ask: Ask, tools: list[Tool]) -> None:
    queries = [query(f"barn owl {word}") for word in ("weight", "mass")]
    model = ScriptedModel({CLOSED: UNKNOWN, ANSWER: "Answer: 2", JUDGE: "Sufficient: no", QUERY: queries})
    await ask(model, "sim_rag", QUESTION, tools=tools, graph_settings={"max_turns": 3})
    assert asked(model, ANSWER)[1].count("owl.txt") == 1
    assert asked(model, ANSWER)[0].count("[1]") == 1 and "[3]" not in asked(model, ANSWER)[0]


@pytest.mark.parametrize("word", ["Hmm.", ModelError("gone")])
async def test_a_verdict_that_is_missing_approves_nothing(
    ask: Ask, tools: list[Tool], word: Any, tmp_path: Path
) -> None:
    model = ScriptedModel({CLOSED: "Answer: 1", ANSWER: "Answer: 2", JUDGE: word, QUERY: query("owl")})
    assert (await ask(model, "sim_rag", QUESTION, tools=tools, graph_settings={"max_turns": 2})).answer == "2"
    run = recorded(tmp_path)
    assert decisions(run) == ["search", "rejected"]
    assert [event.fields["accepts"] for event in run.events_of("verdict")] == [None, None]


async def test_nothing_found_goes_on_with_what_there_is(ask: Ask, tmp_path: Path) -> None:
    tools = document_tools(tmp_path, {"one.txt": "Nothing of interest."})
    queries = [query("zzz"), query("qqq"), query("xxx")]
    model = ScriptedModel({CLOSED: UNKNOWN, ANSWER: UNKNOWN, QUERY: queries})
    result = await ask(model, "sim_rag", QUESTION, tools=tools)
    assert result.answer == "I don't know" and decisions(recorded(tmp_path)) == ["search"] * 3 + ["rejected"]


@pytest.mark.parametrize(("share", "decision"), [(0.6, "rejected"), (0.8, "accept")])
async def test_a_critic_with_a_probability_is_held_against_the_threshold(
    ask: Ask, tools: list[Tool], tmp_path: Path, share: float, decision: str
) -> None:
    tops = ((("Yes", math.log(share)), ("No", math.log(1 - share))),)
    yes = Completion("Yes", token_ids=(1,), logprobs=(-0.1,), top_logprobs=tops)
    model = ScriptedModel({CLOSED: KNOWN, JUDGE: yes})
    settings = {"critic": "sufficiency-probability", "threshold": 0.7, "max_turns": 1}
    await ask(model, "sim_rag", QUESTION, tools=tools, graph_settings=settings)
    (gate,) = recorded(tmp_path).events_of("gate")
    assert gate.fields["decision"] == decision
    assert gate.fields["inputs"]["probability"] == pytest.approx(share)


async def test_any_agent_can_be_the_critic(ask: Ask, tools: list[Tool]) -> None:
    judged: list[str] = []

    @register_agent("length-critic")
    def make(sampling: Sampling) -> Any:
        async def judge(ctx: Context, passages: Sequence[Passage], solution: Solution) -> Sufficiency:
            judged.append(solution.text)
            return Sufficiency(None, probability=len(passages) / 2)

        return judge

    model = ScriptedModel({CLOSED: KNOWN, ANSWER: KNOWN, QUERY: query("barn owl weight")})
    result = await ask(model, "sim_rag", QUESTION, tools=tools, graph_settings={"critic": "length-critic"})
    assert (result.usage.calls, judged) == (3, [KNOWN, KNOWN])


async def test_the_critic_reads_the_whole_rationale_at_ten_times_the_passages(tmp_path: Path) -> None:
    rationale = "Because " + "x" * 500 + " it follows.\nAnswer: 350 grams"
    for times in (1, 10):
        passages = [Passage(f"title {i}", "word " * 400, f"p{i}") for i in range(6 * times)]
        model = ScriptedModel("Sufficient: no")
        async with open_context(tmp_path / str(times), model, []) as ctx:
            await SufficiencyCritic()(ctx, passages, Solution(rationale, "350 grams", "c1"))
        shown = str(model.requests[0].messages[1]["content"])
        assert rationale in shown and "title 0" in shown and len(shown) < 13_500
        assert "[cut]" in shown or times == 1


async def test_without_anything_to_search_nothing_starts(ask: Ask) -> None:
    model = ScriptedModel(KNOWN)
    with pytest.raises(UserError, match="sim_rag needs the tool retrieve or search"):
        await ask(model, "sim_rag", QUESTION)
    assert not model.requests


def test_queries_and_verdicts_are_read_or_missing() -> None:
    assert read_query('I need {"query": " a  b "}') == "a b"
    assert read_query('{"query": ""}') is None and read_query('{"q": 1}') is None and read_query("a b") is None
    assert is_among("Who? me", ["who me"]) and not is_among("who", ["who me"])
    assert read_sufficiency("Sufficient: no\nSufficient: **yes**") is True
    assert read_sufficiency("It is enough.") is None
