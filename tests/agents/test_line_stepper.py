"""A search whose steps are the solver's own lines, valued by doing their sums again."""

from typing import Any

import pytest

from maieutic.llm.scripted import ScriptedModel
from maieutic.recipes.linearise import tree_of
from maieutic.trace.reader import TraceReader
from maieutic.types import Request
from tests.conftest import Ask

SEARCH: dict[str, Any] = {
    "stepper": "line-stepper", "valuer": "calculator-valuer", "debate": False, "judges": 1, "reflect": False,
    "steps": 1, "depth": 6, "samples": 4, "branching": 2, "evaluations": 12, "exploration": 4.0,
}  # fmt: skip


class Lines:
    """Writes a next line; every other first line has a false sum."""

    def __init__(self) -> None:
        self.first = 0

    def __call__(self, request: Request) -> str:
        assert request.sampling.stop == ("\n",)
        begun = str(request.messages[-1]["content"]) if request.continue_final else ""
        if not begun:
            self.first += 1
            return "2 + 3 = 6" if self.first % 2 else "2 + 3 = 5"
        assert begun.endswith("\n")
        if begun.count("\n") == 1:
            return "6 + 4 = 10" if "= 6" in begun else "5 + 4 = 9"
        return "Answer: 10" if "10" in begun else "Answer: 9"


async def test_lines_are_searched_and_a_way_with_a_false_sum_is_lost(ask: Ask) -> None:
    model = ScriptedModel(Lines())
    result = await ask(model, "tree", "What is 2 + 3 + 4?", graph_settings=SEARCH)
    assert result.answer == "9" and result.text == "2 + 3 = 5\n\n5 + 4 = 9\n\nAnswer: 9"
    assert {request.continue_final for request in model.requests} == {False, True}
    assert result.trace is not None
    with TraceReader(result.trace) as reader:
        run = reader.run(result.run_id)
    values = {node.action: node.value for node in tree_of(run).values() if node.visits and node.up}
    assert values["2 + 3 = 6"] == values["Answer: 10"] == 0.0
    assert (values["2 + 3 = 5"], values["Answer: 9"]) == (0.5, 0.9)
    assert [event.fields["status"] for event in run.events_of("verdict") if "status" in event.fields].count("E") >= 3


@pytest.mark.parametrize("said", ["", "  "])
async def test_a_solver_that_writes_no_line_has_no_step(said: str, ask: Ask) -> None:
    replies = lambda request: said if request.sampling.stop else "Answer: 9"  # noqa: E731
    result = await ask(ScriptedModel(replies), "tree", "What is 2 + 3 + 4?", graph_settings=SEARCH)
    assert result.answer == "9"  # by the finisher
