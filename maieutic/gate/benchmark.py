"""The `Benchmark` noun: a named set of questions, indexed so that a text that holds one of them is found.

A question is held by a text when, in its words,
- a run of 13 of the question's words occurs (Brown et al. 2020, arXiv 2005.14165), or
- 30% of its runs of 8 words do, or
- its facts stand in their order, and most of its words around them (`MOST` of those that are its own), or
- it has fewer than 8 words and stands on lines of its own, or fewer than 13 and stands there word for word.
PaLM (Chowdhery et al. 2022, arXiv 2204.02311) asks for 70% of the runs of 8. That finds nothing that 13 words don't
find: one word changed in 13 leaves 43% of a question's runs, one in the middle of 20 words leaves 38%.

What many questions share is no evidence (`wording.py`): a run counts where more than half of its words are neither
shared nor facts. A few facts of many occur by chance; all of them in order don't.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from maieutic.gate.wording import FEW, GAP, Words, covered, facts_in, is_fact, open_runs, proper_names, slot_words
from maieutic.gate.words import gram_hash, grams, words
from maieutic.tasks.source import load_tasks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONG, SHORT, SHARE = 13, 8, 0.3
MOST, SOME = 0.8, 0.5  # of the words that are the question's own; of all its words
_LEAST_RUNS = 10  # of a few runs 30% would be one or two: too little to tell a question from a phrase
_KEY = 4  # facts in a row, or rare words, by which a question is looked up: its rarest ones
_CROWD = 8  # more questions than this have the same facts: they are looked up by their rare words instead


@dataclass(slots=True)
class _Question:
    """One question: its words, where its facts stand, which words are its own beside them."""

    number: int
    tokens: Words
    places: list[int]
    facts: Words
    own: Counter[str] = field(default_factory=Counter)
    templated: bool = False


@dataclass
class Benchmark:
    """A named set of questions. `learn` may be told of rows' questions, for what they share with the set's; `settle`
    comes before the first look. `templated` counts questions half of whose words or more are a template's."""

    name: str
    source: str
    questions: list[str]
    templated: int = 0
    _asked: list[_Question] = field(default_factory=list)
    _proper: frozenset[str] = frozenset()
    _open: dict[int, list[int]] = field(default_factory=dict)
    _others: dict[int, set[int]] = field(default_factory=dict)
    _open_known: "NDArray[np.uint64]" = field(init=False)
    _counts: "NDArray[np.int64]" = field(init=False)
    _long: dict[int, int] = field(default_factory=dict)
    _short: dict[int, list[int]] = field(default_factory=dict)
    _needs: dict[int, int] = field(default_factory=dict)
    _whole: dict[int, int] = field(default_factory=dict)
    _lengths: set[int] = field(default_factory=set)
    _by_facts: dict[Words, list[tuple[int, int]]] = field(default_factory=dict)
    _by_words: dict[str, list[int]] = field(default_factory=dict)
    _wanted: dict[int, int] = field(default_factory=dict)
    _weights: dict[str, float] = field(default_factory=dict)
    _long_known: "NDArray[np.uint64]" = field(init=False)
    _short_known: "NDArray[np.uint64]" = field(init=False)
    _whole_known: "NDArray[np.uint64]" = field(init=False)

    @classmethod
    def load(cls, name: str, source: str) -> "Benchmark":
        """From a task file or an environment. Raises TaskError, UnknownName."""
        return cls(name, source, [task.question for task in load_tasks(source).tasks])

    def __post_init__(self) -> None:
        import numpy as np

        split = [words(question) for question in self.questions]
        self._proper = proper_names(self.questions)
        self._proper |= slot_words(split, self._proper)
        by_run: defaultdict[int, list[int]] = defaultdict(list)
        for number, tokens in enumerate(split):
            self._asked.append(_Question(number, tokens, *facts_in(tokens, self._proper)))
            for run in set(open_runs(tokens, self._proper).tolist()):
                by_run[run].append(number)
        self._open = dict(by_run)
        self._others = {run: {hash(self._asked[n].tokens) for n in numbers} for run, numbers in by_run.items()}
        self._open_known = _sorted(self._open)
        self._counts = np.array([len(self._others[run]) for run in self._open_known.tolist()], dtype=np.int64)

    def learn(self, text: Words) -> None:
        """Take in what a row asks, if it is another question in the set's words. A row with all facts of one of the
        set's questions may be that one, and tells nothing."""
        import numpy as np

        hits = _hits(open_runs(text, self._proper), self._open_known)
        _, facts = facts_in(text, self._proper) if hits else ((), ())
        alike = {number for run in hits for number in self._open[run][:_CROWD]}
        if not facts or any(_found(self._asked[number].facts, facts) is not None for number in alike):
            return
        self._counts[np.searchsorted(self._open_known, np.array(list(set(hits)), dtype=np.uint64))] += 1
        for run in hits:
            if len(self._others[run]) <= FEW + 1:
                self._others[run].add(hash(facts))

    def settle(self) -> None:
        """Decide what is wording and what is content, and index the content."""
        shared = {
            run: count
            for run, count in zip(self._open_known.tolist(), self._counts.tolist(), strict=True)
            if len(self._others[run]) > FEW + 1
        }
        self._others, self._open = {}, {}
        split = [(one, self._split(one, shared)) for one in self._asked]
        seen = Counter(word for one in self._asked for word in set(one.tokens))
        self._weights = {word: math.log((len(self._asked) + 1) / number) for word, number in seen.items()}
        by_run: defaultdict[int, list[int]] = defaultdict(list)
        crowds = Counter(key for one in self._asked for key in {key for key, _ in _keys(one.facts)})
        for one, own in split:
            self._index_runs(one, own, by_run)
            self._index_facts(one, crowds, seen)
        self._short = dict(by_run)
        self._long_known, self._short_known = _sorted(self._long), _sorted(self._short)
        self._whole_known = _sorted(self._whole)
        self.templated = sum(one.templated for one in self._asked)

    def holds(self, texts: Sequence[Words], lines: Iterable[Words]) -> str | None:
        """How a sample's texts (as words) and their single lines meet the set; None where they don't."""
        for text in texts:
            if (how := self._by_runs(text) or self._by_content(text)) is not None:
                return how
        for line in lines:
            if (
                len(line) in self._lengths
                and (question := self._whole.get(gram_hash(line))) is not None
                and self._asked[question].tokens == line
            ):
                return f"the whole of {self.name} question {question + 1}"
        return None

    def alike(self, number: int, text: Words) -> bool:
        """Whether a text whose meaning is a question's may be that question: for one of a template, whether its facts
        are there in their order, and half of its own words."""
        one = self._asked[number]
        if not one.templated:
            return True
        _, facts = facts_in(text, self._proper)
        return _found(one.facts, facts) is not None and self._weight(one.own, Counter(text)) >= SOME

    def _split(self, one: _Question, shared: dict[int, int]) -> list[bool]:
        """Which words of a question no template covers, and are no facts; notes which are surely its own."""
        counts = [shared.get(run, 0) for run in open_runs(one.tokens, self._proper).tolist()]
        none = [False] * len(one.tokens)
        wording, surely = covered(counts) or none, covered(counts, GAP) or none
        fact = [is_fact(word, self._proper) for word in one.tokens]
        one.own = Counter(one.tokens[i] for i in range(len(none)) if not surely[i] and not fact[i])
        one.templated = bool(one.tokens) and 2 * sum(wording) >= len(one.tokens)
        return [not wording[i] and not fact[i] for i in range(len(none))]

    def _index_runs(self, one: _Question, counts: list[bool], by_run: dict[int, list[int]]) -> None:
        if one.tokens:
            self._whole.setdefault(gram_hash(one.tokens), one.number)
            self._lengths.add(len(one.tokens))
        for start, run in enumerate(grams(one.tokens, LONG).tolist()):
            if 2 * sum(counts[start : start + LONG]) > LONG:
                self._long.setdefault(run, one.number)
        runs = grams(one.tokens, SHORT).tolist()
        mine = {run for start, run in enumerate(runs) if 2 * sum(counts[start : start + SHORT]) > SHORT}
        if len(mine) >= _LEAST_RUNS:
            self._needs[one.number] = max(3, round(SHARE * len(mine)))
            for run in mine:
                by_run[run].append(one.number)

    def _index_facts(self, one: _Question, crowds: Counter[Words], seen: Counter[str]) -> None:
        """By its rarest facts in a row; by its rarest words where many have the same facts, or it has none."""
        if len(one.tokens) < SHORT:
            return
        rare = sorted(one.own, key=lambda word: (seen[word], word))[:_KEY]
        keys = [(crowds[key], offset, key) for key, offset in _keys(one.facts)]
        if keys and (min(keys)[0] <= _CROWD or not rare):
            _, offset, key = min(keys)
            self._by_facts.setdefault(key, []).append((one.number, offset))
            return
        self._wanted[one.number] = max(1, len(rare) - 1)
        for word in rare:
            self._by_words.setdefault(word, []).append(one.number)

    def _by_runs(self, text: Words) -> str | None:
        if hits := _hits(grams(text, LONG), self._long_known):
            return f"{LONG} words of {self.name} question {self._long[hits[0]] + 1}"
        found: Counter[int] = Counter()
        for run in set(_hits(grams(text, SHORT), self._short_known)):
            found.update(self._short[run])
        for question, number in sorted(found.items()):
            if number >= self._needs[question]:
                return f"{SHARE:.0%} of {self.name} question {question + 1} in runs of {SHORT} words"
        for length in range(SHORT, LONG):
            if length in self._lengths and (hits := _hits(grams(text, length), self._whole_known)):
                return f"the whole of {self.name} question {self._whole[hits[0]] + 1}"
        return None

    def _by_content(self, text: Words) -> str | None:
        places, facts = facts_in(text, self._proper)
        for number, start in self._candidates(text, facts):
            one = self._asked[number]
            for at in _found_all(one.facts, facts, start):
                if self._same(one, text, places, at):
                    return f"the content of {self.name} question {number + 1}"
        return None

    def _candidates(self, text: Words, facts: Words) -> Iterator[tuple[int, int | None]]:
        """Questions that a text may hold, and where in its facts if that is known."""
        for key, start in _keys(facts, shorter=True) if self._by_facts else ():
            for number, offset in self._by_facts.get(key, ()):
                if len(key) == _KEY or len(key) == len(self._asked[number].facts):
                    yield number, start - offset
        met: Counter[int] = Counter()
        for word in set(text) if self._by_words else ():
            met.update(self._by_words.get(word, ()))
        yield from ((number, None) for number, times in sorted(met.items()) if times >= self._wanted[number])

    def _same(self, one: _Question, text: Words, places: Sequence[int], at: int) -> bool:
        """Whether the words around facts that agree are the question's, and the facts don't go on beyond it."""
        length = len(one.tokens)
        if not one.facts:
            window = text if len(text) <= 3 * length else _around(text, one, 3 * length)
        else:
            first, last = places[at], places[at + len(one.facts) - 1]
            if _goes_on(text, first, first - 1) or _goes_on(text, last, last + 1):
                return False
            window = text[max(0, first - length) : last + 1 + length]
        words_there = Counter(window)
        most = self._weight(one.own, words_there) >= MOST
        return most and (Counter(one.tokens) & words_there).total() >= SOME * length

    def _weight(self, part: Counter[str], whole: Counter[str]) -> float:
        """How many of a question's own words are among others, the rarer ones counting for more; all of none."""
        there, all_ = (sum(self._weights[w] * n for w, n in one.items()) for one in (part & whole, part))
        return there / all_ if all_ else 1.0


def _sorted(known: Iterable[int]) -> "NDArray[np.uint64]":
    import numpy as np

    return np.array(sorted(known), dtype=np.uint64)


def _hits(found: "NDArray[np.uint64]", known: "NDArray[np.uint64]") -> list[int]:
    """Which of the runs of a text are known, in the text's order."""
    import numpy as np

    if not len(found) or not len(known):
        return []
    places = np.minimum(np.searchsorted(known, found), len(known) - 1)
    return [int(run) for run in found[known[places] == found]]


def _found_all(part: Words, whole: Words, start: int | None) -> Iterator[int]:
    """Where a question's facts stand among a text's, one after the other."""
    for at in range(len(whole) - len(part) + 1) if start is None else (start,):
        if at >= 0 and whole[at : at + len(part)] == part:
            yield at


def _found(part: Words, whole: Words) -> int | None:
    return next(_found_all(part, whole, None), None)


def _goes_on(text: Words, fact: int, beside: int) -> bool:
    """Whether a sign stands right beside a fact that is no name, or a number beside a number: a part of more."""
    if not 0 <= beside < len(text) or text[beside][0].isalpha() or text[beside] == "=":
        return False
    if text[fact].isalpha() and len(text[fact]) > 1:
        return False
    return not text[beside][0].isdecimal() or text[fact][0].isdecimal()


def _keys(facts: Words, shorter: bool = False) -> Iterator[tuple[Words, int]]:
    """The runs of facts by which questions are looked up, and where they begin; with `shorter` also those of fewer
    facts, for questions that have no more."""
    for length in range(1, _KEY + 1) if shorter else (min(_KEY, len(facts)),):
        for start in range(len(facts) - length + 1) if length else ():
            yield facts[start : start + length], start


def _around(text: Words, one: _Question, length: int) -> Words:
    """The part of a long text, of so many words, in which most of the question's own words stand."""
    mine = [word in one.own for word in text]
    best = max(range(0, len(text), length // 3), key=lambda start: sum(mine[start : start + length]))
    return text[best : best + length]
