"""A recorded search tree as one long thought: into wrong steps and back out of them, and on to the answer.

Journey learning (Qin et al. 2024, "O1 Replication Journey: A Strategic Progress Report", arXiv 2410.18982): a
depth-first walk that enters at most `wrong` wrong children before the right one; exploratory learning (Yu et al. 2024,
ExACT, arXiv 2410.02052) linearises a search likewise. Steps and what tools said stay as they are: what is put between
them says only that one goes back, and to where.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from maieutic.trace.record import RunRecord


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A node as its last `tree` event tells of it; `tool` has id, name and arguments where it is a tool call."""

    id: str
    up: str | None
    action: str
    observation: str | None
    value: float | None
    visits: int
    q: float | None
    prior: float
    terminal: bool
    answer: str | None = None
    tool: Mapping[str, str] | None = None
    call_id: str = ""

    @property
    def worth(self) -> float | None:
        """The mean of what was found from here on, or its own value; None where neither is known."""
        return self.value if self.q is None else self.q


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a walk: a step to the node, or back to it over `levels` levels."""

    kind: Literal["step", "back"]
    node: TreeNode
    levels: int = 0


Tree = dict[str, TreeNode]


def tree_of(run: RunRecord) -> Tree:
    """The nodes of a recorded search by their ids, in the order they were made; empty where there was none."""
    found: Tree = {}
    for event in run.events_of("tree"):
        known = {name: event.fields.get(name) for name in TreeNode.__slots__}
        found[known["id"]] = TreeNode(**{**known, "call_id": known["call_id"] or ""})  # type: ignore[index, arg-type]
    return found


def goal_of(run: RunRecord, tree: Tree) -> TreeNode | None:
    """The final node that gave the run's answer; None where it was none of the tree's."""
    call = run.finish.fields.get("answer_call") if run.finish else None
    found = [node for node in tree.values() if node.terminal and node.answer is not None and node.call_id == call]
    return found[0] if call is not None and found else None


def way_to(tree: Tree, node: TreeNode) -> list[TreeNode]:
    """From the root to a node."""
    way = [node]
    while way[-1].up is not None:
        way.append(tree[way[-1].up])
    return way[::-1]


def linearise(tree: Tree, goal: TreeNode, *, wrong: int = 1, deep: int = 1) -> tuple[Move, ...]:
    """The walk from the root to `goal`, with at most `wrong` wrong children entered before each right one, each of them
    followed down to at most `deep` levels along what was visited most.

    A wrong child was visited, and found to be worth less than the right one; one that ends in the goal's own answer is
    not wrong, nor is one whose worth is missing. The most visited ones are entered first, as the search was tempted.
    """
    children: dict[str, list[TreeNode]] = {}
    for node in tree.values():
        if node.up is not None:
            children.setdefault(node.up, []).append(node)
    moves: list[Move] = []
    way = way_to(tree, goal)
    for here, right in zip(way, way[1:], strict=False):
        rivals = [n for n in children.get(here.id, []) if n.id != right.id and _is_wrong(n, right, goal)]
        for rival in _by_visits(rivals)[:wrong]:
            into = _down(rival, children, goal, deep)
            moves += [Move("step", node) for node in into]
            moves.append(Move("back", here, len(into)))
        moves.append(Move("step", right))
    return tuple(moves)


def ends_at(moves: Iterable[Move], root: TreeNode) -> list[TreeNode]:
    """Where one stands after the moves: the steps that were taken and not taken back, from the root on.

    Raises ValueError for moves that don't follow from each other.
    """
    stack = [root]
    for move in moves:
        if move.kind == "step":
            if move.node.up != stack[-1].id:
                raise ValueError(f"There is no step from {stack[-1].id} to {move.node.id}.")
            stack.append(move.node)
        else:
            del stack[len(stack) - move.levels :]
            if not stack or stack[-1].id != move.node.id:
                raise ValueError(f"Going {move.levels} levels back does not lead to {move.node.id}.")
    return stack


def calls_after(moves: Iterable[Move], root: TreeNode) -> list[Mapping[str, str]]:
    """The tool calls whose replay brings back the state after the moves: those of the steps not taken back."""
    return [node.tool for node in ends_at(moves, root) if node.tool is not None]


def as_text(moves: Sequence[Move], root: TreeNode) -> str:
    """The walk as a thought in the first person. Steps stand in it word for word."""
    parts: list[str] = []
    depth = 0
    for move in moves:
        if move.kind == "step":
            depth += 1
            observed = f"\n{move.node.observation}" if move.node.observation is not None else ""
            parts.append(move.node.action + observed)
        else:
            depth -= move.levels
            parts.append(going_back(move, depth))
    return "\n\n".join(parts)


def going_back(move: Move, depth: int) -> str:
    """What is said where one goes back to `depth` steps from the beginning."""
    if depth == 0:
        return "No, this does not lead to the answer. I begin again, and take another first step."
    over = "the last step" if move.levels == 1 else f"the last {move.levels} steps"
    return f"No, this does not lead to the answer. I take back {over}, and go on from: {_shortened(move.node.action)}"


def _shortened(text: str, most: int = 160) -> str:
    words = " ".join(text.split())
    return words if len(words) <= most else words[:most].rsplit(" ", 1)[0] + " …"


def _is_wrong(node: TreeNode, right: TreeNode, goal: TreeNode) -> bool:
    if node.visits == 0 or node.worth is None or right.worth is None or node.worth >= right.worth:
        return False
    return node.answer is None or node.answer != goal.answer


def _by_visits(nodes: Iterable[TreeNode]) -> list[TreeNode]:
    return sorted(nodes, key=lambda node: (-node.visits, -node.prior))


def _down(node: TreeNode, children: Mapping[str, list[TreeNode]], goal: TreeNode, deep: int) -> list[TreeNode]:
    """A wrong step and what was tried most after it; not what came to the goal's own answer after all."""
    way = [node]
    while len(way) < deep:
        further = [n for n in _by_visits(children.get(way[-1].id, [])) if n.visits and n.answer != (goal.answer or "")]
        if not further:
            break
        way.append(further[0])
    return way
