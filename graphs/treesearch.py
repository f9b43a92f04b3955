"""The work at one search tree: its nodes sampled, run, valued and recorded."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol, TypeVar

from maieutic.agents.agent import Agent
from maieutic.agents.stepper import Step
from maieutic.agents.valuer import STATUSES, Argument
from maieutic.context import Context, Proposal
from maieutic.errors import BudgetExceeded, TraceError, UserError
from maieutic.graphs.fanout import fan_out
from maieutic.graphs.puct import Node, back_up, select

T = TypeVar("T")
MAPPINGS = {"plain": (1.0, 0.9, 0.5, 0.2, 0.0), "reinforced": (1.0, 0.7, 0.5, -0.2, -1.0)}


class Rules(Protocol):
    """What a search is told; see the settings of the graph `tree`."""

    branching: int
    samples: int
    depth: int
    exploration: float
    debate: bool
    judges: int
    mapping: Literal["plain", "reinforced"]


class Search:
    """One question's tree. `trunk` is where all began, `root` the node that was committed to last."""

    call_id = "trunk"  # under which the run keeps it: there is one a run

    def __init__(
        self,
        rules: Rules,
        stepper: Agent[Step | None],
        valuer: Agent[str | None],
        arguers: tuple[Agent[Argument], Agent[Argument]],
    ) -> None:
        self._rules, self._stepper, self._valuer, self._arguers = rules, stepper, valuer, arguers
        self.trunk = self.root = Node("n0")
        self.best: Node | None = None
        self.made = 1
        self.notes = ""

    async def iterate(self, ctx: Context) -> Node | None:
        """One visit: select a node, bring it up to date, back its value up. The node, if it solves the question."""
        node = select(self.root, self._rules.exploration, self._rules.depth)
        if not node.terminal and not node.expanded and (node is self.root or node.visits):
            if node.depth - self.root.depth < self._rules.depth:
                await self._expand(ctx, node)
                node = select(node, self._rules.exploration, 1)
        await self._run(ctx, node)
        await self._evaluate(ctx, node)
        for changed in back_up(node, node.value):
            self.record(ctx, changed)
        self._propose(ctx, node)
        return node if node.value == 1.0 and node is not self.root else None

    def commit(self, ctx: Context, node: Node) -> None:
        """Take all steps from the root to `node`."""
        for one in node.path()[self.root.depth + 1 :]:
            one.committed = True
            self.record(ctx, one)
        self.root = node

    def record(self, ctx: Context, node: Node) -> None:
        ctx.record("tree", **node.fields())

    async def _expand(self, ctx: Context, node: Node) -> None:
        """Sample steps side by side; the most frequent ones become children, with their frequency as prior.

        Where there are none, whether they could not be read or every call failed, the node is final, without an answer.
        """
        shown = texts(node)
        names = [f"{node.id}-step-{i}" for i in range(1, self._rules.samples + 1)]
        steps = await tolerant(ctx, names, lambda branch: self._stepper(branch, shown, self.notes, node.call_id))
        node.expanded = True
        read = [step for step in steps if step is not None]
        counts = Counter(step.key for step in read)
        first = {step.key: step for step in reversed(read)}
        for key, count in counts.most_common(self._rules.branching):
            node.children.append(self._child(node, first[key], count / len(read)))
        node.terminal = not node.children
        for child in node.children:
            self.record(ctx, child)

    def _child(self, node: Node, step: Step, prior: float) -> Node:
        name = f"n{self.made}"
        self.made += 1
        return Node(name, node, step.text, step.call_id, prior, step.call, None, step.answer, step.answer is not None)

    async def _run(self, ctx: Context, node: Node) -> None:
        """Run the tool call of a node at its first visit, in a session into which the calls before it are replayed."""
        if node.call is None or node.result is not None:
            return
        async with ctx.fork(f"{node.id}-tool") as branch:
            session = branch.branch.session
            for before in node.path()[:-1]:
                if before.call is not None and before.result is not None:
                    session.replayed(before.call, before.result)
            node.result = await branch.use(node.call, node.call_id)
            if session.differing:
                differing = [call.id for call in session.differing]
                branch.record("note", text="replayed calls came to something else", tree=node.id, calls=differing)

    async def _evaluate(self, ctx: Context, node: Node) -> None:
        """Value a node once; a value that can't be had is missing."""
        if node.evaluated or node is self.trunk:
            return
        node.evaluated = True
        shown, rules = texts(node), self._rules
        arguments: list[Argument] = []
        if rules.debate:
            sides = dict(zip((f"{node.id}-for", f"{node.id}-against"), self._arguers, strict=True))
            arguments = await tolerant(
                ctx, list(sides), lambda branch: sides[_name(branch)](branch, shown, node.call_id)
            )
        names = [f"{node.id}-value-{i}" for i in range(1, rules.judges + 1)]
        said = await tolerant(
            ctx, names, lambda branch: self._valuer(branch, shown, arguments, self.notes, node.call_id)
        )
        read = [status for status in said if status is not None]
        mapped = [MAPPINGS[rules.mapping][STATUSES.index(status)] for status in read]
        node.value = sum(mapped) / len(mapped) if mapped else None
        ctx.gate("value", "missing" if node.value is None else "known", tree=node.id, statuses=said, value=node.value)

    def _propose(self, ctx: Context, node: Node) -> None:
        """The final step of the highest value is the answer so far; one without a value only where none has one."""
        if node.answer is None:
            return
        known, best = node.value, self.best
        better = best is None or (known is not None and (best.value is None or known > best.value))
        if better:
            self.best = node
            ctx.propose(proposal_of(node))


def texts(node: Node) -> list[str]:
    """The steps from the trunk to a node, each with what its tool said."""
    shown = []
    for one in node.path()[1:]:
        result = f"\n[Result of {one.result.name}]\n{one.result.content}" if one.result else ""
        shown.append(one.action + result)
    return shown


def proposal_of(node: Node) -> Proposal:
    return Proposal(node.answer, "\n\n".join(texts(node)), node.call_id)


async def tolerant(ctx: Context, names: list[str], work: Callable[[Context], Awaitable[T]]) -> list[T]:
    """`fan_out`, but where all branches fail the list is empty, and not an error: that is recorded with each branch."""
    try:
        return await fan_out(ctx, names, work)
    except (UserError, TraceError, BudgetExceeded):
        raise
    except Exception:  # an own agent may raise anything
        return []


def _name(branch: Context) -> str:
    return branch.branch.path.rsplit("/", 1)[-1]


def success_of(path: list[Node], threshold: float) -> bool | None:
    """Whether the committed steps are thought to have succeeded, by their mean values; None where none is known."""
    known: list[Any] = [node.q for node in path if node.q is not None]
    return sum(known) / len(known) > threshold if known else None
