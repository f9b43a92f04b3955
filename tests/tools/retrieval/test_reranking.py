"""Reordering what was found by a second judgement."""

from collections.abc import Sequence
from math import nan

from maieutic.tools.retrieval.index import Index
from maieutic.tools.retrieval.reranking import reranked


class Judge:
    """Scores a text by a letter's share; some texts it can't judge."""

    def __init__(self, unknown: str = "no text has this") -> None:
        self.unknown = unknown

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return [nan if self.unknown in text else text.count("g") / len(text) for text in texts]


def test_the_best_by_the_second_judgement_come_first(opened: Index) -> None:
    hits = reranked(opened, "the", 10, Judge())
    scores = [hit.score for hit in hits]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert [hit.score for hit in reranked(opened, "the", 1, Judge())] == scores[:1]


def test_what_can_not_be_judged_comes_last(opened: Index) -> None:
    hits = reranked(opened, "the", 10, Judge("valve"))
    assert hits[-1].passage.path.endswith("valves.txt") and len(hits) == 3
