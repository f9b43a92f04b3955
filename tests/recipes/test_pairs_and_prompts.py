"""Recipes over groups of verified runs: who is paired with whom, which prompts are taken, and what is dropped why."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import ConfigError, UserError
from maieutic.recipes.items import Dialogue, Episode, Judged, Pair, Prompt
from maieutic.recipes.recipe import find_recipe
from maieutic.recipes.relift import is_hardest
from maieutic.recipes.weak_to_strong import decide
from maieutic.types import Completion, Message, Outcome
from tests.recipes.runs import Runs
from tests.trace.builders import call

QUESTION: Message = {"role": "user", "content": "2+2?"}


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    yield Runs(tmp_path)


@pytest.mark.parametrize(
    "recipe",
    [
        "trpa",
        "rise_verify",
        "relift",
        "edge_of_ability",
        "select_variance",
        "step_dpo",
        "debate_pairs",
        "orca2",
        "re_rest",
        "agent_r",
        "o1_journey",
        "exact_linear",
        "step_labels",
        "mem1",
        "restart_explore",
        "mixture_of_thought",
        "dots_plans",
        "sim_rag_critic",
        "sim_rag_queries",
        "self_rag_critic",
        "self_rag_generator",
        "lemma",
        "critique_data",
        "rise_edit",
        "supercorrect",
        "persona",
        "poda",
        "trace_codegen",
        "leap_t",
    ],
)
def test_without_verdicts_a_recipe_says_what_it_needs(runs: Runs, recipe: str) -> None:
    runs.add("4", None)
    with pytest.raises(UserError, match="needs verified runs"):
        runs.through(recipe)


def test_gold_and_oracles_are_left_out(runs: Runs) -> None:
    runs.add("4", "correct", oracle=True)
    runs.add("4", "correct", calls=[call("r001", "a", gold_in_context=True)])
    items, tally = runs.through("edge_of_ability", least=1)
    assert items == []
    assert tally.dropped == {"run with an oracle": 1, "gold in context": 1}


def test_trpa_pairs_across_levels_only(runs: Runs) -> None:
    for answer, outcome in (("4", "correct"), ("5", "wrong"), (None, "unparsed"), ("6", "wrong")):
        runs.add(answer, outcome)
    items, _ = runs.through("trpa")
    levels = [(i.meta["level_chosen"], i.meta["level_rejected"]) for i in items if isinstance(i, Pair)]
    assert len(items) == 5
    assert all(above < below for above, below in levels)
    assert levels[0] == (1, 3)


def test_rise_rows_carry_the_outcomes_own_score_and_are_balanced(runs: Runs) -> None:
    for answer, outcome in (("4", "correct"), ("4", "correct"), ("5", "wrong"), (None, "unparsed")):
        runs.add(answer, outcome)
    items, tally = runs.through("rise_verify")
    said = sorted(str(i.turns[-1].message["content"]).rsplit("{", 1)[1] for i in items if isinstance(i, Dialogue))
    assert said == ["-0.5}", "-1.0}", "1.0}"]
    assert tally.dropped == {"more than the rarest score": 1}
    assert [turn.learn for turn in items[0].turns] == [False, True]  # type: ignore[union-attr]
    assert "2+2?" in str(items[0].turns[0].message["content"])  # type: ignore[union-attr]
    assert len(runs.through("rise_verify", balance=False)[0]) == 4


@pytest.mark.parametrize(
    ("outcomes", "hardest"),
    [
        (["wrong"] * 8, True),
        (["wrong"] * 7 + ["format_error"], False),
        (["wrong"] * 7 + ["unparsed"], False),
        (["wrong"] * 7 + ["correct"], False),
        ([], False),
    ],
)
def test_the_hardest_are_well_formed_and_wrong(outcomes: list[str], hardest: bool) -> None:
    assert is_hardest([Outcome(outcome) for outcome in outcomes]) is hardest


def test_relift_takes_the_newest_hardest(runs: Runs) -> None:
    for task in ("t1", "t2", "t3"):
        for _ in range(2):
            runs.add("5", "wrong", task=task)
    runs.add("4", "correct", task="t3")
    items, _ = runs.through("relift", least=2, newest=1)
    assert [item.task["id"] for item in items if isinstance(item, Prompt)] == ["t2"]
    assert runs.through("relift")[0] == []


@pytest.mark.parametrize(
    ("agrees", "confidence", "minority", "decision"),
    [
        (True, 0.5, True, "skip"),
        (True, 0.7, True, "weak chosen"),
        (False, 0.7, True, "skip"),
        (False, 0.8, True, "weak rejected"),
        (True, 1.0, False, "skip"),
    ],
)
def test_weak_to_strong_decisions(agrees: bool, confidence: float, minority: bool, decision: str) -> None:
    assert decide(agrees, confidence, minority) == decision


def test_weak_to_strong_needs_no_gold(runs: Runs) -> None:
    runs.add("4", None, models=("small",))
    for answer in ("4",) * 7 + ("5",) * 3:
        runs.add(answer, None, models=("large",))
    items, _ = runs.through("weak_to_strong", weak="small")
    [pair] = items
    assert isinstance(pair, Pair)
    assert (pair.chosen.message["content"], pair.rejected.message["content"]) == ("So.\nAnswer: 4", "So.\nAnswer: 5")
    assert pair.meta == {"confidence": 0.7}
    assert len(runs.through("weak_to_strong", weak="small", agree=True)[0]) == 2
    with pytest.raises(UserError, match="--set weak=NAME"):
        runs.through("weak_to_strong")


def test_edge_of_ability(runs: Runs) -> None:
    for task, outcomes in (
        ("t1", ["correct", "wrong"]),
        ("t2", ["correct"] * 2),
        ("t3", ["wrong"] * 2),
        ("t4", ["wrong"]),
    ):
        for outcome in outcomes:
            runs.add("4", outcome, task=task)
    items, tally = runs.through("edge_of_ability")
    assert [(i.task["id"], i.meta["solved"]) for i in items if isinstance(i, Prompt)] == [("t1", 0.5)]
    assert tally.dropped == {"always solved": 2, "never solved": 2, "fewer than 2 attempts": 1}


def test_variance_over_versions_of_the_weights(runs: Runs) -> None:
    def at(weights: str, run: str) -> list[Any]:
        made = call(run, "a", text="Answer: 4")
        said = made.completion
        assert isinstance(said, Completion)
        return [type(made)(**{**_fields(made), "completion": Completion(**{**_fields(said), "weights": weights})})]

    number = count()
    for task, by_version in (("t1", ("wrong", "correct")), ("t2", ("correct", "correct"))):
        for version, outcome in zip(("v1", "v2"), by_version, strict=True):
            runs.add("4", outcome, task=task, calls=at(version, f"r{next(number):03}"))
    items, _ = runs.through("select_variance")
    assert [(i.task["id"], i.meta["history"]) for i in items if isinstance(i, Prompt)] == [("t1", [0.0, 1.0])]


def test_one_version_has_no_history(runs: Runs) -> None:
    runs.add("4", "correct")
    with pytest.raises(UserError, match="two versions"):
        runs.through("select_variance")


def test_step_pairs_share_their_prompt_to_the_token(runs: Runs) -> None:
    runs.add("4", "correct", calls=[call("r000", "a", (1, 2), text="Answer: 4")])
    runs.add("5", "wrong", calls=[call("r001", "a", (1, 2), text="Answer: 5")])
    runs.add("6", "wrong", calls=[call("r002", "a", (1, 3), text="Answer: 6")])
    [pair], tally = runs.through("step_dpo")
    assert isinstance(pair, Pair)
    assert pair.runs == ("r000", "r001")
    assert pair.chosen.call is not None
    assert tally.dropped == {"no sibling that fared otherwise": 1}


def test_who_was_talked_out_of_a_right_answer_is_unwanted(runs: Runs) -> None:
    asked: tuple[Message, ...] = (QUESTION, {"role": "user", "content": "Read the others."})
    made = [
        call("r000", "a", text="Answer: 4"),
        call("r000", "b", text="Answer: 5"),
        call("r000", "c", text="Answer: 5", after="a", messages=asked, role="debater"),
        call("r000", "d", text="Answer: 4", after="b", messages=asked, role="debater"),
    ]
    runs.add("4", "correct", calls=made)
    items, _ = runs.through("debate_pairs")
    found = [(i.meta["before"], i.meta["after"], i.good) for i in items if isinstance(i, Judged)]
    assert found == [("right", "wrong", False), ("wrong", "right", True)]


def test_hindsight_learns_the_answers_and_not_the_words_that_name_them(runs: Runs) -> None:
    runs.add("4", "correct")
    runs.add("5", "wrong")
    [row], _ = runs.through("chain_of_hindsight")
    assert isinstance(row, Dialogue)
    assert [turn.learn for turn in row.turns] == [False, True, False, True]
    said = {str(t.message["content"])[-1] for t in row.turns if t.learn}
    assert said == {"4", "5"}
    named = [str(turn.message["content"]) for turn in row.turns if not turn.learn]
    assert named[0].startswith("2+2?") and {named[0][-15:], named[1][-15:]} == {"a right answer.", "a wrong answer."}


def test_the_cheapest_strategy_is_kept_without_its_instructions(runs: Runs) -> None:
    told: tuple[Message, ...] = ({"role": "system", "content": "Use the secret strategy."}, QUESTION)
    runs.add("4", "correct", graph="debate", calls=[call("r000", "a", text="Answer: 4", messages=told)])
    runs.add("4", "correct", graph="direct", calls=[call("r001", "a", text="The result is four", messages=told)])
    [row], tally = runs.through("orca2")
    assert isinstance(row, Dialogue)
    assert row.meta["strategy"] == "debate"
    assert "secret" not in str([turn.message for turn in row.turns])
    assert tally.dropped == {"not right, or unreadable without its instructions": 1}


def test_a_reflected_success_is_stored_without_the_failure(runs: Runs) -> None:
    again: tuple[Message, ...] = ({"role": "user", "content": "2+2? You said 5, and the check failed."},)
    made = [
        call("r000", "a", text="Answer: 5", role="solver"),
        call("r000", "b", text="Answer: 4", after="a", how="reflection", messages=again, role="reviser"),
    ]
    runs.add("4", "correct", calls=made)
    runs.add("4", "correct")
    items, _ = runs.through("re_rest")
    agent, reflector, plain = items
    assert isinstance(agent, Dialogue) and isinstance(reflector, Episode) and isinstance(plain, Episode)
    assert [turn.message["content"] for turn in agent.turns] == ["2+2?", "Answer: 4"]
    assert "You said 5" in str(reflector.calls[0].request.messages)
    assert (reflector.meta["row"], plain.meta["reflected"]) == ("reflector", False)
    assert len(runs.through("re_rest", rows="reflector")[0]) == 1


def test_a_setting_that_is_not_there(runs: Runs) -> None:
    with pytest.raises(ConfigError, match="no setting 'lest'"):
        find_recipe("relift", {"lest": 3})
    with pytest.raises(ConfigError, match="'least'"):
        find_recipe("relift", {"least": "many"})


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
