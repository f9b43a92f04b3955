"""Routing between peers: who reads whose summary, by how much the summaries are alike."""

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

Routing = Literal["dispersed", "clustered", "hybrid"]
Similarities = dict[frozenset[str], float]


def distance(a: str, b: str) -> int:
    """The Levenshtein distance: the fewest characters to insert, delete or replace that make `a` of `b`.

    Myers' algorithm on the bits of one long integer (Myers 1999, doi 10.1145/316542.316550; Hyyrö's form): a column of
    the table a step, which takes milliseconds where cell by cell takes seconds.
    """
    if not a:
        return len(b)
    places: dict[str, int] = {}
    for i, character in enumerate(a):
        places[character] = places.get(character, 0) | 1 << i
    whole, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    up, down, found = whole, 0, len(a)
    for character in b:
        match = places.get(character, 0) | down
        same = (((match & up) + up) ^ up) | match
        plus, minus = down | (~(same | up) & whole), up & same
        found += bool(plus & last) - bool(minus & last)
        plus, minus = (plus << 1 | 1) & whole, (minus << 1) & whole
        up, down = minus | (~(same | plus) & whole), plus & same
    return found


def similarity(a: str, b: str) -> float:
    """1 for equal texts, 0 for texts without a character in common: 1 - distance / the longer one's length."""
    longest = max(len(a), len(b))
    return 1.0 - distance(a, b) / longest if longest else 1.0


def similarities(texts: Mapping[str, str]) -> Similarities:
    """How much each two of the named texts are alike."""
    return {frozenset(pair): similarity(texts[pair[0]], texts[pair[1]]) for pair in combinations(texts, 2)}


def route(alike: Similarities, name: str, others: list[str], peers: int, routing: Routing) -> list[str]:
    """Whom `name` reads: `peers` of the `others` at most, each once, in the order of `others`.

    `dispersed` takes those least like its own text, `clustered` the most alike, `hybrid` half of each (of an odd number
    the larger half is dispersed). Among equals the earlier one is taken. Without a text of its own nothing is known of
    likeness, and the earliest ones are taken.
    """
    ranked = sorted(others, key=lambda other: alike.get(frozenset((name, other)), 0.0))
    nearest = sorted(others, key=lambda other: -alike.get(frozenset((name, other)), 0.0))
    like = {"dispersed": 0, "clustered": peers, "hybrid": peers // 2}[routing]
    far = ranked[: peers - like]
    near = [other for other in nearest if other not in far][:like]
    return [other for other in others if other in far or other in near]
