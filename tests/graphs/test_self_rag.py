import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.passage_grader import Grade, PassageGrader, read_grade
from maieutic.agents.retrieval_gate import read_need
from maieutic.agents.segment_writer import Segment
from maieutic.errors import ModelError, ToolError
from maieutic.graphs.self_rag import Settings, _Work
from maieutic.llm.scripted import ScriptedModel
from maieutic.tasks.task import Task
from maieutic.tools.tool import Tool, tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Completion, Request
from tests.conftest import Ask

pytest.importorskip("faiss", reason="faiss is not installed: nothing of graphs that look things up was checked")
from tests.support.documents import document_tools  # noqa: E402

GATE, WRITE, GRADE = "You decide whether looking", "You write an answer part", "You grade one part"
QUESTION = "How heavy is the barn owl?"
GOOD = {"Use": {"5": 1.0}, "Relevance": {"A": 1.0}, "Support": {"A": 1.0}}


@pytest.fixture
def tools(tmp_path: Path) -> list[Tool]:
    return document_tools(tmp_path)


def one_token(shares: dict[str, float]) -> Completion:
    """A reply of one token with alternatives of these probabilities."""
    likeliest = max(shares, key=lambda token: shares[token])
    pairs = [(token, math.log(share)) for token, share in shares.items() if share > 0]
    alternatives = tuple(sorted(pairs, key=lambda one: -one[1]))
    return Completion(likeliest, token_ids=(1,), logprobs=(-0.1,), top_logprobs=(alternatives,))


def content(request: Request) -> str:
    return str(request.messages[-1]["content"])


class Script:
    """Plays the three roles: the gate says yes with `need`, the writer and the grades are functions of the prompt."""

    def __init__(self, need: float = 0.9, write: Any = None, grades: Any = None) -> None:
        self.need = need
        self.write = write or (lambda _: "It weighs about 350 grams.\nAnswer: 350 grams")
        self.grades = grades or (lambda _: GOOD)

    def __call__(self, request: Request) -> Completion | str:
        system, prompt = str(request.messages[0]["content"]), content(request)
        if GATE in system:
            return one_token({"Yes": self.need, "No": 1 - self.need})
        if WRITE in system:
            return str(self.write(prompt))
        wanted = prompt.rstrip().splitlines()[-2].split(" ")[0]
        return one_token(self.grades(prompt)[wanted])


def asked(model: ScriptedModel, role: str) -> list[str]:
    return [content(r) for r in model.requests if role in str(r.messages[0]["content"])]


def recorded(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = reader.runs()
        return reader.run(run.run_id)


@pytest.mark.parametrize(("need", "retrieves"), [(0.9, True), (0.1, False)])
async def test_probable_need_looks_up_and_improbable_need_does_not(
    ask: Ask, tools: list[Tool], tmp_path: Path, need: float, retrieves: bool
) -> None:
    model = ScriptedModel(Script(need))
    result = await ask(model, "self_rag", QUESTION, tools=tools, graph_settings={"threshold": 0.2, "passages": 2})
    assert result.answer == "350 grams"
    run = recorded(tmp_path)
    (gate,) = run.events_of("gate")
    assert gate.fields["decision"] == ("retrieve" if retrieves else "skip")
    assert gate.fields["inputs"]["probability"] == pytest.approx(need)
    assert len(run.events_of("tool_result")) == retrieves
    assert len(asked(model, WRITE)) == (2 if retrieves else 1)
    assert ("barn owl weighs" in asked(model, WRITE)[0]) == retrieves


async def test_a_part_of_use_5_stands_before_one_of_use_1(ask: Ask, tools: list[Tool]) -> None:
    def write(prompt: str) -> str:
        return (
            "Answer: heron" if "grey heron weighs" in prompt else "Answer: owl" if "barn owl weighs" in prompt else ""
        )

    def grades(prompt: str) -> dict[str, dict[str, float]]:
        return GOOD | {"Use": {"5": 1.0} if "Answer: heron" in prompt else {"1": 1.0}}

    model = ScriptedModel(Script(write=write, grades=grades))
    result = await ask(model, "self_rag", QUESTION, tools=tools, graph_settings={"passages": 3, "beam": 1})
    assert result.answer == "heron"


async def test_siblings_share_their_parents_text_and_each_part_looks_up_anew(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    def write(prompt: str) -> str:
        if "(nothing yet)" in prompt:
            return "Owls hunt." if "barn owl" in prompt else "Herons wait."
        return "It is light.\nAnswer: 350 grams"

    def grades(prompt: str) -> dict[str, dict[str, float]]:
        return GOOD if "Owls hunt" in prompt else GOOD | {"Use": {"1": 1.0}}

    settings = {"passages": 3, "beam": 1, "depth": 3}
    model = ScriptedModel(Script(write=write, grades=grades))
    result = await ask(model, "self_rag", QUESTION, tools=tools, graph_settings=settings)
    assert result.text == "Owls hunt.\nIt is light.\nAnswer: 350 grams"
    second = asked(model, WRITE)[3:]
    assert len(second) == 3
    for prompt in second:
        so_far = prompt.partition("The answer so far:\n")[2].partition("\n\nPassage:")[0]
        assert so_far == "Owls hunt."
    starts = {prompt.partition("Passage:")[0] for prompt in second}
    assert len(starts) == 1 and len(set(second)) == 3
    queries = [event.fields["arguments"] for event in recorded(tmp_path).events_of("tool_result")]
    assert len(queries) == 2 and QUESTION in queries[1] and "Owls hunt." in queries[1]


async def test_scores_of_a_path_are_added(ask: Ask, tools: list[Tool], tmp_path: Path) -> None:
    """A product of scores would turn two bad parts into a good path."""

    def write(prompt: str) -> str:
        kind = "bad" if "grey heron" in prompt else "good"
        return f"{kind} 1" if "(nothing yet)" in prompt else f"{kind} 2\nAnswer: {kind}"

    def grades(prompt: str) -> dict[str, dict[str, float]]:
        bad = "\nbad" in prompt.partition("The part:")[2]
        return {"Use": {"1": 1.0} if bad else {"2": 1.0}, "Relevance": {"B": 1.0}, "Support": {"C": 1.0}}

    settings = {"passages": 3, "beam": 3, "depth": 2, "w_use": 1.0}
    result = await ask(
        ScriptedModel(Script(write=write, grades=grades)), "self_rag", QUESTION, tools=tools, graph_settings=settings
    )
    assert result.answer == "good"
    trees = {event.fields["id"]: event.fields for event in recorded(tmp_path).events_of("tree")}
    for node in trees.values():
        if node["depth"] == 2:
            assert node["q"] == pytest.approx(node["value"] + trees[node["up"]]["q"])


async def test_a_closed_question_adds_up_the_scores_of_equal_answers(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    def write(prompt: str) -> str:
        return "Answer: yes" if "barn owl weighs" in prompt else "Answer: no"

    def grades(prompt: str) -> dict[str, dict[str, float]]:
        return GOOD if "Answer: yes" in prompt else GOOD | {"Support": {"B": 1.0}}

    task = Task(question="Does the barn owl weigh less than a kilogram?", answer_type="boolean")
    model = ScriptedModel(Script(write=write, grades=grades))
    result = await ask(model, "self_rag", task, tools=tools, graph_settings={"passages": 3})
    assert result.answer == "no"  # 2 + 2 against 2.5
    (vote,) = recorded(tmp_path).events_of("vote")
    assert vote.fields["votes"] == {"yes": 2.5, "no": 4.0}
    best = await ask(model, "self_rag", task, tools=tools, graph_settings={"passages": 3, "pick": "path"})
    assert best.answer == "yes"


async def test_a_model_without_probabilities_grades_in_words_and_missing_stays_missing(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    def reply(request: Request) -> str:
        system, prompt = str(request.messages[0]["content"]), str(request.messages[1]["content"])
        if GATE in system:
            return "Look up: 85"
        if WRITE in system:
            return "Answer: owl" if "barn owl" in prompt else "Answer: other"
        if "barn owl weighs" in prompt:
            return "Relevance: A\nSupport: B\nUse: 2"
        return "Relevance: A\nSupport: A\nUse: splendid"

    result = await ask(ScriptedModel(reply), "self_rag", QUESTION, tools=tools, graph_settings={"passages": 3})
    assert result.answer == "owl"
    run = recorded(tmp_path)
    assert run.events_of("gate")[0].fields["inputs"]["probability"] == 0.85
    values = [event.fields["value"] for event in run.events_of("reward") if event.fields["scope"] == "call"]
    assert sorted(values, key=str) == sorted([1.25, None, None], key=str)


async def test_judgements_that_need_nothing_of_each_other_go_out_together(
    ask: Ask, tools: list[Tool], tmp_path: Path
) -> None:
    """The first one tells whether the model gives probabilities; the other two don't wait for each other."""
    model = ScriptedModel(Script(), latency=0.02)
    await ask(model, "self_rag", QUESTION, tools=tools, graph_settings={"retrieval": "always", "passages": 1})
    assert (len(model.requests), model.peak) == (4, 2)
    labels = [event.fields["name"] for event in recorded(tmp_path).events_of("label")]
    assert labels == ["isrel", "issup", "isuse"]


async def test_a_judgement_that_fails_ends_the_other_and_says_why_itself(ask: Ask, tools: list[Tool]) -> None:
    async def reply(request: Request) -> Completion | str | Exception:
        if "Support (" in content(request):
            await asyncio.Event().wait()  # answers never: only a call that is ended lets the run end
        return ModelError("gone") if "Relevance (" in content(request) else Script()(request)

    model = ScriptedModel(reply)
    with pytest.raises(ModelError, match="gone"):
        await ask(model, "self_rag", QUESTION, tools=tools, graph_settings={"retrieval": "always", "passages": 1})
    assert model.cancelled == 1


async def test_an_unreadable_gate_does_not_count_as_no(ask: Ask, tools: list[Tool], tmp_path: Path) -> None:
    model = ScriptedModel({GATE: "Perhaps.", WRITE: "Answer: 1", GRADE: "Relevance: A\nSupport: A\nUse: 4"})
    await ask(model, "self_rag", QUESTION, tools=tools)
    (gate,) = recorded(tmp_path).events_of("gate")
    assert (gate.fields["decision"], gate.fields["inputs"]["probability"]) == ("retrieve", None)


async def test_depth_bounds_the_answer_and_its_last_part_has_to_end_it(ask: Ask, tools: list[Tool]) -> None:
    settings = {"passages": 1, "depth": 3}
    model = ScriptedModel(Script(write=lambda _: "More."))
    result = await ask(model, "self_rag", QUESTION, tools=tools, graph_settings=settings)
    assert (result.answer, result.text) == (None, "More.\nMore.\nMore.")
    assert ["last part" in prompt for prompt in asked(model, WRITE)] == [False, False, True]


async def test_a_failed_branch_leaves_the_others_their_say(ask: Ask, tools: list[Tool]) -> None:
    def reply(request: Request) -> Any:
        if WRITE in str(request.messages[0]["content"]) and "barn owl" in content(request).partition("Passage")[2]:
            return ModelError("gone")
        return Script(write=lambda _: "Answer: 2 kg")(request)

    result = await ask(ScriptedModel(reply), "self_rag", QUESTION, tools=tools, graph_settings={"passages": 3})
    assert result.answer == "2 kg"


async def test_a_contradicted_part_may_be_left_out(ask: Ask, tools: list[Tool]) -> None:
    def write(prompt: str) -> str:
        return "It is huge." if "(nothing yet)" in prompt else "It weighs little.\nAnswer: 350 grams"

    def grades(prompt: str) -> dict[str, dict[str, float]]:
        return GOOD | {"Support": {"C": 0.8, "A": 0.2}} if "It is huge." in prompt.partition("The part:")[2] else GOOD

    for drop, text in [(False, "It is huge.\nIt weighs little."), (True, "It weighs little.")]:
        settings = {"passages": 1, "drop_contradicted": drop}
        model = ScriptedModel(Script(write=write, grades=grades))
        result = await ask(model, "self_rag", QUESTION, tools=tools, graph_settings=settings)
        assert result.text == f"{text}\nAnswer: 350 grams"


async def test_a_search_that_fails_falls_back_on_what_the_model_knows(ask: Ask) -> None:
    @tool
    async def retrieve(query: str) -> str:
        """Search."""
        raise ToolError("The search failed.")

    model = ScriptedModel(Script())
    result = await ask(model, "self_rag", QUESTION, tools=[retrieve])
    assert result.answer == "350 grams"
    assert "Passage:\n(none)" in asked(model, WRITE)[0] and len(asked(model, GRADE)) == 1


async def test_without_retrieval_nobody_is_asked_about_it(ask: Ask, tools: list[Tool]) -> None:
    model = ScriptedModel(Script())
    await ask(model, "self_rag", QUESTION, tools=tools, graph_settings={"retrieval": "never"})
    assert not asked(model, GATE) and len(model.requests) == 2


async def test_the_trace_holds_what_a_critics_rows_need(ask: Ask, tools: list[Tool], tmp_path: Path) -> None:
    await ask(ScriptedModel(Script()), "self_rag", QUESTION, tools=tools, graph_settings={"passages": 2})
    run = recorded(tmp_path)
    segments = [call for call in run.calls if call.role == "segment-writer"]
    for call in segments:
        labels = {e.fields["name"]: e.fields["value"] for e in run.events_of("label") if e.fields["of"] == call.call_id}
        assert labels == {"isrel": "A", "issup": "A", "isuse": "5"}
        (score,) = [e.fields["value"] for e in run.events_of("reward") if e.fields.get("of") == call.call_id]
        assert score == pytest.approx(2.5)
        (node,) = [e.fields for e in run.events_of("tree") if e.fields["id"] == call.call_id]
        assert node["up"] == "root" and ".txt" in node["observation"]


def test_scores_follow_the_formula() -> None:
    grade = Grade(
        {"A": 0.8, "B": 0.2}, {"A": 0.5, "B": 0.4, "C": 0.1}, {"1": 0.0, "2": 0.0, "3": 0.5, "4": 0.0, "5": 0.5}
    )
    segment = Segment("text", "c1", math.log(0.5))
    assert _Work(Settings()).score(segment, grade) == pytest.approx(0.8 + 0.7 + 0.5 * 0.5)
    assert _Work(Settings(sequence_score=True)).score(segment, grade) == pytest.approx(1.75 + 0.5)
    assert _Work(Settings(sequence_score=True)).score(Segment("text", "c1", None), grade) is None
    assert _Work(Settings()).score(segment, Grade(None, grade.support, grade.use)) is None
    assert _Work(Settings()).score(segment, Grade(None, None, grade.use, alone=True)) == pytest.approx(0.25)


def test_what_is_written_in_words_is_read_or_missing() -> None:
    assert read_need("I think so.\nLook up: 70") == 0.7
    assert read_need("Look up: 700") is None and read_need("Yes") is None
    grade = read_grade("Relevance: B\nSupport: D\n**Use:** 3")
    assert grade.terms() == (0.0, None, 0.0)
    assert PassageGrader().role == "passage-grader"
