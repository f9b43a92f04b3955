"""Look into the database while thinking, branch after each look, and let the branches vote by what their queries bring.

ReEx-SQL (Dai et al. 2025, arXiv 2505.12768): queries are run where they stand in the thought, their first rows or their
error is put in, and the thought goes on to the final query. Decoding is a tree: behind each result the thought goes on
in several ways that share everything before it. How many is not told in the paper: `leaves` is shared out evenly, so
that the tree has a bound. Results are compared as the verifier `sql` compares them, as multisets of typed rows.
"""

import json
from dataclasses import dataclass
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.sql_explorer import explorer, final_query, question_with_schema
from maieutic.agents.tagged import Insertion, Line, Seen, Tagged
from maieutic.context import Context
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.tasks.result_set import same_result
from maieutic.tools.sql.engine import QueryFailed
from maieutic.tools.sql.tools import QueryTool
from maieutic.types import Sampling, ToolCall

NEEDS = ("sql",)


class Settings(GraphSettings):
    leaves: int = Field(default=4, ge=1, le=64)
    """Final queries at most; 1 is a single line of thought."""
    branches: int = Field(default=2, ge=1, le=8)
    """Ways in which the thought goes on behind a result, as long as there are leaves to share out."""
    max_calls: int = Field(default=5, ge=1, le=30)
    """Queries within one line of thought at most, those that could not be read included."""
    rows: int = Field(default=3, ge=1, le=50)
    """Rows of a result that the model is shown."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature; at 0 all branches would be the same."""
    insertion: Insertion = "auto"
    """Where results are put: into the `thought` itself, or as a `turn` of the user; `auto` takes the thought where the
    model's tokens are at hand."""
    role: str = "sql_explorer"
    """Who thinks: the name of its prompt, and of its model where it has one of its own."""


class State(TypedDict, total=False):
    leaves: list[str]


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a line of thought ended: `up` is the call of the node above, `depth` counts the nodes on the way."""

    line: Line
    up: str | None
    depth: int

    @property
    def call_id(self) -> str:
        return self.line.call_id


@dataclass(frozen=True, slots=True)
class Brought:
    """What a final query brought: its text as the model is shown it, and its rows where they are at hand."""

    text: str
    rows: tuple[tuple[Any, ...], ...] | None

    def like(self, other: "Brought") -> bool:
        """Whether two queries brought the same; by their texts where the tool gives no values."""
        if self.rows is None or other.rows is None:
            return self.text == other.text
        return same_result(self.rows, other.rows)


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    sampling = Sampling(temperature=settings.temperature)
    thinker = explorer(settings.role, sampling, settings.max_calls, settings.rows, settings.insertion)

    async def explore(state: State, ctx: Context) -> dict[str, Any]:
        line = await thinker.begin(ctx, await question_with_schema(ctx, settings.role))
        leaves = await _grow(ctx, thinker, Leaf(line, None, 0), settings.leaves, settings.branches)
        return {"leaves": [ctx.keep(leaf) for leaf in leaves]}

    async def vote(state: State, ctx: Context) -> dict[str, Any]:
        leaves = [ctx.recall(key, Leaf) for key in state["leaves"]]
        _decide(ctx, leaves, await _results(ctx, leaves))
        return {}

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "explore", explore)
    add_node(graph, "vote", vote)
    graph.add_edge(START, "explore")
    graph.add_edge("explore", "vote")
    graph.add_edge("vote", END)
    return graph


def shares(leaves: int, branches: int) -> list[int]:
    """`leaves` shared out among `branches` at most, evenly, the larger shares first."""
    parts = min(leaves, branches)
    return [leaves // parts + (i < leaves % parts) for i in range(parts)]


async def _grow(ctx: Context, thinker: Tagged, at: Leaf, leaves: int, branches: int) -> list[Leaf]:
    """The leaves below a line of thought, in the order of their branches."""
    while not at.line.ended:
        seen = await thinker.act(ctx, at.line)
        _node(ctx, at, seen)
        parts = shares(leaves, branches) if seen.result is not None else [leaves]
        if len(parts) > 1:
            return await _split(ctx, thinker, at, seen, parts, branches)
        at = Leaf(await thinker.go_on(ctx, at.line, seen), at.call_id, at.depth + 1)
    solution = final_query(at.line)
    if ctx.run.best is None or (ctx.run.best.answer is None and solution.answer is not None):
        ctx.propose(solution.proposal)
    return [at]


async def _split(ctx: Context, thinker: Tagged, at: Leaf, seen: Seen, parts: list[int], branches: int) -> list[Leaf]:
    names = [f"way-{i}" for i in range(1, len(parts) + 1)]
    share = dict(zip(names, parts, strict=True))

    async def follow(branch: Context) -> list[Leaf]:
        line = await thinker.go_on(branch, at.line, seen)
        own = share[branch.branch.path.rsplit("/", 1)[-1]]
        return await _grow(branch, thinker, Leaf(line, at.call_id, at.depth + 1), own, branches)

    return [leaf for grown in await fan_out(ctx, names, follow) for leaf in grown]


def _node(ctx: Context, at: Leaf, seen: Seen) -> None:
    _tree(ctx, at, at.line.action, seen.text, None, terminal=False)


def _tree(
    ctx: Context, at: Leaf, action: str | None, observation: str | None, value: float | None, *, terminal: bool
) -> None:
    ctx.record(
        "tree",
        id=at.call_id,
        up=at.up,
        depth=at.depth,
        call_id=at.call_id,
        action=action,
        observation=observation,
        value=value,
        visits=None,
        q=None,
        prior=None,
        terminal=terminal,
    )


async def _results(ctx: Context, leaves: list[Leaf]) -> dict[str, Brought | None]:
    """What each final query brings, None where it fails; a query that several leaves have is run once."""
    results: dict[str, Brought | None] = {}
    for leaf in leaves:
        query = leaf.line.answer
        if query is not None and query not in results:
            results[query] = await _run(ctx, query, leaf.call_id, len(results) + 1)
    return results


async def _run(ctx: Context, query: str, parent: str, number: int) -> Brought | None:
    result = await ctx.use(ToolCall(f"final-{number}", "sql", json.dumps({"query": query}, ensure_ascii=False)), parent)
    if result.status != "ok":
        return None
    tool = ctx.run.tools["sql"]
    if not isinstance(tool, QueryTool) or tool.whole is None:
        return Brought(result.content, None)
    try:
        return Brought(result.content, (await tool.whole(query, ctx.branch.session)).rows)
    except QueryFailed:  # as a whole it takes too long
        return None


def _decide(ctx: Context, leaves: list[Leaf], results: dict[str, Brought | None]) -> None:
    """Propose the first query of the largest group that brought the same; of equal groups, the one that has the leaf
    that comes first. Where none brought anything, the first query that could be read."""
    groups: list[list[Leaf]] = []
    for leaf in leaves:
        brought = results.get(leaf.line.answer or "")
        if brought is None:
            continue
        alike = next((group for group in groups if brought.like(_brought(results, group[0]))), None)
        if alike is None:
            groups.append([leaf])
        else:
            alike.append(leaf)
    winner = max(groups, key=len, default=None)  # the first of the largest
    for leaf in leaves:
        size = next((len(group) for group in groups if leaf in group), 0)
        brought = results.get(leaf.line.answer or "")
        value = size / len(leaves) if size else None
        _tree(ctx, leaf, leaf.line.answer, brought.text if brought else None, value, terminal=True)
    readable = [leaf for leaf in leaves if leaf.line.answer is not None]
    chosen = winner[0] if winner else (readable or leaves)[0]
    ctx.propose(final_query(chosen.line).proposal)
    votes = {str(group[0].line.answer): len(group) for group in groups}
    abstained = len(leaves) - sum(votes.values())
    ctx.emit("vote", votes=votes, samples=len(leaves), of=len(leaves))
    ctx.record("vote", votes=votes, abstained=abstained, samples=len(leaves), of=len(leaves))


def _brought(results: dict[str, Brought | None], leaf: Leaf) -> Brought:
    brought = results[leaf.line.answer or ""]
    assert brought is not None
    return brought
