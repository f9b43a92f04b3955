"""`orca2`: for each question the cheapest strategy that solved it, with its instructions erased (Mitra et al. 2023,
arXiv 2311.11045): the student has to learn which strategy a question calls for.

A strategy is a graph with its settings. Only what the answering turn says is kept, after a system prompt that names no
strategy; a turn whose answer can't be read without the erased instructions is left out.
"""

from collections.abc import Iterator

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import CAUTIOUS, asked, said
from maieutic.recipes.groups import Attempt, by_task, drop_kept
from maieutic.recipes.items import Dialogue
from maieutic.recipes.recipe import Tally, recipe
from maieutic.tasks.answers import extract


@recipe("orca2", needs="verified runs of several graphs")
def orca2(runs: Candidates, tally: Tally, *, system: str = CAUTIOUS) -> Iterator[Dialogue]:
    """`system` stands in place of every strategy's own instructions."""
    for group in by_task(runs, tally, "orca2"):
        right = [attempt for attempt in group if attempt.right and _readable(attempt)]
        drop_kept(tally, "not right, or unreadable without its instructions", len(group) - len(right))
        if right:
            best = min(right, key=lambda attempt: (_tokens(attempt), attempt.run.header.run_id))
            drop_kept(tally, "a cheaper strategy solved it", len(right) - 1)
            yield _row(best, system)


def _row(attempt: Attempt, system: str) -> Dialogue:
    header = attempt.run.header
    turns = (*asked(attempt.run, system), said(attempt.text))
    meta = {"strategy": header.graph, "settings": header.settings, "tokens": _tokens(attempt)}
    return Dialogue(turns, (header.run_id,), meta)


def _readable(attempt: Attempt) -> bool:
    return extract(attempt.text, attempt.run.header.task.get("answer_type", "auto")) is not None


def _tokens(attempt: Attempt) -> int:
    usage = attempt.run.finish.fields.get("usage", {}) if attempt.run.finish else {}
    return int(usage.get("prompt_tokens", 0)) + int(usage.get("completion_tokens", 0))
