"""A search tree: nodes with visits, values and priors, selection by PUCT, and the running means of what was found.

The rule is that of AlphaGo Zero (Silver et al. 2017), with priors and constants as in ExACT (Yu et al. 2024, arXiv
2410.02052). A value that could not be had is missing: it is counted as a visit, so that the search goes on elsewhere,
and moves no mean; nothing is taken for 0.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from maieutic.types import ToolCall, ToolResult


@dataclass(eq=False, slots=True)
class Node:
    """A state: what was done so far, the last thing being `action`.

    `call` and `result` are there where the action is a tool call; `result` once it was run. `value` is what the state
    was found to be worth, None where it was not asked or can't be told; `answer` is that of a final step.
    """

    id: str
    parent: "Node | None" = None
    action: str = ""
    call_id: str = ""
    prior: float = 1.0
    call: ToolCall | None = None
    result: ToolResult | None = None
    answer: str | None = None
    terminal: bool = False
    value: float | None = None
    visits: int = 0
    valued: int = 0
    total: float = 0.0
    evaluated: bool = False
    expanded: bool = False
    committed: bool = False
    children: "list[Node]" = field(default_factory=list)

    @property
    def q(self) -> float | None:
        """The mean of all values found at this state and beyond it; None where there are none."""
        return self.total / self.valued if self.valued else None

    @property
    def depth(self) -> int:
        return len(self.path()) - 1

    def path(self) -> "list[Node]":
        """From the root of all to this node."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    def subtree(self) -> "Iterator[Node]":
        """This node and all beyond it, in the order they were made."""
        yield self
        for child in self.children:
            yield from child.subtree()

    def fields(self) -> dict[str, Any]:
        """What a `tree` event says of it."""
        call = self.call
        return {
            "id": self.id,
            "up": self.parent.id if self.parent else None,
            "depth": self.depth,
            "call_id": self.call_id,
            "action": self.action,
            "observation": self.result.content if self.result else None,
            "value": self.value,
            "visits": self.visits,
            "q": self.q,
            "prior": self.prior,
            "terminal": self.terminal,
            "answer": self.answer,
            "committed": self.committed,
            "tool": {"id": call.id, "name": call.name, "arguments": call.arguments} if call else None,
        }


def score(node: Node, c: float) -> float:
    """PUCT: the mean value (0 while there is none), and a bonus for what is probable and little visited."""
    assert node.parent is not None
    return (node.q or 0.0) + c * node.prior * math.sqrt(max(1, node.parent.visits)) / (1 + node.visits)


def select(root: Node, c: float, depth: int) -> Node:
    """Descend from `root` by the highest score, `depth` levels at most, to a node that has no children. Of equals the
    one that was made first is taken."""
    node = root
    for _ in range(depth):
        if not node.children:
            break
        node = max(node.children, key=lambda child: score(child, c))
    return node


def back_up(node: Node, value: float | None) -> list[Node]:
    """Count a visit at `node` and all before it, and the value where there is one; the nodes that changed."""
    path = node.path()
    for one in path:
        one.visits += 1
        if value is not None:
            one.valued += 1
            one.total += value
    return path


def most_visited(root: Node) -> Node | None:
    """The child to be committed to: by visits, then by mean value (none is last), then by prior; None without any."""

    def rank(child: Node) -> tuple[int, float, float]:
        return child.visits, -math.inf if child.q is None else child.q, child.prior

    return max(root.children, key=rank) if root.children else None


def surprise(path: list[Node]) -> tuple[Node, float] | None:
    """The step of a committed path whose outcome was least expected, and by how much: its own value against the mean of
    what was found beyond it, or against that of the next step. None where no two values are there to compare."""
    found: list[tuple[float, int]] = []
    for i, node in enumerate(path):
        later = [node.q, path[i + 1].q if i + 1 < len(path) else None]
        errors = [abs(node.value - q) for q in later if node.value is not None and q is not None]
        if errors:
            found.append((max(errors), -i))
    if not found:
        return None
    error, place = max(found)
    return path[-place], error
