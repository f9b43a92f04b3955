"""A tree becomes one walk, which ends where the search ended."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.recipes.linearise import Tree, TreeNode, as_text, calls_after, ends_at, linearise, way_to


def node(id_: str, up: str | None, worth: float | None = 0.5, visits: int = 1, **others: object) -> TreeNode:
    return TreeNode(id_, up, f"action {id_}", None, worth, visits, worth, 0.5, **{"terminal": False, **others})  # type: ignore[arg-type]


def built(*nodes: TreeNode) -> Tree:
    return {one.id: one for one in nodes}


TREE = built(
    node("0", None),
    node("a", "0", 0.9, 5),
    node("b", "0", 0.1, 3),
    node("c", "0", 0.2, 4),
    node("b1", "b", 0.0, 2),
    node("c1", "c", 0.0, 2),
    node("c2", "c", 0.1, 1),
    node("g", "a", 1.0, 3, terminal=True, answer="7"),
    node("h", "a", 0.5, 2, terminal=True, answer="8"),
    node("i", "a", 0.5, 9, terminal=True, answer="7"),
    node("j", "a", None, 9),
)


def names(tree: Tree, wrong: int, deep: int = 1) -> list[str]:
    moves = linearise(tree, tree["g"], wrong=wrong, deep=deep)
    return [m.node.id if m.kind == "step" else f"<{m.levels}:{m.node.id}" for m in moves]


def test_at_most_so_many_wrong_children_are_entered_the_most_visited_first() -> None:
    assert names(TREE, 0) == ["a", "g"]
    assert names(TREE, 1) == ["c", "<1:0", "a", "h", "<1:a", "g"]
    assert names(TREE, 5) == ["c", "<1:0", "b", "<1:0", "a", "h", "<1:a", "g"]


def test_a_wrong_way_may_be_followed_deeper_and_is_left_at_once() -> None:
    assert names(TREE, 1, deep=2) == ["c", "c1", "<2:0", "a", "h", "<1:a", "g"]


def test_the_same_answer_and_a_missing_value_are_not_wrong() -> None:
    assert not {"i", "j"} & set(names(TREE, 9, deep=9))


def test_the_text_holds_the_steps_word_for_word() -> None:
    moves = linearise(TREE, TREE["g"], wrong=1)
    text = as_text(moves, TREE["0"])
    for move in moves:
        assert move.kind == "back" or move.node.action in text
    assert (
        text.index("action c")
        < text.index("I begin again")
        < text.index("action a")
        < text.index("I take back the last step")
    )
    assert text.endswith("action g")


def test_moves_that_do_not_follow_are_refused() -> None:
    moves = linearise(TREE, TREE["g"], wrong=1)
    with pytest.raises(ValueError, match="no step from"):
        ends_at(moves[:1] + moves[2:], TREE["0"])
    with pytest.raises(ValueError, match="does not lead to"):
        ends_at([moves[0], moves[1].__class__("back", TREE["a"], 1)], TREE["0"])


@given(st.integers(0, 2**32), st.integers(0, 4), st.integers(1, 4))
def test_the_walk_ends_in_the_goals_state_whatever_the_tree(seed: int, wrong: int, deep: int) -> None:
    chance = random.Random(seed)
    tree = built(node("0", None, None, 0))
    for i in range(1, chance.randint(2, 30)):
        up = chance.choice(list(tree))
        worth = chance.choice([None, *(n / 4 for n in range(5))])
        tool = {"id": f"t{i}", "name": "add", "arguments": str(i)} if chance.random() < 0.5 else None
        tree[str(i)] = node(str(i), up, worth, chance.randint(0, 5), answer=chance.choice([None, "7"]), tool=tool)
    goal = tree[chance.choice(list(tree)[1:])]
    moves = linearise(tree, goal, wrong=wrong, deep=deep)
    way = way_to(tree, goal)
    assert ends_at(moves, tree["0"]) == way
    assert calls_after(moves, tree["0"]) == [one.tool for one in way if one.tool]
    for here, right in pairwise(way):
        entered = [m.node for m in moves if m.kind == "step" and m.node.up == here.id and m.node.id != right.id]
        assert len(entered) <= wrong
