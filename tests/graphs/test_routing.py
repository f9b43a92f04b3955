"""Who reads whose summary: the distance between texts, and the three ways to route."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.graphs.routing import Routing, distance, route, similarities, similarity

TEXTS = {"a": "x = 4 by parts", "b": "x = 4 by part", "c": "the sum diverges"}


def cell_by_cell(a: str, b: str) -> int:
    """The distance by its definition."""
    table = {(i, j): i + j for i, j in product(range(len(a) + 1), range(len(b) + 1)) if not i or not j}
    for i, j in product(range(1, len(a) + 1), range(1, len(b) + 1)):
        replaced = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
        table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, replaced)
    return table[len(a), len(b)]


@given(st.text("abc", max_size=12), st.text("abcd", max_size=12))
def test_the_distance_is_that_of_levenshtein(a: str, b: str) -> None:
    assert distance(a, b) == cell_by_cell(a, b)


def test_the_distance_of_long_texts() -> None:
    """Longer than a machine word, where bits have to be carried."""
    a, b = "ab" * 400, "ba" * 400
    assert (distance(a, b), distance(a, a + "c" * 70), distance("", b), distance(b, "")) == (2, 70, 800, 800)


def test_similarity_is_by_the_longer_text() -> None:
    """Not the ratio of indels, which would be 0.75 for a replaced letter of four."""
    assert similarity("abcd", "abcx") == pytest.approx(0.75)
    assert similarity("ab", "abcdefgh") == pytest.approx(0.25)
    assert similarity("abcd", "wxyz") == 0.0
    assert similarity("", "") == 1.0


def routed(name: str, peers: int, routing: Routing, texts: dict[str, str] = TEXTS) -> list[str]:
    return route(similarities(texts), name, [other for other in texts if other != name], peers, routing)


def test_dispersed_and_clustered_are_not_the_same() -> None:
    assert (routed("a", 1, "dispersed"), routed("a", 1, "clustered")) == (["c"], ["b"])


def test_hybrid_takes_half_of_each_and_nobody_twice() -> None:
    texts = {"a": "aaaa", "b": "aaab", "c": "aabb", "d": "abbb", "e": "bbbb"}
    assert routed("a", 2, "hybrid", texts) == ["b", "e"]
    assert routed("a", 3, "hybrid", texts) == ["b", "d", "e"]
    assert routed("a", 4, "hybrid", texts) == ["b", "c", "d", "e"]
    assert routed("a", 9, "hybrid", texts) == ["b", "c", "d", "e"]
    assert routed("a", 4, "hybrid", {"a": "aaaa", "b": "aaab"}) == ["b"]


@pytest.mark.parametrize("routing", ["dispersed", "clustered", "hybrid"])
def test_with_no_peers_to_read_nobody_is_read(routing: Routing) -> None:
    assert routed("a", 0, routing) == [] and routed("a", 2, routing, {"a": "alone"}) == []
