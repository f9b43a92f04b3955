"""Words, a program that is run and a truth table: the majority of three, and what becomes of ties and failures."""

from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.logician import answer_of, read_argument
from maieutic.errors import ConfigError, ModelError
from maieutic.graphs.registry import load_graph
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.tasks.task import Task
from maieutic.tools.tool import Session, tool
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from tests.conftest import Ask

QUESTION = "If it rains, the street is wet. The street is wet. It rains: True, False or Uncertain?"
TASK = Task(question=QUESTION, gold="Uncertain", answer_type="text")
ran: list[str] = []


@tool
async def python(code: str, session: Session) -> str:
    """Run Python code."""
    ran.append(code)
    if "fail" in code:
        raise ValueError("no")
    return code.partition("print('")[2].partition("')")[0] or "[The code ran and printed nothing.]"


@pytest.fixture(autouse=True)
def fresh() -> None:
    ran.clear()


def table(conclusion: str, *premises: str, variables: str = "p: it rains\nq: the street is wet") -> str:
    rules = "\n".join(f"{n}. {premise}" for n, premise in enumerate(premises or ("p -> q", "q"), 1))
    return (
        f"<variables>\n{variables}\n</variables>\n<premises>\n{rules}\n</premises>\n<conclusion>\n{conclusion}\n"
        "</conclusion>"
    )


def program(answer: str) -> str:
    return f"<code>\nprint('{answer}')\n</code>\nIt prints Perhaps."


async def play(
    ask: Ask,
    words: Reply | list[Reply],
    code: Reply | list[Reply],
    logic: Reply | list[Reply],
    task: Task = TASK,
    **settings: Any,
) -> tuple[Any, ScriptedModel]:
    model = ScriptedModel({"propositional": logic, "Python program": code, "Solve": words})
    return await ask(model, "three_ways", TASK, tools=[python], graph_settings=settings), model


def the_run(tmp_path: Path) -> RunRecord:
    with TraceReader(tmp_path / "traces") as reader:
        (summary,) = reader.runs()
        return reader.run(summary.run_id)


async def test_the_table_is_worked_out_and_the_program_is_run(ask: Ask, tmp_path: Path) -> None:
    """Neither is asked what it thinks that the answer is."""
    logic = table("p") + "\nSo the answer is: True\nAnswer: True"
    result, model = await play(ask, "Answer: True", program("Uncertain"), logic)
    assert result.answer == "Uncertain" and ran == ["print('Uncertain')"]
    assert result.verdict.outcome == "correct" and len(model.requests) == 3
    run = the_run(tmp_path)
    assert sorted(call.branch for call in run.calls) == ["code", "language", "truth_table"]
    (vote,) = run.events_of("vote")
    assert vote.fields["answers"] == {"language": "True", "code": "Uncertain", "truth_table": "Uncertain"}
    (gate,) = run.events_of("gate")
    assert gate.fields["decision"] == "majority"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("truth_table", "code", "language"), "Uncertain"),
        (("code", "truth_table", "language"), "True"),
        (("language", "code", "truth_table"), "False"),
    ],
)
async def test_a_tie_goes_by_the_stated_order_and_never_by_the_alphabet(
    ask: Ask, order: tuple[str, ...], expected: str
) -> None:
    result, _ = await play(ask, "Answer: False", program("True"), table("p"), tie_order=order)
    assert result.answer == expected


async def test_a_way_that_fails_abstains(ask: Ask, tmp_path: Path) -> None:
    result, _ = await play(ask, ModelError("cut"), "<code>\nfail()\n</code>", table("q"))
    assert (result.answer, result.partial) == ("True", False)
    (vote,) = the_run(tmp_path).events_of("vote")
    assert (vote.fields["samples"], vote.fields["of"], vote.fields["abstained"]) == (2, 3, 1)


async def test_two_that_agree_outvote_the_first_of_the_order(ask: Ask) -> None:
    result, _ = await play(ask, "Answer: False", program("False"), table("p"))
    assert result.answer == "False"


async def test_a_contradiction_says_nothing(ask: Ask) -> None:
    result, _ = await play(ask, "Answer: False", program(""), table("p", "p", "~p"))
    assert result.answer == "False"


async def test_formulas_that_can_not_be_read_are_asked_for_once_more(ask: Ask) -> None:
    result, model = await play(ask, "Hm.", "no program", [table("p & r"), table("q")])
    assert result.answer == "True" and len(model.requests) == 1 + 2 + 2
    result, model = await play(ask, "Answer: False", "no program", table("r"))
    assert result.answer == "False" and len(model.requests) == 1 + 2 + 2


async def test_when_nobody_answers_there_is_no_answer(ask: Ask) -> None:
    result, _ = await play(ask, "Hm.", "Hm.", "Hm.")
    assert result.answer is None


def test_an_order_names_each_way_once() -> None:
    with pytest.raises(ConfigError, match="name each of"):
        load_graph("three_ways", {"tie_order": ["code", "language"]})


def test_the_tasks_own_words_for_what_the_table_finds() -> None:
    choices = Task(question="?", inputs={"choices": ["True", "False", "Unknown."]}, answer_type="choice").public()
    assert [answer_of(found, choices) for found in ("True", "False", "Uncertain", None)] == ["A", "B", "C", None]
    unknown = Task(question="True, False or Unknown?", answer_type="text").public()
    assert [answer_of(found, unknown) for found in ("True", "Uncertain")] == ["True", "Unknown"]
    yes_or_no = Task(question="?", answer_type="boolean").public()
    assert [answer_of(found, yes_or_no) for found in ("True", "Uncertain")] == ["True", None]


def test_what_of_the_logicians_reply_is_read() -> None:
    found = read_argument(table("p") + table("~q", "p", "p -> q"))
    assert found is not None and (found.variables, found.premises, found.conclusion) == (
        ("p", "q"),
        ("p", "p -> q"),
        "~q",
    )
    assert read_argument(table("p").replace("<conclusion>", "")) is None
    assert read_argument("__import__('os')") is None
