"""The arithmetic of the search tree, and what a missing value does to it: nothing."""

import pytest

from maieutic.graphs.puct import Node, back_up, most_visited, score, select, surprise


def tree(*priors: float) -> Node:
    root = Node("n0")
    root.children = [Node(f"n{i}", root, prior=prior) for i, prior in enumerate(priors, 1)]
    return root


def test_puct_is_q_and_a_bonus() -> None:
    root = tree(0.5)
    root.visits = 9
    (child,) = root.children
    assert score(child, 1.0) == pytest.approx(0.5 * 3)
    back_up(child, 0.4)
    assert score(child, 2.0) == pytest.approx(0.4 + 2 * 0.5 * 10**0.5 / 2)


def test_an_unvisited_tree_follows_the_priors_and_equals_the_order() -> None:
    assert select(tree(0.2, 0.5, 0.3), 1.0, 4).id == "n2"
    assert select(tree(0.5, 0.5), 1.0, 4).id == "n1"
    assert select(tree(0.5), 1.0, 0).id == "n0"


def test_a_missing_value_is_a_visit_and_moves_no_mean() -> None:
    root = tree(0.5, 0.5)
    one, two = root.children
    back_up(one, 0.8)
    back_up(two, None)
    assert (root.visits, root.q, two.visits, two.q) == (2, 0.8, 1, None)
    back_up(two, 0.0)
    assert (root.q, two.q) == (0.4, 0.0)


def test_the_most_visited_is_taken_then_the_better_then_the_likelier() -> None:
    root = tree(0.2, 0.3, 0.5)
    one, two, three = root.children
    assert most_visited(root) is three and most_visited(Node("x")) is None
    for child, value in ((one, 0.1), (two, 0.9), (three, None)):
        back_up(child, value)
    assert most_visited(root) is two
    back_up(three, None)
    assert most_visited(root) is three


def test_the_most_surprising_step_is_found() -> None:
    root = tree(1.0)
    (one,) = root.children
    two = Node("n2", one)
    assert surprise([one, two]) is None
    one.value = 0.9
    back_up(one, 0.9)
    two.value = 0.1
    back_up(two, 0.1)
    found = surprise([one, two])
    assert found is not None and found[0] is one and found[1] == pytest.approx(0.8)
