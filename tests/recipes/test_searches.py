"""Recipes over search trees and critics: what is learnt of a bad way, of the way back, and of each step."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.recipes.agent_r import CHANGES
from maieutic.recipes.formats.messages import examples
from maieutic.recipes.items import Dialogue, Item, Pair, Spans
from maieutic.recipes.recipe import Tally
from maieutic.types import Message
from tests.recipes.runs import Event, Runs
from tests.trace.builders import call

STEP: tuple[Message, ...] = ({"role": "user", "content": "Take the next step."},)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    yield Runs(tmp_path)


def node(id_: str, up: str | None, action: str, value: float | None, **fields: Any) -> Event:
    known = {"id": id_, "up": up, "action": action, "observation": None, "value": value, "q": value, "visits": 2}
    known |= {"prior": 0.5, "terminal": False, "answer": None, "tool": None, "call_id": f"c-{id_}"}
    return "tree", {**known, **fields}


def leaf(id_: str, up: str, answer: str, value: float) -> Event:
    return node(id_, up, f"Answer: {answer}", value, terminal=True, answer=answer)


TREE = [
    node("n0", None, "", None),
    node("s", "n0", "Read the question.", 0.9),
    node("g", "s", "Add two and two.", 0.9),
    node("b", "s", "Multiply by three.", 0.5),
    node("b2", "b", "Add nothing.", 0.2),
    node("b3", "b2", "Look at it once more.", 0.0),
    leaf("bad", "b3", "6", 0.0),
    leaf("good", "g", "4", 1.0),
]


def add(runs: Runs, tree: list[Event] = TREE, answer: str = "4", outcome: str = "correct", **fields: Any) -> None:
    run_id = f"r{fields.pop('number', 0):03}"
    calls = [call(run_id, str(f["call_id"]), text=str(f["action"]), messages=STEP) for _, f in tree if f["up"]]
    ended = next((str(f["call_id"]) for _, f in tree if f["answer"] == answer), "c-s")
    runs.add(answer, outcome, calls=calls, events=tree, answer_call=ended, graph="tree", **fields)


def spoken(item: Item) -> list[tuple[str, bool]]:
    assert isinstance(item, Dialogue)
    return [(str(t.message["content"]), t.learn) for t in item.turns if t.message["role"] == "assistant"]


def test_a_splice_shows_the_bad_way_to_its_first_bad_step_and_learns_only_the_change_and_the_good_way(
    runs: Runs,
) -> None:
    add(runs)
    [splice], _ = runs.through("agent_r", rows="splices")
    said = spoken(splice)
    change = said.pop(3)
    assert said == [
        ("Read the question.", False),
        ("Multiply by three.", False),
        ("Add nothing.", False),  # the first bad step is kept, and nothing after it
        ("Add two and two.", True),
        ("Answer: 4", True),
    ]
    assert change[0] in CHANGES and change[1]
    assert "2+2?" in str(splice.turns[1].message["content"])  # type: ignore[union-attr]
    learnt = [str(example.reply["content"]) for example in examples(splice, Tally())]
    assert not {"Multiply by three.", "Add nothing."} & set(learnt)


def test_a_fork_gives_a_pair_and_a_good_way_a_row_of_its_own(runs: Runs) -> None:
    add(runs)
    [pair], _ = runs.through("agent_r", rows="pairs")
    assert isinstance(pair, Pair)
    assert (pair.chosen.message["content"], pair.rejected.message["content"]) == (
        "Add two and two.",
        "Multiply by three.",
    )
    assert pair.prompt == STEP
    [good], _ = runs.through("agent_r", rows="good")
    assert all(learn for _, learn in spoken(good)) and len(spoken(good)) == 3


def test_a_splice_as_one_reply_begins_with_what_is_not_learnt(runs: Runs) -> None:
    add(runs)
    [splice], _ = runs.through("agent_r", rows="splices", shape="text", prompt="own")
    (begun, shown), (rest, learnt) = spoken(splice)
    assert (begun, shown, learnt) == ("Read the question.\nMultiply by three.\nAdd nothing.", False, True)
    change, *good = rest.removeprefix("\n").splitlines()
    assert change in CHANGES and good == ["Add two and two.", "Answer: 4"]
    assert isinstance(splice, Dialogue) and splice.turns[0].message == STEP[0] and splice.turns[-1].continues
    [splice], _ = runs.through("agent_r", rows="splices", shape="text", change="Wrong.")
    assert spoken(splice)[1] == ("\nWrong.\nAdd two and two.\nAnswer: 4", True)
    [row], _ = runs.through("agent_r", rows="good", shape="text")
    assert spoken(row) == [("Read the question.\nAdd two and two.\nAnswer: 4", True)]


def test_parts_of_a_turn_are_no_pair(runs: Runs) -> None:
    calls = [call("r000", str(f["call_id"]), text=str(f["action"]), messages=STEP) for _, f in TREE if f["up"]]
    lines = [replace(c, request=replace(c.request, sampling=replace(c.request.sampling, stop=("\n",)))) for c in calls]
    runs.add("4", "correct", calls=lines, events=TREE, answer_call="c-good", graph="tree")
    assert runs.through("agent_r", rows="pairs")[0] == []


def test_a_bad_way_on_which_nothing_was_called_bad_is_not_spliced(runs: Runs) -> None:
    unjudged = [(kind, {**fields, "value": None} if fields["id"][0] == "b" else fields) for kind, fields in TREE]
    add(runs, unjudged)  # pyright: ignore[reportArgumentType]
    items, tally = runs.through("agent_r", rows="splices")
    assert items == []
    assert tally.counts["bad_ways_without_a_bad_step"] == 1


def test_a_way_that_was_left_at_a_bad_step_is_bad_where_that_is_asked_for(runs: Runs) -> None:
    add(runs, [event for event in TREE if event[1]["id"] not in ("b3", "bad")])
    assert runs.through("agent_r", rows="splices")[0] == []
    [splice], _ = runs.through("agent_r", rows="splices", shape="text", abandoned=True)
    assert spoken(splice)[0] == ("Read the question.\nMultiply by three.\nAdd nothing.", False)
    add(runs, number=1)
    whole = runs.through("agent_r", rows="splices", abandoned=True)[0][1:]
    assert len(whole) == 1  # the wrong answer's own way has that step: it is no second one
    misjudged = [(kind, {**f, "value": 0.0} if f["id"] == "g" else f) for kind, f in TREE if f["id"][0] != "b"]
    add(runs, misjudged, number=2)  # pyright: ignore[reportArgumentType]
    assert len(runs.through("agent_r", rows="splices", abandoned=True)[0]) == 2  # a right way is no bad one


def test_in_a_run_that_ended_wrong_other_answers_are_known_by_its_siblings(runs: Runs) -> None:
    add(runs, answer="6", outcome="wrong")
    assert runs.through("agent_r", rows="splices")[0] == []
    runs.add("4", "correct")
    assert len(runs.through("agent_r", rows="splices")[0]) == 1


@pytest.mark.parametrize("recipe", ["agent_r", "o1_journey", "exact_linear", "step_labels"])
def test_what_a_log_lacks_is_said(runs: Runs, recipe: str) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="--graph tree|such as critique or tree"):
        runs.through(recipe)


def test_a_journey_is_one_thought_with_its_wrong_turn(runs: Runs) -> None:
    add(runs)
    [row], _ = runs.through("o1_journey", deep=2)
    [(text, learn)] = spoken(row)
    assert learn and text.endswith("Answer: 4")
    order = ["Read the question.", "Multiply by three.", "Add nothing.", "I take back the last 2 steps", "Add two"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert isinstance(row, Dialogue) and row.meta["ways_back"] == 1
    [row], _ = runs.through("o1_journey", thinking=True)
    message = row.turns[-1].message  # type: ignore[union-attr]
    assert message["content"] == "Answer: 4" and "I take back" in message["reasoning"]  # pyright: ignore[reportTypedDictNotRequiredAccess]


def test_straight_and_wrong_searches_are_no_journey(runs: Runs) -> None:
    straight = [event for event in TREE if event[1]["id"] in ("n0", "s", "g", "good")]
    add(runs, straight)
    add(runs, answer="6", outcome="wrong", number=1)
    items, tally = runs.through("o1_journey")
    assert items == [] and tally.dropped == {"no wrong turn to show": 1, "not right": 1}


def test_a_traversal_goes_back_as_an_action_and_leaves_tool_calls_as_they_were(runs: Runs) -> None:
    tool = {"id": "t1", "name": "add", "arguments": '{"a": 2}'}
    shown = 'Add two and two.\n[Call of add]\n{"a": 2}'
    tree = [
        node("g", "s", shown, 0.9, tool=tool, observation="4") if fields["id"] == "g" else (kind, fields)
        for kind, fields in TREE
    ]
    add(runs, tree)  # pyright: ignore[reportArgumentType]
    [row], _ = runs.through("exact_linear", deep=1)
    said = spoken(row)
    assert all(learn for _, learn in said)
    assert [text.splitlines()[-1] for text, _ in said][1:3] == [
        "Multiply by three.",
        "No, this does not lead to the answer. I take back the last step, and go on from: Read the question.",
    ]
    assert said[1][0].startswith("This is nearly solved.") and said[2][0].startswith("This may lead to the answer.")
    assert isinstance(row, Dialogue)
    [called] = [turn for turn in row.turns if "tool_calls" in turn.message]
    assert called.message["content"] == "Add two and two."
    assert called.message["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 2}'}  # pyright: ignore[reportTypedDictNotRequiredAccess]
    after = row.turns[row.turns.index(called) + 1]
    assert (after.message["role"], after.message["content"], after.learn) == ("tool", "4", False)
    [plain], _ = runs.through("exact_linear", judged=False)
    assert "nearly solved" not in str(spoken(plain))


def verdict(of: str, accepts: bool | None, first_wrong: int | None) -> Event:
    return "verdict", {"call_id": "v", "of": of, "accepts": accepts, "first_wrong": first_wrong}


def test_steps_are_right_up_to_the_first_wrong_one_and_nothing_is_said_of_what_follows(runs: Runs) -> None:
    text = "Two.\n\nThree.\n  Five.\nAnswer: 5"
    calls = [call("r000", "a", text=text), call("r000", "b", text="Answer: 4")]
    runs.add("4", "correct", calls=calls, events=[verdict("a", False, 3), verdict("b", True, None)])
    wrong, right = runs.through("step_labels")[0]
    assert isinstance(wrong, Spans) and isinstance(right, Spans)
    assert [(text[a:b], weight) for a, b, weight in wrong.spans] == [("Two.", 1.0), ("Three.", 1.0), ("Five.", -1.0)]
    assert right.spans == ((0, 9, 1.0),)


def test_a_verdict_that_the_answer_does_not_bear_out_labels_nothing(runs: Runs) -> None:
    calls = [call("r000", "a", text="Answer: 5"), call("r000", "b", text="Answer: 4")]
    events = [verdict("a", True, None), verdict("b", False, 1), verdict("b", None, None)]
    runs.add("4", "correct", calls=calls, events=events)
    items, tally = runs.through("step_labels")
    assert items == [] and tally.counts["verdicts_that_the_outcome_does_not_bear_out"] == 2
    assert len(runs.through("step_labels", agree=False)[0]) == 2


def test_a_first_wrong_step_that_is_not_there_labels_nothing(runs: Runs) -> None:
    calls = [call("r000", "a", text="Answer: 5"), call("r000", "b", text="Answer: 4")]
    runs.add("4", "correct", calls=calls, events=[verdict("a", False, 7)])
    assert runs.through("step_labels")[0] == []


def test_steps_of_a_search_have_their_mean_values_and_missing_ones_no_label(runs: Runs) -> None:
    tree = [(kind, {**f, "q": None, "value": None} if f["id"] == "b" else f) for kind, f in TREE]
    add(runs, tree)  # pyright: ignore[reportArgumentType]
    items, _ = runs.through("step_labels", labels="tree")
    bad, good = items
    assert isinstance(bad, Spans) and isinstance(good, Spans)
    text = str(bad.reply.message["content"])
    labelled = [text[a:b] for a, b, _ in bad.spans]
    assert "Multiply by three." in text and "Multiply by three." not in labelled
    assert [round(weight, 2) for _, _, weight in good.spans] == [0.8, 0.8, 1.0]
