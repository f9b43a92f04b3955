"""Leaks of a named set: its template's other questions are none, and its own are found however they are dressed."""

import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from maieutic.gate.benchmark import Benchmark
from maieutic.gate.contamination import ByMeaning, ByWords
from maieutic.gate.gate import gate
from maieutic.gate.rules import Rules
from maieutic.gate.sample import Sample, sample_of
from maieutic.gate.words import facts, words
from maieutic.tasks.source import load_tasks
from maieutic.tools.retrieval.hashed import Hashed

SOURCES = (
    "env:rg/chain_sum?min_terms=2&max_terms=4&min_digits=1&max_digits=2",
    "env:rg/leg_counting?min_animals=3&max_animals=5",
    "env:rg/gsm_symbolic?",
    "env:rg/syllogism?",
    "env:knights?level=2",
    "env:saturn?",
    "env:dyck?",
    "env:text_to_sql?",
)
OTHER_WORDS = {
    "the": "this",
    "how": "just how",
    "many": "many a",
    "is": "was",
    "given": "presented with",
    "these": "the",
}
ARTICLE = (
    "The harbour was rebuilt in 1894, after the flood, and 31 ships lay there when the war began. Nobody in town "
    "remembers who paid for it. The mayor wrote that a bridge costs more than a ferry, and was right in the end. "
)


@cache
def questions(source: str, split: str, n: int = 0) -> tuple[str, ...]:
    """60 held-out ones and 100 to train on; more of an environment with a hundred templates, so each has siblings."""
    n = n or {"test": 60, "train": 100}[split] * (3 if "gsm" in source else 1)
    return tuple(task.question for task in load_tasks(f"{source}&n={n}&split={split}&seed=3").tasks)


def asking(question: str) -> Sample:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": "Answer: 2"}]
    return sample_of({"messages": said}, "x:1")


def against(source: str, learnt: tuple[str, ...] = ()) -> ByWords:
    made = Benchmark("held-out", source, list(questions(source, "test")))
    for question in learnt:
        made.learn(words(question))
    made.settle()
    return ByWords([made])


def reworded(question: str) -> str:
    return re.sub(r"\b[a-z]+\b", lambda match: OTHER_WORDS.get(match[0], match[0]), question)


DRESSED: dict[str, Callable[[str], str]] = {
    "exact": lambda question: question,
    "in capitals, spaced": lambda question: re.sub(r"\s+", "  ", question.upper()),
    "between others' words": lambda question: f"Task 17 of 20.\n\n{question}\n\nThink before you write anything.",
    "quoted in a text": lambda question: f"{ARTICLE}Somebody asked: {question} {ARTICLE}",
    "re-worded": reworded,
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_disjoint_split_of_the_same_template_stays(source: str) -> None:
    rows = questions(source, "train")
    looker = against(source, rows)
    dropped = [question for question in rows if looker(asking(question))]
    assert len(dropped) <= 0.04 * len(rows), dropped[:2]


@pytest.mark.parametrize("dress", DRESSED)
@pytest.mark.parametrize("source", SOURCES)
def test_a_question_of_the_set_is_found_in_any_dress(source: str, dress: str) -> None:
    rows = questions(source, "train")
    looker = against(source, rows)
    leaks = [DRESSED[dress](question) for question in questions(source, "test")]
    found = sum(looker(asking(leak)) is not None for leak in leaks)
    assert found >= (0.9 if dress == "re-worded" else 0.95) * len(leaks)


def test_leaks_in_many_dresses_are_not_taken_for_a_template() -> None:
    source = SOURCES[1]
    leak = questions(source, "test")[0]
    rows = tuple(f"Task {number}. {leak} Round {number % 7}." for number in range(50))
    looker = against(source, rows)
    assert all(looker(asking(row)) for row in rows)


def test_one_question_alone_is_known_for_a_templates_by_the_rows() -> None:
    def kids(girls: int) -> str:
        return f"There are {girls} girls in the park, and twice that number of boys. How many kids are in the park?"

    question, asked, siblings = questions(SOURCES[2], "test")[0], kids(6), [kids(girls) for girls in (7, 9, 11, 13, 15)]
    alone = Benchmark("b", "b", [asked, question])
    alone.settle()
    assert ByWords([alone])(asking(siblings[0])), "nothing tells that others differ from it in a number only"
    told = Benchmark("b", "b", [asked, question])
    for sibling in siblings:
        told.learn(words(sibling))
    told.settle()
    assert [bool(ByWords([told])(asking(one))) for one in (asked, *siblings)] == [True, *[False] * 5]


def test_a_longer_list_or_sum_is_another_question() -> None:
    made = Benchmark(
        "b", "b", [f"State the final answer to this arithmetic problem now: {n} + {n % 9} =" for n in range(20)]
    )
    made.settle()
    looker = ByWords([made])
    ask = "State the final answer to this arithmetic problem now: "
    assert looker(asking(f"{ask}12 + 3 ="))
    assert not looker(asking(f"{ask}12 + 3 - 4 =")) and not looker(asking(f"{ask}5 + 12 + 3 ="))


def test_by_meaning_a_template_is_no_leak_and_its_question_is() -> None:
    source = SOURCES[4]
    made = Benchmark("b", source, list(questions(source, "test")))
    rows = questions(source, "train")
    for row in rows:
        made.learn(words(row))
    made.settle()
    looker = ByMeaning([made], Hashed(), 0.8)
    assert sum(looker(asking(row)) is not None for row in rows) <= 4
    assert all(looker(asking(question)) for question in questions(source, "test"))


def test_what_is_drawn_with_signs_is_content() -> None:
    board = "Which cells hold a mine?\n? ? 2 1\n? 1 ? ?\nRows count from 1."
    other = "Which cells hold a mine?\n2 ? ? 1\n1 ? ? ?\nRows count from 1."
    assert words(board) != words(other) and facts(board) != facts(other)
    assert words(board.replace("\n", "   ")) == words(board)
    assert words("!AB & C") != words("AB & C") and words("[ ( ] )") != words("( [ ) ]")
    assert words("The end, (really?)") == words("the end really")


def test_the_gate_learns_from_the_rows_and_says_how_many_are_a_templates(tmp_path: Path) -> None:
    source = SOURCES[1]
    rows = [*questions(source, "train"), *random.Random(0).sample(questions(source, "test"), 5)]
    file = tmp_path / "rows.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": row}, {"role": "assistant", "content": f"{n}"}]}
        for n, row in enumerate(rows)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    held = f"{source}&n=60&split=test&seed=3"
    report = gate([file], tmp_path / "out.jsonl", Rules(against=(("held-out", held),)))
    assert (report.rows_out, dict(report.dropped)) == (100, {"contaminated": 5})
    assert report.against[0]["questions_of_a_template"] == 60
