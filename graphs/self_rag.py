"""Look things up where it helps, write an answer part by part from each passage, grade the parts, keep the best path.

Self-RAG (Asai et al. 2023, arXiv 2310.11511): retrieval on demand, a part for every passage side by side, each graded
by relevance, support and use, and a beam over parts. Its reflection tokens are questions to any model here, answered by
the probabilities of one token, or in words where a model gives none; a judgement that can't be read is missing, and
paths with missing ones stand behind all others. As the paper has it and unlike its released code, scores of a path are
added, and each part looks up anew, with the question and the part before it.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from maieutic.agents.passage_grader import Grade, PassageGrader
from maieutic.agents.passages import NEEDED, Found, Passage, look_up
from maieutic.agents.registry import make_agent
from maieutic.agents.segment_writer import Segment, SegmentWriter
from maieutic.context import Context, Proposal
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.graph import GraphSettings, add_node
from maieutic.tasks.answers import canonical, extract
from maieutic.trace.record import Parent
from maieutic.types import Sampling

NEEDS = (NEEDED,)
STEPS = 64
CLOSED = ("choice", "boolean")
ROOT = "root"


class Settings(GraphSettings):
    retrieval: Literal["adaptive", "always", "never"] = "adaptive"
    """Whether to look something up for each part; `adaptive` asks the gate."""
    threshold: float = Field(default=0.2, ge=0, le=1)
    """Look up where the gate finds it more probable than this to help."""
    passages: int = Field(default=5, ge=1, le=20)
    """Passages for each part, each of which gets a part of its own."""
    beam: int = Field(default=2, ge=1, le=8)
    """Paths that are gone on with."""
    depth: int = Field(default=4, ge=1, le=16)
    """Parts of an answer at most; the last one has to end it."""
    pick: Literal["auto", "path", "sum"] = "auto"
    """`path` takes the best path; `sum` writes the answer in one part and adds up the scores of equal answers; `auto`
    sums where the task is a choice or a yes-no question."""
    w_relevance: float = 1.0
    w_support: float = 1.0
    w_use: float = 0.5
    """Weights of the judgements in a part's score."""
    sequence_score: bool = False
    """Add exp(mean log-probability) of a part's tokens to its score."""
    drop_contradicted: bool = False
    """Leave parts out of the final text that their passage does not support; never the one with the answer."""
    temperature: float | None = Field(default=0.0, ge=0)
    """Sampling temperature of the writer; None leaves it to the run."""
    gate: str = "retrieval-gate"
    writer: str = "segment-writer"
    grader: str = "passage-grader"
    """Agents by name or `package.module:name`."""


class State(TypedDict, total=False):
    depth: int
    beam: list[str]
    found: list[str | None]
    grown: list[str]
    leaves: list[str]


@dataclass(frozen=True, slots=True)
class Path:
    """An answer as far as it is written. `score` adds up the scores of its parts, `missing` counts parts without one;
    `call_id` is the call of its last part, and `ended` says that nothing is to follow."""

    call_id: str = ROOT
    parts: tuple[str, ...] = ()
    contradicted: tuple[bool, ...] = ()
    score: float = 0.0
    missing: int = 0
    answer: str | None = None
    ended: bool = False

    @property
    def text(self) -> str:
        return "\n".join(self.parts)

    def proposal(self, drop: bool) -> Proposal:
        """The path as an answer, without the contradicted parts where they are to be dropped."""
        last = len(self.parts) - 1
        pairs = enumerate(zip(self.parts, self.contradicted, strict=True))
        text = "\n".join(part for i, (part, false) in pairs if not (drop and false and i < last))
        return Proposal(self.answer, text, self.call_id)


def build(settings: Settings) -> "StateGraph[State, Context, State, State]":
    work = _Work(settings)

    async def seek(state: State, ctx: Context) -> dict[str, Any]:
        paths = [ctx.recall(key, Path) for key in state["beam"]] if "beam" in state else [_root(ctx)]
        depth = state.get("depth", 0) + 1
        found = await work.seek(ctx, paths, depth)
        keys = [ctx.keep(one) if one is not None and one.passages else None for one in found]
        return {"depth": depth, "beam": [ctx.keep(path) for path in paths], "found": keys}

    async def grow(state: State, ctx: Context) -> dict[str, Any]:
        pairs: list[tuple[Path, Passage | None]] = []
        for key, found in zip(state["beam"], state["found"], strict=True):
            passages = ctx.recall(found, Found).passages if found is not None else (None,)
            pairs += [(ctx.recall(key, Path), passage) for passage in passages]
        return {"grown": [ctx.keep(path) for path in await work.grow(ctx, pairs, state["depth"])]}

    async def select(state: State, ctx: Context) -> dict[str, Any]:
        grown = ranked([ctx.recall(key, Path) for key in state["grown"]])
        if work.sums(ctx):
            ctx.propose(_summed(ctx, grown, settings.drop_contradicted))
            return {"beam": []}
        leaves = [ctx.recall(key, Path) for key in state.get("leaves", [])]
        kept = grown[: settings.beam]
        ctx.propose(ranked([*leaves, *kept])[0].proposal(settings.drop_contradicted))
        ended = [path for path in kept if path.ended]
        return {
            "leaves": [ctx.keep(path) for path in [*leaves, *ended]],
            "beam": [ctx.keep(path) for path in kept if not path.ended],
        }

    graph = StateGraph(State, context_schema=Context)
    add_node(graph, "seek", seek)
    add_node(graph, "grow", grow)
    add_node(graph, "select", select)
    graph.add_edge(START, "seek")
    graph.add_edge("seek", "grow")
    graph.add_edge("grow", "select")
    graph.add_conditional_edges("select", lambda state: "seek" if state["beam"] else END, ["seek", END])
    return graph


class _Work:
    """What the nodes do, with their agents."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._gate = make_agent(settings.gate)
        self._writer: SegmentWriter = make_agent(settings.writer, Sampling(temperature=settings.temperature))
        self._grader: PassageGrader = make_agent(settings.grader)

    def sums(self, ctx: Context) -> bool:
        pick = self._settings.pick
        return pick == "sum" or (pick == "auto" and ctx.task["answer_type"] in CLOSED)

    async def seek(self, ctx: Context, paths: list[Path], depth: int) -> list[Found | None]:
        """What was found for each path; None where nothing was looked up, or that failed."""
        found: list[Found | None] = [None] * len(paths)
        if self._settings.retrieval == "never":
            return found
        names = {f"seek-{depth}-{i}": i - 1 for i in range(1, len(paths) + 1)}

        async def work(branch: Context) -> None:
            i = _number(branch, names)
            if await self._wanted(branch, paths[i], depth):
                last = paths[i].parts[-1:]
                query = "\n".join([branch.task["question"], *last])
                parent = paths[i].call_id if last else ""
                hits = await look_up(branch, query, self._settings.passages, parent, depth)
                found[i] = replace(hits, call_id=paths[i].call_id)

        await fan_out(ctx, list(names), work)
        return found

    async def _wanted(self, ctx: Context, path: Path, depth: int) -> bool:
        """Whether to look something up. Without a readable word of the gate it is done: passages are graded anyway."""
        if self._settings.retrieval == "always":
            return True
        need = await self._gate(ctx, path.text, parents=_parents(path))
        threshold = self._settings.threshold
        wanted = need.probability is None or need.probability > threshold
        figures = {"probability": need.probability, "threshold": threshold, "method": need.method, "depth": depth}
        ctx.gate("retrieve", "retrieve" if wanted else "skip", **figures, path=path.call_id)
        return wanted

    async def grow(self, ctx: Context, pairs: list[tuple[Path, Passage | None]], depth: int) -> list[Path]:
        """The paths with one more part, one for each passage; those whose branch failed are left out."""
        names = {f"part-{depth}-{i}": i - 1 for i in range(1, len(pairs) + 1)}
        last = depth == self._settings.depth or self.sums(ctx)

        async def work(branch: Context) -> Path:
            path, passage = pairs[_number(branch, names)]
            segment = await self._writer(branch, path.text, passage, last, parents=_parents(path))
            judged = (Parent(segment.call_id, "judge"),)
            grade = await self._grader(branch, segment.text, path.text, passage, parents=judged)
            return self._longer(branch, path, passage, segment, grade, last)

        return await fan_out(ctx, list(names), work)

    def _longer(
        self, ctx: Context, path: Path, passage: Passage | None, segment: Segment, grade: Grade, last: bool
    ) -> Path:
        score = self.score(segment, grade)
        answer = extract(segment.text, ctx.task["answer_type"])
        longer = Path(
            segment.call_id,
            (*path.parts, segment.text),
            (*path.contradicted, grade.contradicted),
            path.score + (score or 0.0),
            path.missing + (score is None),
            answer,
            last or answer is not None or not segment.text,
        )
        _record(ctx, path, longer, passage, grade, score)
        return longer

    def score(self, segment: Segment, grade: Grade) -> float | None:
        """The weighted sum of the judgements; None where one of them is missing."""
        weights = (self._settings.w_relevance, self._settings.w_support, self._settings.w_use)
        terms = list(zip(weights, grade.terms(), strict=True))
        if self._settings.sequence_score:
            terms.append((1.0, None if segment.logprob is None else math.exp(segment.logprob)))
        found = [weight * term for weight, term in terms if term is not None]
        return sum(found) if len(found) == len(terms) else None


def ranked(paths: list[Path]) -> list[Path]:
    """Best first: fewest missing scores, then the highest sum; equal ones keep their order."""
    return sorted(paths, key=lambda path: (path.missing, -path.score))


def _summed(ctx: Context, grown: list[Path], drop: bool) -> Proposal:
    """The answer whose parts have the highest sum of scores; a part without score or readable answer abstains."""
    groups: dict[Hashable, list[Path]] = {}
    for path in grown:
        key = None if path.answer is None or path.missing else canonical(path.answer, ctx.task["answer_type"])
        if key is not None:
            groups.setdefault(key, []).append(path)
    sums = {str(group[0].answer): sum(path.score for path in group) for group in groups.values()}
    ctx.record("vote", votes=sums, abstained=len(grown) - sum(map(len, groups.values())), samples=len(grown))
    ctx.emit("vote", votes=sums, samples=len(grown), of=len(grown))
    best = max(groups.values(), key=lambda group: sum(path.score for path in group), default=grown)
    return best[0].proposal(drop)


def _root(ctx: Context) -> Path:
    ctx.record("tree", id=ROOT, up=None, depth=0, call_id=None, value=None, terminal=False)
    return Path()


def _parents(path: Path) -> tuple[Parent, ...]:
    return (Parent(path.call_id, "continuation"),) if path.parts else ()


def _number(ctx: Context, names: dict[str, int]) -> int:
    return names[ctx.branch.path.rsplit("/", 1)[-1]]


def _record(ctx: Context, path: Path, longer: Path, passage: Passage | None, grade: Grade, score: float | None) -> None:
    of, place = longer.call_id, None if passage is None else passage.place
    ctx.record(
        "tree",
        id=of,
        up=path.call_id,
        depth=len(longer.parts),
        call_id=of,
        action="part",
        observation=place,
        value=score,
        q=None if longer.missing else longer.score,
        terminal=longer.ended,
    )
    shares = {"isrel": grade.relevance, "issup": grade.support, "isuse": grade.use}
    for name, share in shares.items():
        value = None if share is None else max(share, key=lambda option: share[option])
        ctx.record("label", of=of, name=name, value=value, shares=share)
    ctx.record("reward", scope="call", of=of, name="part", value=score)
