"""Contamination: samples that hold questions of a benchmark, found by words and, if wanted, by meaning.

By words: `benchmark.py`. By meaning: the question's vector lies within `alike` of a benchmark question's, and the
numbers in both are the same. Without the numbers every sibling of a template would be taken for a leak; where a set's
questions are a template's, all facts have to stand in the same order, and half of the question's own words with them.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from maieutic.errors import UserError
from maieutic.gate.benchmark import Benchmark
from maieutic.gate.sample import Sample
from maieutic.gate.words import numbers, words

if TYPE_CHECKING:
    from maieutic.tools.retrieval.embedder import Embedder, Vectors


class ByWords:
    """Reason: a benchmark's question is in the sample."""

    name = "contaminated"

    def __init__(self, sets: Sequence[Benchmark]) -> None:
        self._sets = sets
        self.counts: Counter[str] = Counter()

    def __call__(self, sample: Sample) -> str | None:
        texts = [words(text) for text in (sample.question, *sample.asked, *sample.said)]
        lines = [words(line) for text in (sample.question, *sample.asked) for line in text.splitlines()]
        for one in self._sets:
            if how := one.holds(texts, [*texts[: 1 + len(sample.asked)], *lines]):
                self.counts[one.name] += 1
                return f"contaminated: {how}"
        return None


class ByMeaning:
    """Reason: the question means what a benchmark's question means, and has its numbers."""

    name = "contaminated by meaning"

    def __init__(self, sets: Sequence[Benchmark], embedder: "Embedder", alike: float) -> None:
        if not 0 < alike <= 1:
            raise UserError(f"The likeness {alike:g} is none: give a cosine above 0 and up to 1.")
        self._sets, self._embedder, self._alike = sets, embedder, alike
        self.counts: Counter[str] = Counter()
        self._vectors: list[Vectors] = [embedder.documents(one.questions) for one in sets]
        self._numbers = [[numbers(question) for question in one.questions] for one in sets]

    def __call__(self, sample: Sample) -> str | None:
        if not sample.question.strip():
            return None
        vector, own = self._embedder.documents([sample.question])[0], numbers(sample.question)
        for one, vectors, known in zip(self._sets, self._vectors, self._numbers, strict=True):
            likeness = vectors @ vector
            for place in (likeness >= self._alike).nonzero()[0]:
                if known[place] == own and one.alike(int(place), words(sample.question)):
                    self.counts[one.name] += 1
                    return f"contaminated: like {one.name} question {place + 1} ({likeness[place]:.2f})"
        return None
