from pathlib import Path

import pytest

from maieutic.errors import ModelError
from maieutic.llm.scripted import ScriptedModel
from maieutic.tools.tool import Tool
from maieutic.trace.reader import TraceReader
from maieutic.types import Request
from tests.conftest import Ask

pytest.importorskip("faiss", reason="faiss is not installed: nothing of graphs that look things up was checked")
from tests.support.documents import document_tools  # noqa: E402

ORDER, ANSWER, CLOSED, VALIDATE = "You order search", "from passages", "from what you know", "You compare claims"
QUESTION = "How heavy is the barn owl?"


@pytest.fixture
def tools(tmp_path: Path) -> list[Tool]:
    return document_tools(tmp_path)


def shown(model: ScriptedModel, role: str) -> list[str]:
    return [str(r.messages[1]["content"]) for r in model.requests if role in str(r.messages[0]["content"])]


def gates(tmp_path: Path) -> list[tuple[str, int]]:
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = reader.runs()
        events = reader.run(run.run_id).events_of("gate")
    return [(event.fields["decision"], event.fields["inputs"]["rank"]) for event in events]


async def test_the_first_answer_that_its_passage_bears_out_is_given(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    replies = {
        ORDER: "Order: 3 > 1 > 2",
        ANSWER: ["Answer: 1", "Answer: I don't know", "Answer: 3"],
        VALIDATE: ["1: silent", "1: supported"],
    }
    model = ScriptedModel(replies)
    result = await ask(model, "mrag", QUESTION, tools=tools)
    assert (result.answer, gates(tmp_path)) == ("3", [("next", 1), ("no_answer", 2), ("accept", 3)])
    listed = shown(model, ORDER)[0].split("\n\n")[1:]
    texts = [part.partition("\n")[2] for part in listed if part.startswith("[")]
    assert [texts[i] in prompt for i, prompt in zip((2, 0, 1), shown(model, ANSWER), strict=True)] == [True] * 3
    assert all("[2]" not in prompt for prompt in shown(model, ANSWER))


async def test_one_accepted_answer_ends_it(ask: Ask, tools: list[Tool]) -> None:
    model = ScriptedModel({ORDER: "Order: 1 > 2 > 3", ANSWER: "Answer: 1", VALIDATE: "1: supported"})
    assert (await ask(model, "mrag", QUESTION, tools=tools)).usage.calls == 3


@pytest.mark.parametrize("word", ["Hm.", "1: contradicted", ModelError("gone")])
async def test_without_an_answer_borne_out_the_model_says_what_it_knows(
    ask: Ask, tools: list[Tool], word: str | Exception, tmp_path: Path
) -> None:
    model = ScriptedModel({ORDER: "Hm.", ANSWER: "Answer: 1", VALIDATE: word, CLOSED: "Answer: I don't know"})
    result = await ask(model, "mrag", QUESTION, tools=tools, graph_settings={"tries": 2})
    assert result.answer == "I don't know" and len(shown(model, ANSWER)) == 2
    assert [decision for decision, _ in gates(tmp_path)] == ([] if isinstance(word, Exception) else ["next", "next"])


@pytest.mark.parametrize("order", ["Hm.", ModelError("gone")])
async def test_an_order_that_cant_be_read_or_had_leaves_that_of_the_search(
    ask: Ask, tools: list[Tool], order: str | Exception
) -> None:
    def reply(request: Request) -> str | Exception:
        system = str(request.messages[0]["content"])
        return order if ORDER in system else "Answer: 350 grams" if ANSWER in system else "1: supported"

    model = ScriptedModel(reply)
    await ask(model, "mrag", QUESTION, tools=tools)
    assert "barn owl" in shown(model, ANSWER)[0]
