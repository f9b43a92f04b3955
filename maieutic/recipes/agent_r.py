"""`agent_r`: a bad way of a search up to its first bad step, a change of mind, and the good way from where they part.

Agent-R (Yuan et al. 2025, arXiv 2501.11425): the bad steps are shown and not learnt; the change of mind and the good
way are. Beside these splices there are the good ways alone, and pairs at each fork, the good step above the bad one.

Deviations: the paper asks the actor of each step whether it is good, bad or uncertain; here the values that the search
recorded tell that (by default the same model is asked for them). It also keeps whole bad ways on which no step was
called bad; here these are left out and counted. Leaves are good where their answer is right and bad where it is wrong,
so that its two thresholds on scores between 0 and 1 are not needed. `shape=text` writes a row as one reply, a step a
line, for models whose steps are lines (`stepper=line-stepper`), in place of the paper's turns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import Asking, asked_as, go_on, said, step_turns
from maieutic.recipes.groups import Attempt, Known, by_task, drop_kept, pick
from maieutic.recipes.items import Dialogue, Item, Pair, Reply, Turn
from maieutic.recipes.linearise import Tree, TreeNode, tree_of, way_to
from maieutic.recipes.recipe import Tally, recipe
from maieutic.trace.record import CallRecord

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
Shape = Literal["turns", "text"]
Way = list[TreeNode]


@recipe("agent_r", needs="verified runs of `tree`", gives="dialogues, pairs")
def agent_r(
    runs: Candidates,
    tally: Tally,
    *,
    bad: float = 0.2,
    most: int = 4,
    abandoned: bool = False,
    rows: Rows = "all",
    shape: Shape = "turns",
    prompt: Asking = "plain",
    change: str = "",
) -> Iterator[Item]:
    """Runs of the graph `tree`. A step is bad where its state was valued `bad` or less; `most` pairs of a good and a
    bad way are taken from a run. With `abandoned` a way is bad, too, that ends at a bad step because the search left it
    there: for searches whose values are sure. With `prompt` "own" a row's question stands under the prompt that the
    steps had. `change` is what is said in place of the ten changes of mind, for a model that can't spell them. Raises
    UserError where no run has a tree."""
    changes = (change,) if change else CHANGES
    write = _Text(prompt, changes) if shape == "text" else _Turns(prompt, changes)
    trees = 0
    for group in by_task(runs, tally, "agent_r"):
        known = Known(group)
        for attempt in group:
            tree = tree_of(attempt.run)
            trees += bool(tree)
            ways = list(_ways(tree, known))
            good = [way for right, way in ways if right]
            wrong = [way for right, way in ways if right is False]
            if abandoned:
                wrong += _abandoned(tree, [*good, *wrong], bad)
            items = list(_items(attempt, good, wrong, tally, bad, most, rows, write))
            if not items:
                drop_kept(tally, "no good way, or no bad one to splice" if tree else "no search tree")
            yield from items
    if tally.seen and not trees:
        raise UserError("The recipe agent_r needs search trees: collect with --graph tree.")


def _ways(tree: Tree, known: Known) -> Iterator[tuple[bool | None, Way]]:
    """The ways to the leaves, each with whether its answer is right."""
    for node in tree.values():
        if node.terminal and node.answer is not None:
            yield known.right(node.answer), way_to(tree, node)


def _abandoned(tree: Tree, ended: list[Way], bad: float) -> list[Way]:
    """The ways to the first bad steps that none of the ways to an answer, right or wrong, goes through."""
    known = {node.id for way in ended for node in way}
    ways = [way_to(tree, node) for node in tree.values() if _is_bad(node, bad) and node.id not in known]
    return [way for way in ways if not any(_is_bad(node, bad) for node in way[:-1])]


def _items(
    attempt: Attempt,
    good: list[Way],
    wrong: list[Way],
    tally: Tally,
    bad: float,
    most: int,
    rows: Rows,
    write: "_Turns | _Text",
) -> Iterator[Item]:
    if rows in ("good", "all"):
        ids = (attempt.run.header.run_id,)
        yield from (Dialogue(write.good(attempt, way), ids, {"row": "good"}) for way in good)
    forks: set[tuple[str, str]] = set()
    for right, false in list(product(good, wrong))[:most]:
        fork = sum(a.id == b.id for a, b in zip(right, false, strict=False))
        cut = next((i for i in range(fork, len(false)) if _is_bad(false[i], bad)), None)
        if rows in ("splices", "all"):
            if cut is None:
                tally.counts["bad_ways_without_a_bad_step"] += 1
            else:
                yield _splice(attempt, right, false, fork, cut, write)
        sides = (right[fork].id, false[fork].id)
        if rows in ("pairs", "all") and sides not in forks and (pair := _pair(attempt, right[fork], false[fork])):
            forks.add(sides)
            yield pair


def _is_bad(node: TreeNode, bad: float) -> bool:
    return node.value is not None and node.value <= bad


@dataclass(frozen=True, slots=True)
class _Turns:
    """A way as the paper has it: a turn a step, and after each but the last its tool's words, or one to go on."""

    prompt: Asking
    changes: tuple[str, ...]

    def good(self, attempt: Attempt, way: Way) -> tuple[Turn, ...]:
        return (*asked_as(attempt, self.prompt), *step_turns(way[1:], _calls(attempt), learn=True)[:-1])

    def splice(self, attempt: Attempt, shared: Way, bad: Way, change: str, good: Way) -> tuple[Turn, ...]:
        calls = _calls(attempt)
        return (
            *asked_as(attempt, self.prompt),
            *step_turns(shared, calls, learn=False),
            *step_turns(bad, calls, learn=False),
            said(change, author="template"),
            go_on(),
            *step_turns(good, calls, learn=True)[:-1],
        )


@dataclass(frozen=True, slots=True)
class _Text:
    """A way as one reply of the solver, a step a line."""

    prompt: Asking
    changes: tuple[str, ...]

    def good(self, attempt: Attempt, way: Way) -> tuple[Turn, ...]:
        return (*asked_as(attempt, self.prompt), said(_lines(way[1:])))

    def splice(self, attempt: Attempt, shared: Way, bad: Way, change: str, good: Way) -> tuple[Turn, ...]:
        begun = said(_lines([*shared, *bad]), learn=False)
        return (*asked_as(attempt, self.prompt), begun, said(f"\n{change}\n{_lines(good)}", continues=True))


def _splice(attempt: Attempt, right: Way, false: Way, fork: int, cut: int, write: _Turns | _Text) -> Dialogue:
    """What both ways share is learnt from the good way alone, and so not here."""
    run_id = attempt.run.header.run_id
    change = pick(write.changes, "agent_r", run_id, false[cut].id, right[-1].id)
    turns = write.splice(attempt, right[1:fork], false[fork : cut + 1], change, right[fork:])
    return Dialogue(turns, (run_id,), {"row": "splice", "bad_steps": cut + 1 - fork, "fork": right[fork - 1].id})


def _lines(way: Way) -> str:
    return "\n".join(f"{node.action}\n{node.observation}" if node.observation else node.action for node in way)


def _calls(attempt: Attempt) -> dict[str, CallRecord]:
    return {call.call_id: call for call in attempt.run.calls}


def _pair(attempt: Attempt, right: TreeNode, false: TreeNode) -> Pair | None:
    """The steps of siblings, which were sampled after the same prompt; None where their calls are not recorded, or are
    parts of a turn, since a pair is of whole ones."""
    calls = _calls(attempt)
    chosen, rejected = calls.get(right.call_id), calls.get(false.call_id)
    if chosen is None or rejected is None or chosen.completion is None or rejected.completion is None:
        return None
    if chosen.request.goes_on or chosen.request.sampling.stop:
        return None
    sides = (Reply(chosen.completion.message(), chosen), Reply(rejected.completion.message(), rejected))
    return Pair(chosen.request.messages, *sides, "fork", (attempt.run.header.run_id,), {"row": "pair"})
