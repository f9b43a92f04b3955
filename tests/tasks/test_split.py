"""The split of a question is a function of its text."""

from collections import Counter

from maieutic.tasks.split import split_of


def test_white_space_does_not_move_a_question() -> None:
    for number in range(200):
        question = f"State the final answer: {number} + 4 ="
        assert split_of(question) == split_of(f"  State the\nfinal   answer: {number} + 4 =\n")


def test_one_in_sixteen_is_held_out_for_each_of_dev_and_test() -> None:
    counts = Counter(split_of(f"{n} + {m}") for n in range(100) for m in range(100))
    assert 500 < counts["test"] < 750
    assert 500 < counts["dev"] < 750
    assert counts["train"] == 10_000 - counts["test"] - counts["dev"]


def test_the_split_never_changes() -> None:
    # Weights are trained against these: another hash would put training questions into the test split.
    questions = [f"What is {n} + 1?" for n in range(64)]
    assert [n for n, q in enumerate(questions) if split_of(q) == "test"] == [27, 39, 49]
    assert [n for n, q in enumerate(questions) if split_of(q) == "dev"] == [5, 24, 29]
