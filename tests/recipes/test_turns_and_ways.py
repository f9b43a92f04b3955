"""Recipes over turns, ways of reasoning and restarts: one row for each thing that was decided."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.llm.scripted import ScriptedModel, call_tool
from maieutic.recipes.items import Dialogue, Episode, Item, Pair, Prompt
from maieutic.tasks.task import Task
from maieutic.tools.tool import Session, tool
from maieutic.types import Completion, Message
from tests.conftest import Ask
from tests.recipes.runs import Event, Runs, through
from tests.trace.builders import call

SOLUTION = "One.\nTwo.\nThree.\nFour.\nAnswer: {}"


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    yield Runs(tmp_path)


def last(item: Item) -> str:
    assert isinstance(item, Dialogue)
    return str(item.turns[-1].message["content"])


# --- solved: several paths ---


def test_so_many_different_solutions_of_a_question_the_shortest_first(runs: Runs) -> None:
    for n, text in enumerate(
        ("A long way.\nAnswer: 4", "Short.\nAnswer: 4", "short. \nAnswer: 4", "Mid way.\nAnswer: 4")
    ):
        runs.add("4", "correct", calls=[call(f"r{n:03}", "a", text=text)])
    items, tally = runs.through("solved", per_question=2)
    said = [item.calls[0].completion.text for item in items if isinstance(item, Episode) and item.calls[0].completion]
    assert said == ["Short.\nAnswer: 4", "Mid way.\nAnswer: 4"]
    assert tally.dropped == {"said already": 1, "more than 2 of a question": 1}
    assert len(runs.through("solved")[0]) == 4


# --- mem1 ---


def turn(run: str, number: int, text: str, **fields: Any) -> Any:
    prompt: tuple[Message, ...] = ({"role": "user", "content": f"2+2? Keep a <memory>. Turn {number}."},)
    return call(run, f"c{number}", (number,), text=text, messages=prompt, role="researcher", **fields)


def test_each_turn_is_a_row_with_the_prompt_it_had(runs: Runs) -> None:
    calls = [turn("r000", 1, "<memory>a</memory>"), turn("r000", 2, "<memory>b</memory>"), turn("r000", 3, "Answer: 4")]
    runs.add("4", "correct", calls=calls)
    items, _ = runs.through("mem1")
    assert [[c.call_id for c in item.calls] for item in items if isinstance(item, Episode)] == [["c1"], ["c2"], ["c3"]]


def test_turns_whose_memory_was_mended_are_left_out(runs: Runs) -> None:
    calls = [
        turn("r000", 1, "<memory>a</memory>"),
        turn("r000", 2, "<memory>lost</memory>"),
        turn("r000", 3, "<memory>mended</memory>", after="c2", how="retry"),
        turn("r000", 4, "no memory"),
        turn("r000", 5, "Answer: 4"),
    ]
    runs.add(
        "4", "correct", calls=calls, events=[("note", {"call_id": "c3", "memory": "leaves out Q2", "mended": True})]
    )
    runs.add("5", "wrong", calls=[turn("r001", 1, "<memory>a</memory>")])
    items, tally = runs.through("mem1")
    assert [item.calls[0].call_id for item in items if isinstance(item, Episode)] == ["c1", "c5"]
    assert tally.counts["turns_with_a_mended_memory_left_out"] == 2
    assert tally.dropped == {"not right": 1}


async def test_the_turns_of_a_real_run_with_a_memory(ask: Ask, tmp_path: Path) -> None:
    @tool
    async def search(query: str) -> str:
        """Search."""
        return "Nothing."

    @tool
    async def read_page(url: str) -> str:
        """Read."""
        return url

    asked = call_tool("search", query="owls").tool_calls
    memory = "<memory>\nQ1 [open]: what?\n</memory>"
    model = ScriptedModel([Completion(memory, asked, finish_reason="tool_calls"), f"{memory}\nAnswer: 7"])
    settings = {"context": "memory"}
    task = Task(question="What is 4 + 3?", gold="7", answer_type="number")
    await ask(model, "deep_research", task, tools=[search, read_page], graph_settings=settings)
    items, _ = through([tmp_path / "traces"], "mem1")
    assert [item.meta["turn"] for item in items] == [1, 2]


def test_without_a_memory_the_setting_is_named(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="context=memory"):
        runs.through("mem1")


# --- restart_explore ---


def two(runs: Runs) -> None:
    runs.add("4", "correct", calls=[call("r000", "a", text=SOLUTION.format(4))])
    runs.add("5", "wrong", calls=[call("r001", "a", text=SOLUTION.format(5))])


def test_starts_are_cut_before_the_answer_and_their_bonus_has_the_right_sign(runs: Runs) -> None:
    two(runs)
    items, _ = runs.through("restart_explore", back=3)
    right, wrong = items
    assert isinstance(right, Prompt) and isinstance(wrong, Prompt)
    assert right.meta == {"from": "right", "bonus_if_wrong": -0.5, "group": "t1/g"}
    assert wrong.meta == {"from": "wrong", "bonus_if_right": 0.5, "group": "t1/g"}
    for item in (right, wrong):
        text = str(item.messages[-1]["content"])
        assert item.messages[-1]["role"] == "assistant"
        assert text.startswith("One.\n") and "Answer" not in text and text.endswith("what I have so far.")
    assert runs.through("restart_explore", back=3)[0] == items


def test_revisions_learn_only_what_follows_the_word_and_from_right_beginnings_too(runs: Runs) -> None:
    two(runs)
    items, _ = runs.through("restart_explore", rows="revisions")
    for item in items:
        assert isinstance(item, Dialogue)
        assert [t.learn for t in item.turns[-2:]] == [False, True]
        assert last(item).endswith("Answer: 4")
    assert [item.meta["from"] for item in items] == ["right", "wrong"]
    head, rest = str(items[0].turns[-2].message["content"]), last(items[0])  # type: ignore[union-attr]
    kept, again = head.removesuffix("\n\nLet me check what I have so far."), rest.partition("\n\n")[2]
    assert f"{kept}\n{again}" == SOLUTION.format(4)


def test_an_attempt_that_answers_in_its_first_line_can_not_be_cut(runs: Runs) -> None:
    runs.add("4", "correct", calls=[call("r000", "a", text="Answer: 4")])
    runs.add("5", "wrong", calls=[call("r001", "a", text=SOLUTION.format(5))])
    items, tally = runs.through("restart_explore")
    assert items == [] and tally.dropped == {"too short to be cut": 2}


# --- mixture_of_thought ---


@tool
async def python(code: str, session: Session) -> str:
    """Run Python code."""
    return code.partition("print(")[2].partition(")")[0]


async def test_the_first_right_sample_of_each_way_and_none_of_a_wrong_way(ask: Ask, tmp_path: Path) -> None:
    model = ScriptedModel(
        {
            "propositional": "Nothing.",
            "Python program": ["<code>\nprint(8)\n</code>", "<code>\nprint(7)\n</code>", "<code>\nprint(7)\n</code>"],
            "Solve": "Answer: 7",
        }
    )
    task = Task(question="What is 4 + 3?", gold="7", answer_type="number")
    for _ in range(3):
        await ask(model, "three_ways", task, tools=[python])
    items, tally = through([tmp_path / "traces"], "mixture_of_thought")
    found = {item.meta["mode"]: item for item in items if isinstance(item, Episode)}
    assert set(found) == {"language", "code"} and len(items) == 2
    code = found["code"].calls[-1].completion
    assert code is not None and "print(7)" in code.text
    assert tally.seen == 3
    assert len(through([tmp_path / "traces"], "mixture_of_thought", mix="one")[0]) == 1


def test_one_way_of_reasoning_is_no_mixture(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="--graph three_ways"):
        runs.through("mixture_of_thought")


# --- dots_plans ---


def test_the_plan_is_the_most_often_right_and_then_the_cheapest(runs: Runs) -> None:
    for trajectory, outcomes in (
        ("none/cot/none", ("correct", "wrong")),
        ("none/program/none", ("correct", "correct")),
        ("decompose/cot/none", ("correct", "tool_error")),
    ):
        for outcome in outcomes:
            runs.add("4", outcome, graph="planner", settings={"trajectory": trajectory})
    [row], _ = runs.through("dots_plans")
    assert last(row).endswith("Plan: decompose/cot/none")  # what nothing could judge is no failure
    assert "as often as none/program/none" in last(row)
    assert row.meta["arms"]["decompose/cot/none"]["judged"] == 1
    [row], _ = runs.through("dots_plans", tries=2)
    assert last(row).endswith("Plan: none/program/none")


def test_a_question_that_nothing_solved_has_no_plan(runs: Runs) -> None:
    for trajectory in ("none/cot/none", "none/program/none"):
        runs.add("5", "wrong", settings={"trajectory": trajectory})
    runs.add("4", "correct", task="t2", settings={"trajectory": "none/cot/none"})
    items, tally = runs.through("dots_plans")
    assert items == [] and tally.dropped == {"never solved": 2, "too few trajectories tried": 1}


def test_a_chosen_trajectory_counts_like_one_that_was_told(runs: Runs) -> None:
    gate: Event = ("gate", {"gate": "trajectory", "decision": "none/cot/verify", "inputs": {}})
    runs.add("4", "correct", settings={"trajectory": None}, events=[gate])
    runs.add("5", "wrong", settings={"trajectory": "none/cot/none"})
    [row], _ = runs.through("dots_plans")
    assert last(row).endswith("Plan: none/cot/verify")


def test_without_trajectories_the_command_is_named(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="maieutic plan"):
        runs.through("dots_plans")


# --- sim_rag_critic ---


def searched(
    runs: Runs, number: int, answers: list[str | None], outcome: str, task: str = "t1", context: str = ""
) -> None:
    run_id = f"r{number:03}"
    shown: tuple[Message, ...] = ({"role": "user", "content": f"2+2?\n\nPassages:\n{context or '(none)'}"},)
    calls = [call(run_id, f"c{i}", text=f"Because.\nAnswer: {a}", messages=shown) for i, a in enumerate(answers, 1)]
    gates: list[Event] = [
        ("gate", {"gate": "sufficiency", "decision": "search", "inputs": {"turn": i, "of": f"c{i}", "answer": a}})
        for i, a in enumerate(answers, 1)
    ]
    runs.add(answers[-1], outcome, calls=calls, events=gates, task=task, graph="sim_rag")


def test_every_turn_is_a_row_those_after_a_right_answer_too(runs: Runs) -> None:
    searched(runs, 0, ["3", "4", "5", "4"], "correct")
    items, _ = runs.through("sim_rag_critic", balance=False)
    assert [item.meta["label"] for item in items] == [0, 1, 0, 1]
    assert [last(item) for item in items][:2] == ["Sufficient: no", "Sufficient: yes"]


def test_wrong_turns_are_drawn_down_to_as_many_as_right_ones(runs: Runs) -> None:
    searched(runs, 0, ["3", "5", None, "4"], "correct")
    items, tally = runs.through("sim_rag_critic")
    assert sorted(item.meta["label"] for item in items) == [0, 1]
    assert tally.counts["turns_of_the_more_frequent_verdict_left_out"] == 2


def test_turns_of_which_nothing_is_known_are_left_out_and_not_called_wrong(runs: Runs) -> None:
    searched(runs, 0, ["4", "3"], "wrong")
    items, tally = runs.through("sim_rag_critic", balance=False)
    assert [item.meta["turn"] for item in items] == [2]
    assert tally.counts["turns_of_unknown_truth_left_out"] == 1
    searched(runs, 1, ["4"], "correct")
    assert len(runs.through("sim_rag_critic", balance=False)[0]) == 3


def test_what_is_judged_is_never_cut(runs: Runs) -> None:
    searched(runs, 0, ["4"], "correct", context="word " * 50_000)
    [row], _ = runs.through("sim_rag_critic", balance=False)
    asked = str(row.turns[1].message["content"])  # type: ignore[union-attr]
    assert asked.endswith("Because.\nAnswer: 4") and asked.startswith("2+2?") and len(asked) < 13_000


def test_training_and_test_differ_by_question(runs: Runs) -> None:
    for number in range(40):
        searched(runs, number, ["4", "5"], "wrong", task=f"t{number % 20}")
    parts = {}
    for split in ("train", "test"):
        items, _ = runs.through("sim_rag_critic", split=split, balance=False)
        parts[split] = {item.meta["question"] for item in items}
    assert not parts["train"] & parts["test"]
    assert len(parts["train"] | parts["test"]) == 20 and len(parts["test"]) < len(parts["train"])


def test_without_turns_the_setting_is_named(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="self_practice"):
        runs.through("sim_rag_critic")


# --- self_rag_critic ---


def graded(
    runs: Runs, isrel: str | None, issup: str | None, isuse: str | None, passage: str = "Owls\nThey fly."
) -> None:
    asked = f"Question:\n2+2?\n\nPassage:\n{passage}\n\nThe part:\nFour.\n\nRelevance (A or B)?\nReply with one letter."
    prompt: tuple[Message, ...] = ({"role": "system", "content": "You grade."}, {"role": "user", "content": asked})
    calls = [
        call("r000", "p", text="Four.\nAnswer: 4"),
        call("r000", "g", text="A", messages=prompt, after="p", how="judge", role="passage-grader"),
    ]
    labels: list[Event] = [
        ("label", {"of": "p", "name": name, "value": value, "shares": {value: 0.8} if value else None})
        for name, value in {"isrel": isrel, "issup": issup, "isuse": isuse}.items()
    ]
    runs.add("4", "correct", calls=calls, events=labels, answer_call="p")


def test_a_part_has_all_its_grades_in_one_reply(runs: Runs) -> None:
    graded(runs, "A", "B", "4")
    [row], _ = runs.through("self_rag_critic")
    assert last(row) == "Relevance: A\nSupport: B\nUse: 4"
    asked = str(row.turns[1].message["content"])  # type: ignore[union-attr]
    assert "The part:\nFour." in asked and "Relevance (A or B)?" not in asked
    assert runs.through("self_rag_critic", sure=0.9)[0] == []


def test_an_irrelevant_passage_gets_no_grade_of_support(runs: Runs) -> None:
    graded(runs, "B", "C", "1")
    [row], _ = runs.through("self_rag_critic")
    assert last(row) == "Relevance: B\nUse: 1"


@pytest.mark.parametrize("missing", [(None, "A", "1"), ("A", None, "1"), ("A", "A", None)])
def test_a_missing_grade_gives_no_row(runs: Runs, missing: tuple[str | None, ...]) -> None:
    graded(runs, *missing)  # pyright: ignore[reportArgumentType]
    items, tally = runs.through("self_rag_critic")
    assert items == [] and tally.counts["parts_with_a_missing_grade_left_out"] == 1


def test_without_a_passage_only_use_is_graded(runs: Runs) -> None:
    graded(runs, None, None, "5", passage="(none)")
    [row], _ = runs.through("self_rag_critic")
    assert last(row) == "Use: 5"


# --- self_rag_generator ---


def parted(runs: Runs, *parts: tuple[str, str, str | None, str | None, str | None], outcome: str = "correct") -> None:
    """A run whose answer has these parts: text, passage, and the grades of relevance, support and use."""
    calls: list[Any] = []
    events: list[Event] = [("tree", {"id": "root", "up": None, "call_id": None})]
    for i, (text, passage, *grades) in enumerate(parts):
        asked = f"Question:\n2+2?\n\nThe answer so far:\n…\n\nPassage:\n{passage}\n\nWrite the next part."
        calls.append(call("r", f"p{i}", text=text, messages=({"role": "user", "content": asked},), role="writer"))
        up = f"p{i - 1}" if i else "root"
        events.append(("tree", {"id": f"p{i}", "up": up, "call_id": f"p{i}", "terminal": i == len(parts) - 1}))
        for name, value in zip(("isrel", "issup", "isuse"), grades, strict=True):
            events.append(("label", {"of": f"p{i}", "name": name, "value": value}))
    lost = call(
        "r",
        "lost",
        text="Nine.\nAnswer: 9",
    )
    runs.add("4", outcome, calls=[lost, *calls], events=events, answer_call=f"p{len(parts) - 1}")


def test_the_generator_learns_text_and_reflection_but_no_passage(runs: Runs) -> None:
    owls = "Owls\nThey fly.\n\nAt night."
    parted(
        runs,
        ("Owls fly.", owls, "A", "A", "3"),
        ("At night.", owls, "A", "A", "4"),
        ("Sums are plain.", "(none)", None, None, "4"),
        ("So it is four.\nAnswer: 4", "Mice\nThey squeak.", "B", "C", "5"),
    )
    [row], tally = runs.through("self_rag_generator", unsupported=0)
    assert isinstance(row, Dialogue)
    learnt = [str(turn.message["content"]) for turn in row.turns if turn.learn]
    assert learnt == [
        "[Retrieval]",
        "[Relevant]\nOwls fly.\n[Fully supported]\n[Continue to Use Evidence]\nAt night.\n[Fully supported]\n"
        "[No Retrieval]\nSums are plain.\n[Retrieval]",
        "[Irrelevant]\nSo it is four.\nAnswer: 4\n[Utility:5]",
    ]
    assert {turn.message["role"] for turn in row.turns if turn.learn} == {"assistant"}
    shown = [turn.message["content"] for turn in row.turns if turn.author == "tool"]
    assert shown == [f"<paragraph>{owls}</paragraph>", "<paragraph>Mice\nThey squeak.</paragraph>"]
    assert tally.kept == 1


@pytest.mark.parametrize(
    ("part", "outcome", "reason"),
    [
        (("Four.\nAnswer: 4", "Owls", "A", "A", "5"), "wrong", "not right"),
        (("Four.\nAnswer: 4", "Owls", "A", None, "5"), "correct", "a grade or a passage is missing"),
        (("Four.\nAnswer: 4", "Owls", "A", "A", None), "correct", "a grade or a passage is missing"),
        (("Four.\nAnswer: 4", "Owls", "A", "B", "5"), "correct", "more with partial support than wanted"),
        (("Four.\nAnswer: 4", "Owls", "A", "C", "5"), "correct", "more without support than wanted"),
        (("Four.\nAnswer: 4", "(none)", None, None, "5"), "correct", "more without a passage than wanted"),
    ],
)
def test_answers_that_the_generator_is_not_to_learn(runs: Runs, part: Any, outcome: str, reason: str) -> None:
    parted(runs, part, outcome=outcome)
    items, tally = runs.through("self_rag_generator", partly=0, unsupported=0, plain=0)
    assert items == [] and dict(tally.dropped) == {reason: 1}
    if reason.startswith("more"):
        assert len(runs.through("self_rag_generator", partly=1, unsupported=1, plain=1)[0]) == 1


def test_the_generator_says_what_to_collect(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="collect with --graph self_rag"):
        runs.through("self_rag_generator")


# --- sim_rag_queries ---


def queried(runs: Runs, *turns: tuple[str, str | None], state: str = "Find out.") -> None:
    """A run whose turns are (answer, the query before it)."""
    calls: list[Any] = []
    events: list[Event] = []
    for i, (answer, query) in enumerate(turns):
        after = None
        if query is not None:
            asked: tuple[Message, ...] = ({"role": "user", "content": f"{state} {i}"},)
            after = f"q{i}"
            calls.append(call("r", after, text=f'{{"query": "{query}"}}', messages=asked, role="query-writer"))
            events.append(("note", {"call_id": after, "query": query, "read": True}))
        calls.append(call("r", f"a{i}", text=f"Answer: {answer}", after=after))
        inputs = {"of": f"a{i}", "turn": i + 1, "answer": answer, "abstained": answer == "unknown"}
        events.append(("gate", {"gate": "sufficiency", "decision": "search", "inputs": inputs}))
    last = turns[-1][0]
    outcome = "correct" if last == "4" else "wrong"
    runs.add(last, outcome, calls=calls, events=events, answer_call=f"a{len(turns) - 1}")


def test_a_query_that_brought_the_answer_stands_above_one_that_did_not(runs: Runs) -> None:
    queried(runs, ("unknown", None), ("4", "sum of twos"), ("4", "needless"))
    queried(runs, ("5", None), ("6", "owls"))
    [pair], tally = runs.through("sim_rag_queries")
    assert isinstance(pair, Pair)
    assert "sum of twos" in str(pair.chosen.message["content"]) and "owls" in str(pair.rejected.message["content"])
    assert pair.prompt[-1]["content"] == "Find out. 1" and pair.meta == {"group": "t1/g"}
    assert tally.kept == 2
    [good], _ = runs.through("sim_rag_queries", rows="good")
    assert isinstance(good, Dialogue) and good.meta["query"] == "sum of twos"
    assert [turn.learn for turn in good.turns] == [False, True]


def test_queries_of_other_states_and_of_two_minds_are_no_pairs(runs: Runs) -> None:
    queried(runs, ("5", None), ("4", "twos"))
    queried(runs, ("5", None), ("6", "owls"), state="Another state.")
    queried(runs, ("5", None), ("6", "Twos"))
    items, tally = runs.through("sim_rag_queries")
    assert items == [] and tally.counts["queries_once_good_and_once_bad_left_out"] == 2
    assert runs.through("sim_rag_queries", rows="good")[0] == []


def test_without_a_search_no_query_can_be_judged(runs: Runs) -> None:
    queried(runs, ("4", None))
    with pytest.raises(UserError, match="collect --graph sim_rag"):
        runs.through("sim_rag_queries")
