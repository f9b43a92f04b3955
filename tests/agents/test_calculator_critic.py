"""The critic that calculates sees wrong sums, and takes nothing for a sum that is none."""

from fractions import Fraction

import pytest

from maieutic.agents.calculator_critic import sums, value_of
from maieutic.llm.scripted import ScriptedModel
from maieutic.trace.reader import TraceReader
from maieutic.types import Outcome
from tests.conftest import Ask


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("52 + 60 = 112", [True]),
        ("52 + 60 = 113", [False]),
        ("3 dogs: 3 * 4 = 12", [True]),
        ("So he pays 3 × 4 = 13 dollars.", [False]),
        ("So 1,200 - 200 = 1,000.", [True]),
        ("-23 - 5 = -28", [True]),
        ("(2 + 3) * 4 = 20", [True]),
        ("10 / 3 = 3.33", [True]),
        ("10 / 3 = 3.35", [False]),
        ("10 / 4 = 2", [False]),
        ("2 + 3 = 5 = 4 + 1", [True]),
        ("2 + 3 = 4 + 2 = 6", [False, True]),
    ],
)
def test_sums_are_done_again(line: str, holds: list[bool]) -> None:
    assert [found.holds for found in sums(line)] == holds


@pytest.mark.parametrize(
    "line",
    [
        "x = 5", "2x + 3 = 7", "x - 3 = 7", "y * 2 - 3 = 7", "f(2) - 3 = 9", "n^2 + 1 = 5", "50 * 20% = 10",
        "a == 3 + 4", "5 / 0 = 3", "2 + 3 = 5x", "Answer: 12", "3 + 4 <= 9", "2 ** 9999999 = 1",
        "9" * 500 + " + 1 = 3", "",
    ],
)  # fmt: skip
def test_what_is_no_sum_is_left_alone(line: str) -> None:
    assert list(sums(line)) == []


def test_values_are_exact() -> None:
    assert value_of("0.1 + 0.2") == Fraction(3, 10)
    assert value_of("__import__('os')") is None and value_of("2 ** 3") is None and value_of("True + 1") is None


async def test_it_asks_no_model_and_its_review_reaches_the_refiner(ask: Ask) -> None:
    model = ScriptedModel(["2 + 3 = 6\n6 + 4 = 10\nAnswer: 10", "2 + 3 = 5\n5 + 4 = 9\nAnswer: 9"])
    result = await ask(model, "critique", "What is 2 + 3 + 4?", graph_settings={"critic": "calculator-critic"})
    assert result.answer == "9" and len(model.requests) == 2
    assert "Step 1: 2 + 3 = 5, wrong\nFirst wrong step: 1" in str(model.requests[1].messages[-1]["content"])
    assert result.trace is not None
    with TraceReader(result.trace) as reader:
        verdicts = [event.fields for event in reader.run(result.run_id).events_of("verdict")]
    assert [(v["accepts"], v["first_wrong"]) for v in verdicts if "accepts" in v] == [(False, 1), (True, None)]


async def test_without_a_sum_there_is_no_verdict_and_the_draft_stays(ask: Ask) -> None:
    model = ScriptedModel(["I think so.\nAnswer: 9"])
    result = await ask(model, "critique", "What is 2 + 3 + 4?", graph_settings={"critic": "calculator-critic"})
    assert result.answer == "9" and result.outcome is not Outcome.FORMAT_ERROR
    assert len(model.requests) == 1
