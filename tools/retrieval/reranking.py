"""Ordering what was found by a second, slower judgement: each passage read together with the query."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from maieutic.errors import MissingExtra, UserError
from maieutic.tools.retrieval.embedder import threads

if TYPE_CHECKING:
    from maieutic.tools.retrieval.index import Hit, Index

CANDIDATES = 50
BATCH = 16


class Reranker(Protocol):
    """Scores how well each text answers a query, higher is better; NaN where it can't say."""

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]: ...


class CrossEncoder:
    """A cross-encoder of sentence-transformers, by name or folder."""

    def __init__(self, model: str) -> None:
        """Raises MissingExtra, and UserError where the model can't be loaded."""
        try:
            import torch
            from sentence_transformers import CrossEncoder as Model
        except ImportError as error:
            raise MissingExtra(f"The reranker {model}", "local") from error
        torch.set_num_threads(threads())
        try:
            self._model: Any = Model(model)
        except Exception as error:  # not there, no network, not a model: each its own exception
            first = str(error).strip().partition("\n")[0]
            raise UserError(f"The reranker {model} can't be loaded: {first}") from error
        if self._model.num_labels != 1:
            raise UserError(f"{model} gives {self._model.num_labels} scores a passage: a reranker gives one.")

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        pairs = [(query, text) for text in texts]
        return [float(score) for score in self._model.predict(pairs, batch_size=BATCH, show_progress_bar=False)]


def reranked(index: "Index", query: str, k: int, reranker: Reranker, candidates: int = CANDIDATES) -> "list[Hit]":
    """The best `k` of so many candidates. Passages without a score come last, in the order they were found."""
    hits = index.search(query, max(k, candidates))
    scores = reranker.scores(query, [hit.passage.text for hit in hits])
    order = sorted(range(len(hits)), key=lambda i: (math.isnan(scores[i]), -scores[i] if scores[i] == scores[i] else i))
    return [replace(hits[i], score=float(scores[i])) for i in order[:k]]
