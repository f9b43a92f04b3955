import pytest

from maieutic.agents.judge import read_choice
from maieutic.errors import ModelError
from maieutic.llm.scripted import Reply, ScriptedModel
from tests.conftest import Ask

SOLVE, DEBATE, JUDGE = "Solve the problem", "Several solvers", "Several candidate"


async def test_agreement_is_frozen_at_once(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: "Answer: 7"})
    result = await ask(model, "debate")
    assert (result.answer, result.usage.calls) == ("7", 3)


async def test_disagreement_opens_a_round(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: ["Answer: 7", "Answer: 8", "Answer: 7"], DEBATE: "Answer: 8"})
    result = await ask(model, "debate")
    assert (result.answer, result.usage.calls) == ("8", 6)
    shown = str(model.requests[3].messages[1]["content"])
    assert [shown.count(f"Solution {i}:") for i in (1, 2, 3, 4)] == [1, 1, 1, 0]
    assert shown.endswith("Solution 1 is your own.")


async def test_rounds_bound_the_debate_and_a_judge_breaks_a_tie(ask: Ask) -> None:
    model = ScriptedModel(
        {SOLVE: ["Answer: 7", "Answer: 8"], DEBATE: ["Answer: 7", "Answer: 8"] * 2, JUDGE: "Choice: 2"}
    )
    result = await ask(model, "debate", graph_settings={"debaters": 2})
    assert (result.answer, result.usage.calls) == ("8", 7)


async def test_the_judge_chooses_among_the_tied_alone(ask: Ask) -> None:
    first: list[Reply] = [f"Answer: {answer}" for answer in (1, 1, 2, 2, 3)]
    model = ScriptedModel({SOLVE: first, DEBATE: "I am not sure.", JUDGE: "Choice: 2"})
    result = await ask(model, "debate", graph_settings={"debaters": 5, "rounds": 1})
    assert "Candidate 3" not in str(model.requests[-1].messages)
    assert result.answer == "2"


async def test_a_judge_without_a_readable_choice_changes_nothing(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: ["Answer: 7", "Answer: 8"], DEBATE: ["Answer: 7", "Answer: 8"] * 2, JUDGE: "Both."})
    assert (await ask(model, "debate", graph_settings={"debaters": 2})).answer == "7"


async def test_who_fails_in_a_round_keeps_the_old_position(ask: Ask) -> None:
    replies: list[Reply] = [ModelError("cut"), "Answer: 8", "Answer: 7"]
    model = ScriptedModel({SOLVE: ["Answer: 7", "Answer: 8", "Answer: 7"], DEBATE: replies})
    assert (await ask(model, "debate", graph_settings={"rounds": 1})).answer == "7"


async def test_who_gives_no_answer_keeps_the_old_position(ask: Ask) -> None:
    model = ScriptedModel({SOLVE: ["Answer: 7", "Answer: 8", "Answer: 7"], DEBATE: "I am not sure."})
    assert (await ask(model, "debate", graph_settings={"rounds": 1})).answer == "7"


@pytest.mark.parametrize(
    ("text", "choice"), [("Choice: 2", 2), ("choice: **1**", 1), ("Choice: 3", None), ("Choice: 0", None), ("2", None)]
)
def test_a_choice_is_read_or_missing(text: str, choice: int | None) -> None:
    assert read_choice(text, 2) == choice
