"""Reordering passages by a model: what it says is followed, and what can't be read changes nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maieutic.agents.registry import make_agent
from maieutic.agents.reranker import ListwiseReranker, Ranking, SetwiseReranker, read_order
from maieutic.context import Context, Proposal
from maieutic.graphs.graph import Graph
from maieutic.llm.scripted import ScriptedModel
from maieutic.trace.reader import TraceReader
from maieutic.types import Request
from tests.conftest import Ask
from tests.support.graphs import one_node

PASSAGE = re.compile(r"^\[(\d+)\] passage of worth (\d+)$", re.MULTILINE)


@dataclass
class Reranking:
    """A graph of one node that reorders passages and keeps what came of it."""

    agent: ListwiseReranker | SetwiseReranker
    worths: list[int]
    ranking: Ranking | None = None

    def graph(self) -> Graph:
        async def action(state: Any, ctx: Context) -> dict[str, Any]:
            passages = [f"passage of worth {worth}" for worth in self.worths]
            self.ranking = await self.agent(ctx, "which is worth most?", passages)
            ctx.propose(Proposal("done", "done"))
            return {}

        return one_node("reranking", action)

    @property
    def order(self) -> list[int]:
        """The worths in the order that came out."""
        assert self.ranking is not None
        return [self.worths[i] for i in self.ranking.order]


def shown(request: Request) -> list[tuple[int, int]]:
    """(number, worth) of each passage in a prompt."""
    return [(int(n), int(worth)) for n, worth in PASSAGE.findall(str(request.messages[-1]["content"]))]


def orders(request: Request) -> str:
    best = sorted(shown(request), key=lambda pair: -pair[1])
    return "Let me see.\nOrder: " + " > ".join(f"[{number}]" for number, _ in best)


def chooses(request: Request) -> str:
    return f"Choice: {max(shown(request), key=lambda pair: pair[1])[0]}"


async def rerank(ask: Ask, model: ScriptedModel, agent: ListwiseReranker | SetwiseReranker, n: int) -> Reranking:
    work = Reranking(agent, [i * 7 % n for i in range(n)])
    await ask(model, work.graph())
    return work


async def test_a_list_is_put_in_order(ask: Ask) -> None:
    work = await rerank(ask, ScriptedModel(orders), ListwiseReranker(), 20)
    assert work.order == list(range(19, -1, -1))
    assert work.ranking is not None and (work.ranking.calls, work.ranking.missing) == (1, 0)


async def test_a_good_passage_rises_through_all_windows(ask: Ask) -> None:
    work = await rerank(ask, ScriptedModel(orders), ListwiseReranker(window=10), 30)
    assert work.order[:5] == [29, 28, 27, 26, 25]  # half a window is carried from one to the next
    assert work.ranking is not None and work.ranking.calls == 5


async def test_sets_give_the_best_first_and_leave_the_rest(ask: Ask) -> None:
    model = ScriptedModel(chooses)
    work = await rerank(ask, model, SetwiseReranker(choices=5, best=4), 30)
    assert work.order[:4] == [29, 28, 27, 26]
    assert work.order[4:] == [worth for worth in work.worths if worth < 26]
    assert work.ranking is not None and work.ranking.missing == 0
    assert work.ranking.calls == len(model.requests) < 30
    assert max(len(shown(request)) for request in model.requests) == 5
    first = [[worth for _, worth in shown(request)] for request in model.requests]
    assert any(worths[0] != max(worths) for worths in first)  # places say nothing about worth


@pytest.mark.parametrize("agent", [ListwiseReranker(), SetwiseReranker(choices=5, best=3)])
@pytest.mark.parametrize("said", ["I can't tell.", "Order: 99 > 1", "Order:", "Choice: 0"])
async def test_what_can_not_be_read_changes_nothing_and_is_counted(
    ask: Ask, tmp_path: Path, agent: ListwiseReranker | SetwiseReranker, said: str
) -> None:
    work = await rerank(ask, ScriptedModel(said), agent, 9)
    assert work.ranking is not None
    assert work.order == work.worths
    assert work.ranking.missing == work.ranking.calls > 0
    with TraceReader(tmp_path / "traces") as reader:
        (run,) = reader.runs()
        notes = reader.run(run.run_id).events_of("note")
    assert [note.fields["order"] for note in notes] == [None] * work.ranking.calls


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("make", [ListwiseReranker, SetwiseReranker])
async def test_one_passage_needs_no_model(ask: Ask, make: Callable[[], ListwiseReranker], n: int) -> None:
    model = ScriptedModel("Order: 1")
    work = await rerank(ask, model, make(), n)
    assert work.ranking == Ranking(tuple(range(n)), 0, 0) and not model.requests


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("Order: 3 > 1 > 2", (2, 0, 1)),
        ("**Order:** [2] > [3]", (1, 2, 0)),
        ("order: 2, 2, 1", (1, 0, 2)),
        ("Order: 1 > 2\nNo:\nOrder: 2", (1, 0, 2)),
        ("Order: 4 > 1", None),
        ("3 > 1 > 2", None),
        ("Order: none", None),
    ],
)
def test_orders_are_read(text: str, order: tuple[int, ...] | None) -> None:
    assert read_order(text, 3) == order


def test_they_are_known_by_name() -> None:
    assert isinstance(make_agent("reranker"), ListwiseReranker)
    assert isinstance(make_agent("setwise-reranker"), SetwiseReranker)
