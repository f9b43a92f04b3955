from maieutic.evals.equal import beside, vote
from maieutic.evals.items import Attempt, figures
from maieutic.types import Outcome


def attempt(task: str, answer: str | None, gold: str = "7", tokens: int = 10, sample: int = 0) -> Attempt:
    outcome = Outcome.UNPARSED if answer is None else Outcome.CORRECT if answer == gold else Outcome.WRONG
    if answer == "I don't know":
        outcome = Outcome.ABSTAINED
    return Attempt(task, sample, outcome, answer, tokens, 1, 0.5, None, f"{task}-{sample}")


def bank(task: str, *answers: str | None) -> list[Attempt]:
    return [attempt(task, answer, sample=i) for i, answer in enumerate(answers)]


def test_a_vote_compares_answers_by_type_and_leaves_out_who_says_nothing() -> None:
    assert vote(bank("a", "8", "7", "7.0"), "number")
    assert not vote(bank("a", "8", "8.0", "7"), "number")
    assert vote(bank("a", None, "I don't know", "7"), "number")
    assert not vote(bank("a", None, None), "number")


def test_of_equal_groups_the_one_that_got_there_first_wins() -> None:
    assert vote(bank("a", "7", "8"), "number")
    assert not vote(bank("a", "7", "8", "8", "7"), "number")


def test_a_graph_is_held_against_as_many_samples_as_its_tokens_buy() -> None:
    samples = [*bank("a", "8", "7", "7", "7"), *bank("b", "7", "8", "8", "8")]
    graph = [attempt("a", "7", tokens=28), attempt("b", "7", tokens=32)]
    found = beside(graph, samples, {"a": "number", "b": "number"})
    assert found is not None
    assert (found.samples, found.tokens, found.capped) == (3, 30.0, False)
    assert (found.comparison.only_first, found.comparison.only_second, found.comparison.n) == (0, 1, 2)


def test_where_there_are_too_few_samples_that_is_said() -> None:
    found = beside([attempt("a", "7", tokens=500)], bank("a", "7", "8"), {"a": "number"})
    assert found is not None
    assert (found.samples, found.capped) == (2, True)
    assert beside([attempt("x", "7")], bank("a", "7"), {"a": "number"}) is None


def test_figures_tell_accuracy_from_capability() -> None:
    found = figures([*bank("a", "7", "8"), *bank("b", "8", "8"), *bank("c", None, "I don't know")])
    assert found.accuracy is not None and found.pass_at is not None and found.selective is not None
    assert (found.n, found.k, found.accuracy.n) == (3, 2, 6)
    assert found.accuracy.estimate == 1 / 6
    assert found.pass_at.estimate == 1 / 3
    assert found.selective.estimate == 1 / 5
    assert (found.unreadable, found.abstained) == (1, 1)
