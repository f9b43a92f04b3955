"""The rerankers: passages ordered by a model that reads them, all in one list, or the best of a few at a time.

Listwise after Sun et al. 2023, "Is ChatGPT Good at Search? Investigating Large Language Models as Re-Ranking Agents".
Setwise after Zhuang et al. 2025, "Rank-R1: Enhancing Reasoning in LLM-based Document Rerankers via Reinforcement
Learning", but for this: an answer that can't be read changes nothing, and is counted.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.judge import read_choice
from maieutic.agents.prompts import opening
from maieutic.context import Context, Utterance
from maieutic.trace.record import Parent
from maieutic.types import Sampling

_ORDER = re.compile(r"order\W{0,6}((?:\[?\d+\]?\s*[>,]?\s*)+)", re.IGNORECASE)
LONGEST = 2000  # characters of a passage that are shown


@dataclass(frozen=True, slots=True)
class Ranking:
    """An order of passages: their places in the list that was given, best first. `calls` is how many model calls it
    took, `missing` how many of their answers could not be read."""

    order: tuple[int, ...]
    calls: int
    missing: int


@dataclass(frozen=True, slots=True)
class ListwiseReranker:
    """Asks for the whole order, of `window` passages at a time, from the end of the list to its beginning: windows
    overlap by half, so that a good passage can rise all the way."""

    role: str = "reranker"
    sampling: Sampling = Sampling()
    window: int = 20

    async def __call__(
        self, ctx: Context, query: str, passages: Sequence[str], parents: tuple[Parent, ...] = ()
    ) -> Ranking:
        order, calls, missing = list(range(len(passages))), 0, 0
        step = max(1, self.window // 2)
        start = max(0, len(order) - self.window)
        while len(order) > 1:
            here = order[start : start + self.window]
            shown = _shown([passages[i] for i in here])
            messages = opening(ctx, self.role, query=query, passages=shown)
            said = await ctx.sample(self.role, messages, sampling=self.sampling, parents=parents)
            read = read_order(said.text, len(here))
            calls, missing = calls + 1, missing + (read is None)
            if read is not None:
                order[start : start + self.window] = [here[i] for i in read]
            _record(ctx, said, None if read is None else [here[i] for i in read])
            if start == 0:
                break
            start = max(0, start - step)
        return Ranking(tuple(order), calls, missing)


@dataclass(frozen=True, slots=True)
class SetwiseReranker:
    """Asks for the best of `choices` passages at a time, and sorts by it: a heap whose nodes have `choices - 1`
    children, taken from until the `best` passages stand first. The others keep their order."""

    role: str = "chooser"
    sampling: Sampling = Sampling()
    choices: int = 20
    best: int = 10

    async def __call__(
        self, ctx: Context, query: str, passages: Sequence[str], parents: tuple[Parent, ...] = ()
    ) -> Ranking:
        return await _Heap(self, ctx, query, passages, parents).sort()


class _Heap:
    """One sorting by choices."""

    def __init__(
        self, agent: SetwiseReranker, ctx: Context, query: str, passages: Sequence[str], parents: tuple[Parent, ...]
    ) -> None:
        self._agent, self._ctx, self._query, self._passages, self._parents = agent, ctx, query, passages, parents
        self._children = max(1, agent.choices - 1)
        self._heap = list(range(len(passages)))
        self._calls = self._missing = 0

    async def sort(self) -> Ranking:
        size = len(self._heap)
        for node in range(size // self._children, -1, -1):
            await self._sift(node)
        best: list[int] = []
        while self._heap and len(best) < self._agent.best:
            best.append(self._heap[0])
            self._heap[0] = self._heap[-1]
            self._heap.pop()
            if len(best) < self._agent.best:
                await self._sift(0)
        rest = [i for i in range(size) if i not in best]
        return Ranking((*best, *rest), self._calls, self._missing)

    async def _sift(self, node: int) -> None:
        """Let the best of a node and its children rise, and go on where it came from."""
        while True:
            first = node * self._children + 1
            places = [node, *range(first, min(first + self._children, len(self._heap)))]
            if len(places) < 2 or node >= len(self._heap):
                return
            chosen = await self._choose(places)
            if chosen == node:
                return
            self._heap[node], self._heap[chosen] = self._heap[chosen], self._heap[node]
            node = chosen

    async def _choose(self, places: list[int]) -> int:
        """The place of the best passage; where the answer can't be read, of the one that stood first in the list, so
        that answers of which none can be read leave the list as it was.

        Passages are shown in an order of their own, since models favour some positions.
        """
        shown = places[:]
        random.Random(f"{self._ctx.run.seed}/{self._calls}").shuffle(shown)
        texts = [self._passages[self._heap[place]] for place in shown]
        agent = self._agent
        messages = opening(self._ctx, agent.role, query=self._query, passages=_shown(texts))
        said = await self._ctx.sample(agent.role, messages, sampling=agent.sampling, parents=self._parents)
        choice = read_choice(said.text, len(shown))
        self._calls += 1
        self._missing += choice is None
        _record(self._ctx, said, None if choice is None else [self._heap[shown[choice - 1]]])
        if choice is None:
            return min(places, key=lambda place: self._heap[place])
        return shown[choice - 1]


def read_order(text: str, passages: int) -> tuple[int, ...] | None:
    """The last order in `text` as places from 0. Passages it leaves out follow in the order they had; None where there
    is no order, or one with a number that no passage has."""
    found = _ORDER.findall(text)
    numbers = [int(number) - 1 for number in re.findall(r"\d+", found[-1])] if found else []
    if not numbers or any(not 0 <= number < passages for number in numbers):
        return None
    named = list(dict.fromkeys(numbers))
    return (*named, *(i for i in range(passages) if i not in named))


def _shown(passages: Sequence[str]) -> str:
    cut = [text.strip() if len(text) <= LONGEST else text[:LONGEST].strip() + " …" for text in passages]
    return "\n\n".join(f"[{number}] {text}" for number, text in enumerate(cut, 1))


def _record(ctx: Context, said: Utterance, order: list[int] | None) -> None:
    ctx.record("note", call_id=said.call_id, order=order)
