from collections.abc import Iterator
from itertools import count

import pytest

from maieutic.errors import TaskError, UnknownName
from maieutic.tasks.environment import Request, environment, parse_request, take
from maieutic.tasks.source import load_tasks
from maieutic.tasks.split import Split, split_of
from maieutic.tasks.task import Task


@environment("test-doubling")
def doubling(request: Request) -> Iterator[Task]:
    base = int(request.options.get("base", "1"))
    for number in count(request.seed):
        yield Task(question=f"{request.item} {base} * {number}", gold=base * number)


def questions(n: int, split: Split | None = None, modulus: int = 10**9) -> list[str]:
    tasks = (Task(question=f"q {number % modulus}") for number in count())
    return [task.question for task in take(Request("test", n=n, split=split), tasks)]


def test_a_request_is_spelled_like_an_address() -> None:
    request = parse_request("env:rg/chain_sum?n=5&seed=7&split=test&min_terms=4&operators=+,%2D")
    assert request == Request("rg", "chain_sum", 5, 7, "test", {"min_terms": "4", "operators": "+,-"})
    assert parse_request("env:coins") == Request("coins", "", 100, 0, None, {})


@pytest.mark.parametrize(
    ("query", "part"),
    [("n=0", "n is '0'"), ("n=-1", "n is '-1'"), ("n=ten", "n is 'ten'"), ("n=1e3", "n is '1e3'"),
     ("seed=-1", "seed is '-1'"), ("n", "not field=value"), ("=1", "not field=value"), ("n=1&n=2", "given twice"),
     ("split=eval", "use train, dev or test"), ("n=" + "9" * 5000, "whole number")],
)  # fmt: skip
def test_a_bad_query_is_one_sentence(query: str, part: str) -> None:
    with pytest.raises(TaskError, match=part):
        parse_request(f"env:coins?{query}")


def test_an_own_environment_is_one_function() -> None:
    tasks, problems = load_tasks("env:test-doubling/say?n=2&seed=3&base=5")
    assert [(task.question, task.gold) for task in tasks] == [("say 5 * 3", 15), ("say 5 * 4", 20)]
    assert problems == []


def test_an_unknown_environment_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="Known: .*rg"):
        load_tasks("env:doublings")


def test_questions_are_distinct_and_in_order() -> None:
    assert questions(3) == ["q 0", "q 1", "q 2"]
    assert sorted(questions(50, modulus=50)) == sorted(f"q {number}" for number in range(50))


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_split_holds_only_its_own(split: Split) -> None:
    chosen = questions(40, split)
    assert len(set(chosen)) == 40
    assert {split_of(question) for question in chosen} == {split}


def test_splits_are_disjoint() -> None:
    assert not set(questions(200, "test")) & set(questions(2000, "train"))


def test_a_space_that_is_too_small_says_how_many_there_are() -> None:
    with pytest.raises(TaskError, match="only 50 distinct questions: ask for fewer than n=51"):
        questions(51, modulus=50)
    with pytest.raises(TaskError, match="in split 'test'"):
        questions(51, "test", modulus=50)
