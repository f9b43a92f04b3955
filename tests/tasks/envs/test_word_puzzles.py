"""Puzzles in words: what SynLogic's verifiers got wrong is told apart here, and every puzzle has its one solution."""

import json
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.tasks.envs import boolean_expressions as facts
from maieutic.tasks.envs.cryptarithm import solutions
from maieutic.tasks.envs.dyck import first_mistake
from maieutic.tasks.envs.web_of_lies import models
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome


def drawn(source: str, seed: int = 0) -> Task:
    return load_tasks(f"env:{source}{'&' if '?' in source else '?'}n=1&seed={seed}").tasks[0]


def outcome(task: Task, answer: str) -> Outcome:
    return verify(task, f"Answer: {answer}").outcome


# web of lies


def test_a_liar_who_says_that_at_least_one_is_honest_says_that_both_lie() -> None:
    """The released English text lets "at least one of them lies" stand for the opposite, which it is not."""
    assert models([["lies", 0], ["honest", 1]]) == 0  # who says "I lie" is neither
    claims = [["some", 1, 2], ["lies", 0], ["honest", 0]]
    assert models(claims) == 1 << 0b101  # by the released reading 0, a liar, with 1 honest and 2 not would be another


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_of_all_answers_about_the_people_asked_one_is_right(seed: int) -> None:
    task = drawn("web_of_lies?level=2", seed)
    right = [said for said in product(("yes", "no"), repeat=3) if outcome(task, ", ".join(said)) is Outcome.CORRECT]
    assert [", ".join(said) for said in right] == [task.gold]
    assert outcome(task, str(task.gold) + ", yes") is not Outcome.CORRECT


# cryptarithm


@pytest.fixture
def sum_task() -> Task:
    instance = {"words": ["AA", "KK", "KKO"], "signs": ["+"]}
    return Task(question="?", gold="99 + 11 = 110", verifier="cryptarithm", metadata={"instance": instance})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("99 + 11 = 110", Outcome.CORRECT), ("99+11=110", Outcome.CORRECT), ("88 + 22 = 110", Outcome.WRONG),
     ("11 + 99 = 110", Outcome.WRONG), ("99 + 11 = 111", Outcome.WRONG), ("9 + 101 = 110", Outcome.WRONG),
     ("99 - 11 = 110", Outcome.WRONG), ("00 + 00 = 000", Outcome.WRONG), ("AA + KK = KKO", Outcome.FORMAT_ERROR),
     ("A=9, K=1, O=0", Outcome.FORMAT_ERROR), ("99 + 11", Outcome.FORMAT_ERROR)],
)  # fmt: skip
def test_an_equation_fits_the_letters_and_comes_out(sum_task: Task, answer: str, expected: Outcome) -> None:
    assert outcome(sum_task, answer) is expected


def test_solutions_of_a_cryptarithm_are_all_of_them() -> None:
    assert solutions(["SEND", "MORE", "MONEY"], ["+"], 10) == [
        {"S": 9, "E": 5, "N": 6, "D": 7, "M": 1, "O": 0, "R": 8, "Y": 2}
    ]
    by_hand = {(a, b) for a, b in permutations(range(10), 2) if a and b and a + b == 9}
    assert {(s["A"], s["B"]) for s in solutions(["A", "B", "C"], ["+"], 1000) if s["C"] == 9} >= by_hand


# boolean expressions


def test_no_fact_is_on_both_lists_and_none_is_the_great_wall() -> None:
    texts = [*facts.TRUE_FACTS, *facts.FALSE_FACTS]
    assert len(set(texts)) == len(texts) and not any("Great Wall" in text for text in texts)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_the_letters_of_the_gold_are_the_expressions_that_are_true(seed: int, level: int) -> None:
    task = drawn(f"boolean_expressions?level={level}", seed)
    true = []
    for line in task.question.splitlines():
        if line[1:3] == ". ":
            text = line[3:]
            for fact in sorted((*facts.TRUE_FACTS, *facts.FALSE_FACTS), key=len, reverse=True):
                text = text.replace(fact, str(fact in facts.TRUE_FACTS))
            if eval(text.replace(" = ", " == ")):
                true.append(line[0])
    assert true == str(task.gold).split(", ")
    assert outcome(task, " and ".join(reversed(true))) is Outcome.CORRECT
    other = "A" if "A" not in true else "B" if "B" not in true else "A, Z"
    assert outcome(task, other) is Outcome.WRONG


# goods exchange


def test_the_whole_mapping_counts() -> None:
    task = drawn("goods_exchange?people=4")
    gold: dict[str, str] = json.loads(json.dumps(task.gold))
    names = list(gold)
    swapped = {**gold, names[0]: gold[names[1]], names[1]: gold[names[0]]}
    assert outcome(task, json.dumps(swapped)) is Outcome.WRONG
    assert outcome(task, json.dumps({n.upper(): f"the {t}" for n, t in gold.items()})) is Outcome.CORRECT
    assert outcome(task, json.dumps({names[0]: gold[names[0]]})) is Outcome.FORMAT_ERROR
    assert outcome(task, json.dumps({**gold, "Nobody": "lamp"})) is Outcome.FORMAT_ERROR
    assert outcome(task, json.dumps(list(gold.values()))) is Outcome.FORMAT_ERROR
    assert outcome(task, json.dumps({**gold, names[0]: 3})) is Outcome.WRONG


# brackets


@pytest.mark.parametrize(
    ("sequence", "place"), [("()", 0), ("(]", 2), (")", 1), ("([)]", 3), ("(())", 0), ("())(", 3), ("((", 0)]
)
def test_the_first_mistake(sequence: str, place: int) -> None:
    assert first_mistake(sequence) == place


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_what_is_added_closes_everything_and_nothing_else_does(seed: int, level: int) -> None:
    task = drawn(f"dyck/complete?level={level}", seed)
    sequence = task.question.split("\n\n")[1].replace(" ", "")
    gold = str(task.gold).replace(" ", "")
    assert first_mistake(sequence + gold) == 0 and sequence.count("") - 1 + len(gold) == 2 * sum(
        bracket in "([<«" for bracket in sequence
    )
    assert outcome(task, f"`{gold}`") is Outcome.CORRECT
    assert outcome(task, gold[:-1] + "(") is outcome(task, gold + ")") is Outcome.WRONG
    assert outcome(task, f"then {gold}") is Outcome.FORMAT_ERROR


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_place_asked_for_is_the_first_mistake(seed: int, level: int) -> None:
    task = drawn(f"dyck/error?level={level}", seed)
    sequence = task.question.split("\n\n")[1].replace(" ", "")
    assert first_mistake(sequence) == int(str(task.gold))
    assert outcome(task, str(int(str(task.gold)) + 1)) is Outcome.WRONG
    assert int(str(task.gold)) or sum(1 if bracket in "([<«" else -1 for bracket in sequence) == 0


# words


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_words_are_sorted_and_a_mistake_is_where_it_is_said_to_be(seed: int) -> None:
    task = drawn("word_sorting", seed)
    words = str(task.gold).split(", ")
    assert words == sorted(words) and outcome(task, ", ".join([words[1], words[0], *words[2:]])) is Outcome.WRONG
    task = drawn("word_sorting/mistake?words=8", seed)
    before: list[str] = []
    wrong = []
    for line in task.question.splitlines():
        number, dot, rest = line.partition(". insert ")
        if dot:
            word, _, listed = rest.partition(": ")
            now = listed.split(", ")
            place = next((at for at, other in enumerate(before) if other > word), len(before))
            if now != [*before[:place], word, *before[place:]]:
                wrong.append(number)
            before = now
    assert (wrong or ["0"]) == [task.gold]


# operations


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_the_gold_is_what_the_definitions_say(seed: int, level: int) -> None:
    task = drawn(f"operation?level={level}", seed)

    lines = [line for line in task.question.splitlines() if line.startswith("a ")]
    rules = {line[2]: line.partition(" = ")[2] for line in lines}
    text = task.question.partition("Work out ")[2].partition(".\n")[0]

    def worth(text: str) -> int:
        depth, at = 0, None
        for place, sign in enumerate(text):
            depth += (sign == "(") - (sign == ")")
            if depth == 0 and sign in rules:
                at = place
        if at is None:
            return worth(text[1:-1]) if text.startswith("(") else int(text)
        a, b = worth(text[:at].strip()), worth(text[at + 1 :].strip())
        rule = rules[text[at]].replace(", otherwise ", " else ")
        return int(eval(rule, {}, {"a": a, "b": b}))

    assert worth(text) == int(str(task.gold))
