"""`agent_r`: a bad way of a search up to its first bad step, a change of mind, and the good way from where they part.

Agent-R (Yuan et al. 2025, arXiv 2501.11425): the bad steps are shown and not learnt; the change of mind and the good
way are. Beside these splices there are the good ways alone, and pairs at each fork, the good step above the bad one.

Deviations: the paper asks the actor of each step whether it is good, bad or uncertain; here the values that the search
recorded tell that (by default the same model is asked for them). It also keeps whole bad ways on which no step was
called bad; here these are left out and counted. Leaves are good where their answer is right and bad where it is wrong,
so that its two thresholds on scores between 0 and 1 are not needed.
"""

from collections.abc import Iterator
from itertools import product
from typing import Literal

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import asked, go_on, said, step_turns
from maieutic.recipes.groups import Attempt, Known, by_task, drop_kept, pick
from maieutic.recipes.items import Dialogue, Item, Pair, Reply, Turn
from maieutic.recipes.linearise import Tree, TreeNode, tree_of, way_to
from maieutic.recipes.recipe import Tally, recipe

CHANGES = (
    "Wait, that step was a mistake. I leave this way and try another one.",
    "I don't trust what I just did. I take it back and begin again from before it.",
    "Looking at this again, the last step can't be right. Another way is needed.",
    "This leads nowhere: the mistake is in the step I just took. I do it differently.",
    "Something is wrong here. I drop this line of thought and go back.",
    "That was the wrong move. What I had before it still holds, so I go on from there.",
    "Checking this, I find an error in my last step. I correct my course.",
    "I have gone astray with this step. I think anew about what to do instead.",
    "No, this doesn't fit the question. I go back to where it still did.",
    "I see that I was wrong just now. I choose a different step.",
)

Rows = Literal["splices", "pairs", "good", "all"]


@recipe("agent_r", needs="verified runs of `tree`", gives="dialogues, pairs")
def agent_r(runs: Candidates, tally: Tally, *, bad: float = 0.2, most: int = 4, rows: Rows = "all") -> Iterator[Item]:
    """Runs of the graph `tree`. A step is bad where its state was valued `bad` or less; `most` pairs of a good and a
    bad way are taken from a run. Raises UserError where no run has a tree."""
    trees = 0
    for group in by_task(runs, tally, "agent_r"):
        known = Known(group)
        for attempt in group:
            tree = tree_of(attempt.run)
            trees += bool(tree)
            ways = list(_ways(tree, known))
            good = [way for right, way in ways if right]
            wrong = [way for right, way in ways if right is False]
            items = list(_items(attempt, good, wrong, tally, bad, most, rows))
            if not items:
                drop_kept(tally, "no good way, or no bad one to splice" if tree else "no search tree")
            yield from items
    if tally.seen and not trees:
        raise UserError("The recipe agent_r needs search trees: collect with --graph tree.")


def _ways(tree: Tree, known: Known) -> Iterator[tuple[bool | None, list[TreeNode]]]:
    """The ways to the leaves, each with whether its answer is right."""
    for node in tree.values():
        if node.terminal and node.answer is not None:
            yield known.right(node.answer), way_to(tree, node)


def _items(
    attempt: Attempt,
    good: list[list[TreeNode]],
    wrong: list[list[TreeNode]],
    tally: Tally,
    bad: float,
    most: int,
    rows: Rows,
) -> Iterator[Item]:
    if rows in ("good", "all"):
        yield from (_good(attempt, way) for way in good)
    forks: set[tuple[str, str]] = set()
    for right, false in list(product(good, wrong))[:most]:
        fork = sum(a.id == b.id for a, b in zip(right, false, strict=False))
        cut = next((i for i in range(fork, len(false)) if _is_bad(false[i], bad)), None)
        if rows in ("splices", "all"):
            if cut is None:
                tally.counts["bad_ways_without_a_bad_step"] += 1
            else:
                yield _splice(attempt, right, false, fork, cut)
        sides = (right[fork].id, false[fork].id)
        if rows in ("pairs", "all") and sides not in forks and (pair := _pair(attempt, right[fork], false[fork])):
            forks.add(sides)
            yield pair


def _is_bad(node: TreeNode, bad: float) -> bool:
    return node.value is not None and node.value <= bad


def _good(attempt: Attempt, way: list[TreeNode]) -> Dialogue:
    calls = {call.call_id: call for call in attempt.run.calls}
    turns = (*asked(attempt.run), *step_turns(way[1:], calls, learn=True)[:-1])
    return Dialogue(turns, (attempt.run.header.run_id,), {"row": "good"})


def _splice(attempt: Attempt, right: list[TreeNode], false: list[TreeNode], fork: int, cut: int) -> Dialogue:
    """What both ways share is learnt from the good way alone, and so not here."""
    run_id = attempt.run.header.run_id
    calls = {call.call_id: call for call in attempt.run.calls}
    change = pick(CHANGES, "agent_r", run_id, false[cut].id, right[-1].id)
    turns: tuple[Turn, ...] = (
        *asked(attempt.run),
        *step_turns(right[1:fork], calls, learn=False),
        *step_turns(false[fork : cut + 1], calls, learn=False),
        said(change, author="template"),
        go_on(),
        *step_turns(right[fork:], calls, learn=True)[:-1],
    )
    return Dialogue(turns, (run_id,), {"row": "splice", "bad_steps": cut + 1 - fork, "fork": right[fork - 1].id})


def _pair(attempt: Attempt, right: TreeNode, false: TreeNode) -> Pair | None:
    """The steps of siblings, which were sampled after the same prompt; None where their calls are not recorded."""
    calls = {call.call_id: call for call in attempt.run.calls}
    chosen, rejected = calls.get(right.call_id), calls.get(false.call_id)
    if chosen is None or rejected is None or chosen.completion is None or rejected.completion is None:
        return None
    sides = (Reply(chosen.completion.message(), chosen), Reply(rejected.completion.message(), rejected))
    return Pair(chosen.request.messages, *sides, "fork", (attempt.run.header.run_id,), {"row": "pair"})
