"""What recipes make of a teacher's words: only what was checked, and nothing that the student was not asked."""

from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.recipes.critique_data import is_whole, verdict
from maieutic.recipes.items import Dialogue, Item, Pair, Prompt, Spans
from maieutic.recipes.recipe import Tally
from maieutic.recipes.text2grad import located
from tests.recipes.runs import Runs, Taught, by_words
from tests.trace.builders import call

FLAWED = "Take 2 and 2.\nThat is 2 + 3.\nIt comes to 5.\nAnswer: 5"
RIGHT = "Take 2 and 2.\nThat is 2 + 2 = 4.\nAnswer: 4"


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


@pytest.fixture
def taught(runs: Runs, tmp_path: Path) -> Taught:
    return Taught(runs, tmp_path / "asked")


def failed(runs: Runs, *more: str) -> None:
    for n, text in enumerate((FLAWED, RIGHT, *more)):
        answer = text[-1]
        runs.add(answer, "correct" if answer == "4" else "wrong", calls=[call(f"r{n:03}", "a", text=text)])


def last(item: Item) -> str:
    assert isinstance(item, Dialogue)
    return str(item.turns[-1].message["content"])


def of(items: list[Item], row: str) -> list[Any]:
    return [item for item in items if item.meta.get("row") == row]


# --- critique_data ---

REFINED = "Two, 2.\nAnd 2 more.\n2 + 2 = 4, that is 4.\nAnswer: 4"


def critic(refined: str | list[str] = REFINED, bad: str = "2", good: str = "none") -> Any:
    return by_words(
        {
            "Critique:\n": refined,
            "3. It comes to 5.": f"The second adds 3.\nAnswer: {bad}",
            "Go through the steps": f"All holds.\nAnswer: {good}",
        }
    )


async def test_a_critique_that_helps_is_kept_with_what_came_of_it(runs: Runs, taught: Taught) -> None:
    failed(runs)
    await taught.ask("critique_data", critic())
    items, _ = taught.rows("critique_data")
    found, none = of(items, "critic")
    assert (found.meta["first_wrong"], found.meta["refined_right"], none.meta["first_wrong"]) == (2, 1.0, None)
    assert last(found).startswith("The second adds 3.")
    [refined], [pair] = of(items, "refined"), of(items, "pair")
    assert last(refined) == REFINED
    assert "critique" not in str([turn.message for turn in refined.turns]).lower()
    assert isinstance(pair, Pair) and pair.rejected.message["content"] == FLAWED


async def test_a_critique_that_does_not_raise_the_share_of_right_answers_is_left_out(
    runs: Runs, taught: Taught
) -> None:
    failed(runs)  # half of the runs are right without it
    await taught.ask("critique_data", critic([REFINED, "Answer: 6", "Answer: 5"]))
    items, tally = taught.rows("critique_data")
    assert not of(items, "refined") and len(of(items, "critic")) == 1
    assert tally.counts["critiques_that_did_not_help_left_out"] == 1


async def test_a_refinement_that_only_states_the_answer_is_a_shortcut(runs: Runs, taught: Taught) -> None:
    failed(runs)
    await taught.ask("critique_data", critic("Answer: 4"))
    items, tally = taught.rows("critique_data")
    assert not of(items, "refined") and tally.counts["shortcuts_left_out"] == 1
    assert of(taught.rows("critique_data", slack=9)[0], "refined")


async def test_verdicts_that_do_not_fit_what_is_known_are_left_out(runs: Runs, taught: Taught) -> None:
    failed(runs)
    await taught.ask("critique_data", critic(bad="none", good="1"))
    items, tally = taught.rows("critique_data")
    assert items == [] and tally.counts["critiques_without_a_wrong_step_left_out"] == 1


def test_the_barrier_is_the_shorter_ones_numbers_less_the_slack() -> None:
    assert not is_whole("Answer: 4", "1 2 3 4 5 6", "1 2 3 4", slack=2)
    assert is_whole("So 2.\nAnswer: 4", "1 2 3 4 5 6", "1 2 3 4", slack=2)
    assert is_whole("Answer: 4", "1 2 3", None, slack=2)


@pytest.mark.parametrize(("word", "place"), [("2", 2), ("None.", 0), ("0", None), ("maybe", None), (None, None)])
def test_a_verdict_is_a_step_none_or_missing(word: str | None, place: int | None) -> None:
    assert verdict(word) == place


# --- supercorrect ---

CORRECT, INSPECT, TEMPLATE, LOCATE = "Its last step is wrong", "name the", "in this form", "find the first one"
TEMPLATED = "<step>2 + 2 = 4</step>\n<generalized>Add.</generalized>\nAnswer: 4"


def corrector(correct: str = "It is 2 + 2.\nAnswer: 4", inspect: str = "yes", template: str = TEMPLATED) -> Any:
    words = {INSPECT: f"Answer: {inspect}", CORRECT: correct, TEMPLATE: template, LOCATE: "Answer: 2"}
    return by_words(words)


async def test_the_teachers_correction_stands_above_the_students_own_of_the_same_step(
    runs: Runs, taught: Taught
) -> None:
    failed(runs)
    student = by_words({CORRECT: "It is 2 + 4.\nAnswer: 6"})
    await taught.ask("supercorrect", corrector(), student)
    items, _ = taught.rows("supercorrect")
    [pair] = of(items, "pair")
    assert isinstance(pair, Pair)
    assert str(pair.prompt[0]["content"]) == student.requests[0].messages[-1]["content"]
    assert "That is 2 + 3." in str(pair.prompt[0]["content"]) and "It comes to 5." not in str(pair.prompt[0]["content"])
    assert (pair.chosen.message["content"], pair.rejected.message["content"]) == (
        "It is 2 + 2.\nAnswer: 4",
        "It is 2 + 4.\nAnswer: 6",
    )
    [templated] = of(items, "template")
    assert last(templated) == TEMPLATED


@pytest.mark.parametrize(
    ("teacher", "student", "reason"),
    [
        (corrector(correct="Answer: 5"), "Answer: 6", "corrections_that_do_not_differ_as_they_should"),
        (corrector(), "Answer: 4", "corrections_that_do_not_differ_as_they_should"),
        (corrector(inspect="no"), "Answer: 6", "corrections_that_failed_inspection"),
        (corrector(template="2 + 2\nAnswer: 4"), "Answer: 6", "rewritings_that_are_wrong_or_without_the_form"),
    ],
)
async def test_what_does_not_stand_the_checks_is_left_out(
    runs: Runs, taught: Taught, teacher: Any, student: str, reason: str
) -> None:
    failed(runs)
    await taught.ask("supercorrect", teacher, by_words({CORRECT: student}))
    items, tally = taught.rows("supercorrect")
    assert tally.counts[reason] == 1
    assert len(items) == 1


async def test_the_student_has_to_be_named(runs: Runs, taught: Taught) -> None:
    failed(runs)
    with pytest.raises(UserError, match="--student"):
        await taught.ask("supercorrect", corrector())


# --- ilf ---


def criticised(runs: Runs, accepts: bool | None = False) -> None:
    calls = [
        call("r000", "a", text=FLAWED),
        call("r000", "v", text="The second step adds too much.", after="a", how="critique"),
    ]
    verdict_ = ("verdict", {"call_id": "v", "of": "a", "accepts": accepts, "first_wrong": 2})
    runs.add("5", None, calls=calls, events=[verdict_], answer_call="a")  # type: ignore[list-item]


async def test_the_refinement_that_heeds_the_feedback_is_stored_without_it(runs: Runs, taught: Taught) -> None:
    criticised(runs)
    refined = ["One.\nAnswer: 3", "Two.\nAnswer: 4", "Three.\nAnswer: 9"]
    model = by_words({"has taken in": "Answer: 2", "has\ngone": refined})
    await taught.ask("ilf", model)
    [row], _ = taught.rows("ilf")
    assert isinstance(row, Dialogue)
    shown = [str(turn.message["content"]) for turn in row.turns]
    asked = str(model.requests[-1].messages[-1]["content"])
    assert f"Refinement 2:\n{shown[-1]}" in asked and shown[-1] in refined and shown[1] == "2+2?"
    assert "adds too much" not in str(shown) and row.turns[-1].learn


@pytest.mark.parametrize("choice", ["7", "none of them"])
async def test_a_choice_that_is_none_gives_no_row(runs: Runs, taught: Taught, choice: str) -> None:
    criticised(runs)
    await taught.ask("ilf", by_words({"has taken in": f"Answer: {choice}", "has\ngone": ["Answer: 3", "Answer: 4"]}))
    items, tally = taught.rows("ilf")
    assert items == [] and tally.counts["choices_that_could_not_be_read"] == 1


@pytest.mark.parametrize("accepts", [True, None])
def test_only_feedback_that_objects_is_feedback(runs: Runs, accepts: bool | None) -> None:
    criticised(runs, accepts)
    with pytest.raises(UserError, match="such as critique"):
        runs.through("ilf")


# --- text2grad ---


async def test_quotes_become_spans_and_others_are_dropped(runs: Runs, taught: Taught) -> None:
    runs.add("5", "wrong", calls=[call("r000", "a", text=FLAWED)])
    said = '{"feedback": "no", "wrong": ["2 + 3", "adds 7"], "improve": ["That is 2 + 3.", "Take 2"]}'
    model = by_words({"Say what is wrong": f"Answer: {said}"})
    await taught.ask("text2grad", model)
    [row], tally = taught.rows("text2grad")
    assert isinstance(row, Spans)
    assert [(FLAWED[a:b], weight) for a, b, weight in row.spans] == [("Take 2", -0.5), ("2 + 3", -1.0)]
    assert tally.counts["quotes_that_are_not_in_the_reply"] == 1
    assert "it is wrong" in str(model.requests[0].messages[-1]["content"])


@pytest.mark.parametrize("said", ["Answer: nothing", 'Answer: {"wrong": "2 + 3"}', "Answer: [1]"])
async def test_a_critique_of_another_form_is_missing(runs: Runs, taught: Taught, said: str) -> None:
    runs.add("5", "wrong", calls=[call("r000", "a", text=FLAWED)])
    await taught.ask("text2grad", by_words({"Say what": said}))
    items, tally = taught.rows("text2grad")
    assert items == [] and tally.counts["critiques_that_could_not_be_read"] == 1


def test_empty_quotes_mark_nothing() -> None:
    assert located("abc", {"wrong": ["", " ", 7, "b"]}, -1.0, -0.5, Tally()) == ((1, 2, -1.0),)


# --- persona ---

NEW = "Answer:\n```\nThree loads of five?\n```"


async def test_a_rewritten_question_is_solved_again_and_has_to_have_one_answer(runs: Runs, taught: Taught) -> None:
    failed(runs)
    model = by_words({"Write a problem that": NEW, "Three loads": "Three fives.\nAnswer: 15"})
    await taught.ask("persona", model, personas=1, more=1)
    items, _ = taught.rows("persona", personas=1, more=1, rows="both")
    solutions = [item for item in items if isinstance(item, Dialogue)]
    prompts = [item for item in items if isinstance(item, Prompt)]
    assert len({item.meta["persona"] for item in solutions}) == 2
    assert last(solutions[0]) == "Three fives.\nAnswer: 15"
    assert solutions[0].turns[1].message["content"] == "Three loads of five?"
    assert prompts[0].task == {"question": "Three loads of five?", "answer_type": "number", "gold": "15"}


@pytest.mark.parametrize("solved", [["Answer: 15", "Answer: 16"], ["Answer: 15", "I can't."]])
async def test_solutions_that_disagree_give_no_row(runs: Runs, taught: Taught, solved: list[str]) -> None:
    runs.add("4", "correct")
    await taught.ask("persona", by_words({"Write a problem": NEW, "Three loads": solved}), personas=1)
    items, tally = taught.rows("persona", personas=1)
    assert items == [] and tally.counts["rewritten_questions_without_one_answer"] == 1


async def test_questions_that_were_failed_get_more_personas(runs: Runs) -> None:
    runs.add("4", "correct", task="t1")
    runs.add("5", "wrong", task="t2")
    items, _ = runs.through("persona", personas=1, more=3)
    assert len(items) == 1 + 4


# --- poda ---

CHOICE = {
    "id": "t1",
    "question": "All owls fly. Which follows?",
    "inputs": {"choices": ["Owls fly.", "Owls swim."]},
    "answer_type": "choice",
}
MADE = "B is now supported.\nAnswer:\n```\nAll owls swim. Which follows?\n```"


def choice(runs: Runs) -> None:
    runs.add("A", "correct", calls=[call("r000", "a", text="They fly.\nAnswer: A")], asked=CHOICE)


async def test_premises_count_where_the_new_question_is_answered_so(runs: Runs, taught: Taught) -> None:
    choice(runs)
    await taught.ask("poda", by_words({"becomes the only": MADE, "All owls swim": "They swim.\nAnswer: B"}))
    row, pair = taught.rows("poda")[0]
    assert isinstance(row, Dialogue) and isinstance(pair, Pair)
    assert row.turns[1].message["content"] == "All owls swim. Which follows?\n\nA) Owls fly.\nB) Owls swim."
    assert (row.meta, last(row)) == ({"was": "A", "is": "B"}, "They swim.\nAnswer: B")
    assert pair.rejected.message["content"] == "They fly.\nAnswer: A"


@pytest.mark.parametrize("said", ["Answer: A", "Neither."])
async def test_a_new_question_that_is_answered_otherwise_gives_no_row(runs: Runs, taught: Taught, said: str) -> None:
    choice(runs)
    await taught.ask("poda", by_words({"becomes the only": MADE, "All owls swim": said}))
    items, tally = taught.rows("poda")
    assert items == [] and tally.counts["rewritten_questions_that_were_answered_otherwise"] == 1


async def test_without_choices_it_is_said(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="multiple-choice"):
        runs.through("poda")
