"""Contamination: samples that hold questions of a benchmark, found by runs of words and, if wanted, by meaning.

A sample is contaminated by a question when, in what was asked or said,
- a run of 13 of the question's words occurs (Brown et al. 2020, arXiv 2005.14165), or
- 30% of its runs of 8 words do, or
- a question of fewer than 13 words stands on lines of its own, or whole within a longer text from 8 words on.
PaLM (Chowdhery et al. 2022, arXiv 2204.02311) asks for 70% of the runs of 8. That finds nothing that 13 words don't
find: one word changed in 13 leaves 43% of a question's runs, one in the middle of 20 words leaves 38%.
Runs that many of a set's questions share are its boilerplate, not its content, and don't count.

By meaning: the question's vector lies within `alike` of a benchmark question's, and the numbers in both are the same.
Without the numbers every sibling of a template would be taken for a leak.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from maieutic.errors import UserError
from maieutic.gate.sample import Sample
from maieutic.gate.words import gram_hash, grams, numbers, words
from maieutic.tasks.source import load_tasks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maieutic.tools.retrieval.embedder import Embedder, Vectors

Words = tuple[str, ...]

LONG, SHORT, SHARE = 13, 8, 0.3
_COMMON, _COMMON_SHARE = 10, 0.1  # more questions than this have a run in common: it is the set's wording


@dataclass
class Benchmark:
    """A named set of questions, indexed. `common` counts the runs that don't count."""

    name: str
    source: str
    questions: list[str]
    common: int = 0
    _long: dict[int, int] = field(default_factory=dict)
    _short: dict[int, list[int]] = field(default_factory=dict)
    _needs: list[int] = field(default_factory=list)
    _whole: dict[int, int] = field(default_factory=dict)
    _lengths: set[int] = field(default_factory=set)
    _long_known: "NDArray[np.uint64]" = field(init=False)
    _short_known: "NDArray[np.uint64]" = field(init=False)
    _whole_known: "NDArray[np.uint64]" = field(init=False)

    @classmethod
    def load(cls, name: str, source: str) -> "Benchmark":
        """From a task file or an environment. Raises TaskError, UnknownName."""
        made = cls(name, source, [task.question for task in load_tasks(source).tasks])
        made._index()
        return made

    def holds(self, texts: Sequence[Words], lines: Iterable[Words]) -> str | None:
        """How a sample's texts (as words) and their single lines meet the set; None where they don't."""
        for text in texts:
            if hits := self._hits(text, LONG, self._long_known):
                return f"{LONG} words of {self.name} question {self._long[hits[0]] + 1}"
            found: Counter[int] = Counter()
            for gram in set(self._hits(text, SHORT, self._short_known)):
                found.update(self._short[gram])
            for question, number in sorted(found.items()):
                if number >= self._needs[question]:
                    return f"{SHARE:.0%} of {self.name} question {question + 1} in runs of {SHORT} words"
            for length in self._lengths:
                if length >= SHORT and (hits := self._hits(text, length, self._whole_known)):
                    return f"the whole of {self.name} question {self._whole[hits[0]] + 1}"
        for line in lines:
            if len(line) in self._lengths and (question_ := self._whole.get(gram_hash(line))) is not None:
                return f"the whole of {self.name} question {question_ + 1}"
        return None

    def _hits(self, text: Words, n: int, known: "NDArray[np.uint64]") -> list[int]:
        """The runs of n words that are in a sorted array, in the text's order."""
        import numpy as np

        if len(text) < n or not len(known):
            return []
        found = grams(text, n)
        places = np.minimum(np.searchsorted(known, found), len(known) - 1)
        return [int(gram) for gram in found[known[places] == found]]

    def _index(self) -> None:
        import numpy as np

        split = [words(question) for question in self.questions]
        limit = max(_COMMON, int(_COMMON_SHARE * len(split)))
        long, short = self._counted(split, LONG, limit), self._counted(split, SHORT, limit)
        by_gram: defaultdict[int, list[int]] = defaultdict(list)
        for number, tokens in enumerate(split):
            if 0 < len(tokens) < LONG:
                self._whole.setdefault(gram_hash(tokens), number)
                self._lengths.add(len(tokens))
            for gram in grams(tokens, LONG).tolist():
                if gram in long:
                    self._long.setdefault(gram, number)
            own = set(grams(tokens, SHORT).tolist()) & short
            for gram in own:
                by_gram[gram].append(number)
            # Of a few runs 30% would be one or two: too little to tell a question from a phrase.
            self._needs.append(max(3, round(SHARE * len(own))) if len(own) >= 3 else len(tokens) + 1)
        self._short = dict(by_gram)
        self._long_known, self._short_known, self._whole_known = (
            np.array(sorted(known), dtype=np.uint64) for known in (self._long, self._short, self._whole)
        )

    def _counted(self, split: list[Words], n: int, limit: int) -> set[int]:
        """The runs of n words that are the content of some questions, and not the wording of many."""
        counts: Counter[int] = Counter()
        for tokens in split:
            counts.update(set(grams(tokens, n).tolist()))
        kept = {gram for gram, number in counts.items() if number <= limit}
        self.common += len(counts) - len(kept)
        return kept


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
                if known[place] == own:
                    self.counts[one.name] += 1
                    return f"contaminated: like {one.name} question {place + 1} ({likeness[place]:.2f})"
        return None
