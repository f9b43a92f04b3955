"""Whether a model has seen a benchmark: it is shown the beginning of each question, and what it makes of the rest
counts.

After Wu et al. 2025, "Reasoning or Memorization? Unreliable Results of Reinforcement Learning Due to Data
Contamination", arXiv 2507.10532: the first 80, 60 and 40 % of a question, greedily continued. How often the rest
comes out word for word, and how often the right answer follows, are next to nothing for questions that are new, such
as those of `env:random_calculation`, which is therefore what a benchmark should be compared with. Deviations: the
text stands in an open user turn of the model's chat template, not in a bare completion; questions are cut between
words.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maieutic.budget import Budget
from maieutic.collector import collect, read_results
from maieutic.collector.report import Progress
from maieutic.errors import UserError
from maieutic.llm.model import Model
from maieutic.settings import Settings
from maieutic.stats import Interval, wilson
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome, Sampling

GRAPH = "maieutic.evals.partial_prompt"
SHARES = (0.8, 0.6, 0.4)
MOST_WORDS = 2_000  # of either text, where they are compared word by word


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of showing one share of each question, over the `n` whose continuation is there.

    `completed` is the share whose rest came out word for word, `overlap` the mean ROUGE-L of rest and continuation,
    `answered` the share whose continuation holds the right answer, over the `checked` that have one to check against.
    """

    share: float
    n: int
    completed: Interval | None
    overlap: float | None
    checked: int
    answered: Interval | None


@dataclass(frozen=True, slots=True)
class Probe:
    """All shares. `short` are questions too short to be cut, `failed` runs that raised."""

    rows: tuple[Probed, ...]
    tasks: int
    short: int
    failed: int
    out: Path
    stopped: str | None


async def probe_contamination(
    tasks: Sequence[Task],
    *,
    out: Path,
    model: str | Model | None = None,
    shares: Sequence[float] = SHARES,
    sampling: Sampling = Sampling(),
    budget: Budget | None = None,
    seed: int = 0,
    concurrency: int = 8,
    settings: Settings | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Probe:
    """Let the model go on with each question cut at each of `shares`, record it all under `out`, and count.

    The model must be able to go on with an open turn. Starting again with the same `out` goes on. Raises UserError.
    """
    if not shares or any(not 0 < share < 1 for share in shares):
        raise UserError(f"The shares are {list(shares)}: give numbers between 0 and 1, such as 0.6.")
    shares = tuple(dict.fromkeys(shares))
    cuts = {(task.id, share): cut(task.question, share) for task in tasks for share in shares}
    whole = [task for task in tasks if all(cuts[task.id, share] is not None for share in shares)]
    if not whole:
        raise UserError("No question is long enough to be cut: give questions of several words.")
    begun = [
        Task(id=_id(task, share), question=pair[0], answer_type="text")
        for task in whole
        for share in shares
        if (pair := cuts[task.id, share]) is not None
    ]
    report = await collect(
        begun,
        out=out / "runs",
        graph=GRAPH,
        model=model,
        seed=seed,
        sampling=sampling,
        budget=budget,
        concurrency=concurrency,
        settings=settings,
        on_progress=on_progress,
        stop=stop,
    )
    said = {row.task: row.answer or "" for row in await asyncio.to_thread(lambda: list(read_results(out / "runs")))}
    rows = []
    for share in shares:
        rests = {task.id: pair[1] for task in whole if (pair := cuts[task.id, share]) is not None}
        rows.append(await asyncio.to_thread(_probed, share, whole, rests, said))
    return Probe(tuple(rows), len(whole), len(tasks) - len(whole), report.failed, out, report.stopped)


def cut(question: str, share: float) -> tuple[str, str] | None:
    """The question up to the first end of a word at or behind `share` of its characters, and the rest; None where one
    of them would be empty."""
    least = int(len(question) * share)
    at = next((at for at in range(least, len(question)) if question[at].isspace()), None)
    if at is None or not question[:at].strip() or not question[at:].strip():
        return None
    return question[:at].rstrip(), question[at:].strip()


def completes(rest: str, written: str) -> bool:
    """Whether what was written begins with the rest, word for word."""
    wanted = rest.split()
    return written.split()[: len(wanted)] == wanted


def rouge_l(rest: str, written: str) -> float:
    """The F-measure of the longest common subsequence of words (ROUGE-L, Lin 2004); as many words are read of what was
    written as the rest has, since a model that has finished the question goes on to answer it."""
    wanted = rest.split()[:MOST_WORDS]
    found = written.split()[: len(wanted)]
    if not wanted or not found:
        return 0.0
    row = [0] * (len(found) + 1)
    for word in wanted:
        before = row
        row = [0]
        for at, other in enumerate(found, 1):
            row.append(before[at - 1] + 1 if word == other else max(before[at], row[at - 1]))
    return 2 * row[-1] / (len(wanted) + len(found))


def _probed(share: float, tasks: Sequence[Task], rests: dict[str, str], said: dict[str, str]) -> Probed:
    """The figures of one share; a task without a continuation is in none of them."""
    known = [(task, rests[task.id], said[_id(task, share)]) for task in tasks if _id(task, share) in said]
    completed = sum(completes(rest, written) for _, rest, written in known)
    checked = [(task, written) for task, _, written in known if task.checkable]
    right = sum(verify(task, written).outcome is Outcome.CORRECT for task, written in checked)
    return Probed(
        share,
        len(known),
        wilson(completed, len(known)) if known else None,
        sum(rouge_l(rest, written) for _, rest, written in known) / len(known) if known else None,
        len(checked),
        wilson(right, len(checked)) if checked else None,
    )


def _id(task: Task, share: float) -> str:
    return f"{task.id}/{share}"
