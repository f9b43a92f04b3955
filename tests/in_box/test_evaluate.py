"""Evaluation and card: what is counted is what is said, and the card shows it with n and interval."""

import json
import random
import shutil
from pathlib import Path

import pytest

from maieutic.in_box.card import card
from maieutic.in_box.drafts import review
from maieutic.in_box.errands import WAYS
from maieutic.in_box.evaluate import (
    Report,
    calculate,
    critic_rates,
    level_rates,
    look_up_rates,
    questions,
    refusal_rates,
    right,
)
from maieutic.in_box.families import Level, work
from maieutic.in_box.outside import REFUSAL
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.llm.scripted import ScriptedModel
from maieutic.stats import wilson
from maieutic.tasks.split import split_of
from maieutic.types import Completion, Request, ToolCall

pytest.importorskip("reasoning_gym")

LEVEL = Level("chain_sum", 3, 2)


def test_questions_are_different_and_of_their_split() -> None:
    problems = questions(LEVEL, "test", 60, seed=1)
    assert len({p.question for p in problems}) == 60
    assert {split_of(p.question) for p in problems} == {"test"}
    assert 0 < len(questions(Level("products", 2, 1), "test", 60, seed=1)) < 20


def test_the_last_line_alone_decides() -> None:
    problem = questions(LEVEL, "dev", 1, seed=2)[0]
    assert right("\n".join(work(problem)), problem)
    assert right(f"nonsense\nAnswer: {problem.answer}\n", problem)
    assert not right(f"Answer: {problem.answer}\nand so on", problem)
    assert not right(problem.answer, problem)


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ('{"code": "print(4 - 13 * 2 + -1)"}', "-23"),
        ('{"code": "print(4 +)"}', "SyntaxError: invalid syntax"),
        ('{"code": "__import__(1)"}', "SyntaxError: invalid syntax"),
        ('{"code": "print(open(1))"}', "SyntaxError: invalid syntax"),
        ('{"program": "print(1)"}', "SyntaxError: invalid syntax"),
        ("{", "SyntaxError: invalid syntax"),
    ],
)
def test_the_calculator_prints_sums_and_nothing_else(arguments: str, printed: str) -> None:
    assert calculate(arguments) == printed


async def test_a_perfect_solver_is_perfect_and_a_lazy_one_is_not() -> None:
    problems = questions(LEVEL, "dev", 20, seed=3)
    answers = {p.question: "\n".join(work(p)) for p in problems}

    def solve(request: Request) -> str:
        return answers[str(request.messages[-1]["content"])]

    marks = await level_rates(ScriptedModel(solve), problems, seed=0)
    assert {name: sum(found) for name, found in marks.items()} == {"greedy": 20, "T = 1": 20, "tool": 20}
    marks = await level_rates(ScriptedModel("Answer: 1000"), problems, seed=0)
    assert not any(any(found) for found in marks.values())


def test_the_critic_is_held_to_the_lines() -> None:
    problem = questions(LEVEL, "dev", 1, seed=4)[0]
    good = "\n".join(work(problem))
    bad = good.replace("\nAnswer: ", "\nAnswer: 9")
    place = len(work(problem))
    pairs = [(problem, good), (problem, good), (problem, bad), (problem, bad)]
    assert review(bad.split("\n"), problem).endswith(f"First wrong step: {place}")
    verdicts = ["First wrong step: none", "First wrong step: 1", f"First wrong step: {place}", "First wrong step: 1"]
    marks = {name.split(" (")[0]: found for name, found in critic_rates(pairs, verdicts).items()}
    assert marks["critic: flagged solutions that are wrong"] == [False, True, True]
    assert marks["critic: wrong solutions flagged"] == [True, True]
    assert marks["critic: wrong solutions flagged at the first wrong step"] == [True, False]
    assert marks["critic: right solutions accepted"] == [True, False]


async def test_refusals_are_counted_apart_for_strangers_and_for_its_own() -> None:
    marks = await refusal_rates(ScriptedModel(REFUSAL), "test", 30, seed=5)
    assert [len(found) for found in marks.values()] == [30, 30, 30]
    assert all(all(found) for found in marks.values())


async def test_a_look_up_counts_by_what_was_asked_and_by_what_came_of_it() -> None:
    problems = {p.question: p for size in (1, 2, 3, 4) for p in questions(Level("prices", size, 9), "dev", 3, seed=7)}

    def look_up(request: Request) -> Completion:
        problem = problems[str(request.messages[1]["content"])]
        if request.messages[-1]["role"] == "tool":
            return Completion(f"Answer: {problem.answer if len(problem.terms) < 3 else 0}")
        way = WAYS[request.tools[0].name](problem, random.Random(0))
        asked = str(way[1]["tool_calls"][0]["function"]["arguments"])
        asked = asked.replace(problem.terms[0].thing, "gold") if len(problem.terms) == 2 else asked
        return Completion("", (ToolCall("1", request.tools[0].name, asked),))

    marks = await look_up_rates(ScriptedModel(look_up), "dev", 3, seed=5)
    for tool in ("sql", "retrieve"):
        rates = [(f"{tool}, {n} good{'s' * (n > 1)}: ", n) for n in (1, 2, 3, 4)]
        assert [all(marks[f"{name}asked rightly"]) for name, _ in rates] == [True, False, True, True]
        assert [any(marks[f"{name}answered rightly"]) for name, _ in rates] == [True, False, False, False]


def test_the_card_shows_every_figure_with_its_n(tmp_path: Path) -> None:
    shutil.copyfile(WEIGHTS / "config.json", tmp_path / "config.json")
    report = Report(
        {"chain_sum 3t2d": {mode: wilson(30, 40) for mode in ("greedy", "T = 1", "tool")}},
        {"chain_sum 3t2d": {"critic: recall": wilson(3, 7)}},
        {"refused: strangers": wilson(9, 10)},
        {"sql, 1 good: asked rightly": wilson(4, 5)},
    )
    progress = {"seconds": 5400, "steps": 100, "tokens": 20_000_000, "learnt": 9_000_000}
    text = card(report, tmp_path, progress, {"solve": 48.0, "tool": 12.0}, 40)
    assert f"| chain_sum 3t2d | 40 | {wilson(30, 40).percent()} |" in text
    assert f"| critic: recall | 7 | {wilson(3, 7).percent()} |" in text
    assert f"| sql, 1 good: asked rightly | 5 | {wilson(4, 5).percent()} |" in text
    assert f"| refused: strangers | 10 | {wilson(9, 10).percent()} |" in text
    assert "20,000,000 tokens" in text and "90 minutes" in text and "solve 48, tool 12" in text


def test_the_card_counts_the_parameters_that_ship(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(WEIGHTS / "model.safetensors", "np") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
    count = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes)
    shutil.copyfile(WEIGHTS / "config.json", tmp_path / "config.json")
    progress = {"seconds": 60, "steps": 1, "tokens": 1, "learnt": 1}
    assert f"{count:,} parameters" in card(Report(), tmp_path, progress, {}, 1)
    assert json.loads((WEIGHTS / "config.json").read_text())["tie_word_embeddings"]
