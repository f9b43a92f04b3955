import random
import time

import pytest

from maieutic.tasks.extraction import _LINE, _marks, extract, without_thoughts


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so 2 + 3 = 5\nAnswer: 5", "5"),
        ("**Answer:** 5", "5"),
        ("**Answer**: 5", "5"),
        ("**Answer: 5**", "5"),
        ("### Final Answer: 5", "5"),
        ("> the final answer is: 5", "5"),
        ("- Answer: `5`", "5"),
        ("12 + 3 = 15. Answer: 15", "15"),
        ("Answer：５", "５"),
        ("Answer: 5\r\nbye", "5"),
        ("Answer:\n\n42\nbecause", "42"),
        (r"\boxed{5}", "5"),
        (r"\boxed {\frac{3}{4}}", r"\frac{3}{4}"),
        (r"\fbox{5}", "5"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{1, 2\right.}", r"\left\{1, 2\right."),
        (r"\boxed{x = \boxed{5}}", r"x = \boxed{5}"),
        (r"Answer: \boxed{5}.", "5"),
        (r"a set {1, 2 and a } then \boxed{5}", "5"),
        ("<answer> 5 </answer>", "5"),
        (r"<answer>x is \boxed{5}</answer>", "5"),
        ("<ANSWER>5</ANSWER>", "5"),
        ("<answer>1 2\n3 4</answer>", "1 2\n3 4"),
    ],
)
def test_an_explicit_answer_is_found(text: str, answer: str) -> None:
    assert extract(text, "number") == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the sum is 5",
        "The answer is 5",  # prose, not an answer line
        "my earlier wrong answer: 5 was off",
        r"\boxed{}",
        r"\boxed{ }",
        "Answer:",
        "Answer: ** **",
        "<answer></answer>",
        r"\boxed{5",
        "<answer>5",
        "<think>Answer: 5</think>",
        "<think>Answer: 5",
        "Answer: 5</think> hm",
    ],
)
def test_nothing_is_guessed_where_there_is_no_answer(text: str) -> None:
    assert extract(text, "number") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 4\nno, wait.\nAnswer: 5", "5"),
        (r"\boxed{4} … \boxed{5}", "5"),
        ("Answer: 4\n<answer>5</answer>", "5"),
        (r"\boxed{4}" + "\nAnswer: 5", "5"),
        ("<think>the gold is 7, so Answer: 7</think>Answer: 5", "5"),
        ("Answer: 5<think>or rather \\boxed{7}</think>", "5"),
        ("thinking of Answer: 7</think>\nAnswer: 5", "5"),
        ("<think>a<think>b</think>Answer: 7</think>Answer: 5", "5"),
    ],
)
def test_the_last_answer_outside_thoughts_wins(text: str, answer: str) -> None:
    assert extract(text, "number") == answer


def test_an_empty_last_answer_does_not_fall_back_to_an_earlier_one() -> None:
    assert extract("Answer: 4\n\\boxed{}", "number") is None


def test_structured_answers_may_span_lines() -> None:
    assert extract('Answer: {"a": [1,\n 2]}\nDone.', "json") == '{"a": [1,\n 2]}'
    assert extract('Answer:\n```json\n{"a":\n1}\n```\nDone.', "json") == '{"a":\n1}'
    assert extract("Answer: ```\n1 2\n3 4\n```", "text") == "1 2\n3 4"
    assert extract("Answer:\n1 2\n3 4\n\nDone.", "text") == "1 2\n3 4"
    assert extract("Answer: {not json\nat all", "json") == "{not json"


def test_thoughts_are_removed_and_the_rest_kept() -> None:
    assert without_thoughts("a<think>b</think>c<thinking>d</thinking>e") == "ace"


@pytest.mark.parametrize(
    "unit",
    ["\\boxed{", "\\boxed{1}", "Answer: \\boxed{1}\n", "Answer:\n", "<think>", "</think>", "<answer>", "{", "}", "* "],
)
def test_pathological_texts_take_linear_time(unit: str) -> None:
    text = unit * (400_000 // len(unit))
    start = time.process_time()
    extract(text, "auto")
    assert time.process_time() - start < 2


def test_marks_are_found_where_a_search_through_the_whole_text_finds_them() -> None:
    words = "answer Answer anſwer the final correct is : ： ** * _ > - . ! 7 { } <answer> </answer>".split()
    pieces, chance, found = [*words, " is", " ", "  ", "\t", "\n", ". ", "The ", "İ"], random.Random(7), 0
    for _ in range(20_000):
        text = "".join(chance.choices(pieces, k=chance.randint(1, 40)))
        expected = [mark.span() for mark in _LINE.finditer(text)]
        assert [mark.span() for mark in _marks(text)] == expected, text
        found += len(expected)
    assert found > 500
