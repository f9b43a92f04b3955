"""How far a judge can be swayed: the same pair judged clean and with an injection, and how often its choice changes.

Biases and procedure: Wang et al. 2025, "Assessing Judging Bias in Large Reasoning Models: An Empirical Study", arXiv
2504.09946 (position, bandwagon, authority, distraction, superficial reflection), and Yang et al. 2025, arXiv 2505.17100
(verbosity; a judge counts as swayed where it was right on the clean pair and is wrong on the other). Deviations: pairs
are bare answers to tasks that can be checked; a missing choice is in no share, and is counted; and the clean pair is
judged a second time (`chance`), since a sampled judge changes its mind without any reason too.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from maieutic.budget import Budget
from maieutic.collector import collect, read_results
from maieutic.collector.report import Progress
from maieutic.errors import UnknownName, UserError
from maieutic.evals.judging import TIE
from maieutic.evals.pairs import INJECTED, Injections, Pair, drawn, injected, load_injections, pairs_of, said
from maieutic.llm.model import Model
from maieutic.settings import Settings
from maieutic.stats import Interval, mcnemar, wilson
from maieutic.tasks.task import Task
from maieutic.types import Sampling

BIASES = ("chance", "position", *INJECTED)
GRAPH = "maieutic.evals.judging"
RIGHT, WRONG = "right", "wrong"
LEVEL = 0.05  # of all biases together that are none, how seldom one is taken for one
Finding = Literal["swayed", "put off", "not shown", "unread"]
"""What is known of a bias: the judge is led to the wrong candidate, or away from it; nothing is shown; no choice could
be read."""


@dataclass(frozen=True, slots=True)
class Susceptibility:
    """What one bias does to a judge, over the `n` pairs of which both choices could be read.

    `flips` is the share of pairs whose choice changed, `clean` and `biased` are the shares of right choices before and
    after; `swayed` is the share of those judged right before that are judged wrong after, None where there are none.
    `helped` counts those that went from wrong to right. `missing` are pairs without a readable choice before or after,
    in no share; `ties` those whose two orders contradict each other before or after. `p_value` is McNemar's, of right
    before against right after. `first` is, for position, the share of choices that fell on what stood first.
    """

    bias: str
    n: int
    missing: int
    flips: Interval | None
    clean: Interval | None
    biased: Interval | None
    swayed: Interval | None
    helped: int
    ties: int
    p_value: float | None
    first: Interval | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What came out. `skipped` are tasks of which no pair could be made; `stopped` says why it ended early. Of `judged`
    judgements `unread` named no candidate; `example` is the run of such a one."""

    rows: tuple[Susceptibility, ...]
    pairs: int
    skipped: int
    failed: int
    out: Path
    stopped: str | None
    judged: int = 0
    unread: int = 0
    example: str | None = None

    @property
    def findings(self) -> dict[str, Finding]:
        """What is known of each bias; chance is none. The level is shared out among them (Bonferroni)."""
        biases = [row for row in self.rows if row.bias != "chance"]
        return {row.bias: finding(row, LEVEL / len(biases)) for row in biases}


async def measure(
    tasks: Sequence[Task],
    *,
    out: Path,
    model: str | Model | None = None,
    biases: Sequence[str] = BIASES,
    graph_settings: Mapping[str, Any] | None = None,
    injections: Path | None = None,
    sampling: Sampling = Sampling(),
    budget: Budget | None = None,
    seed: int = 0,
    concurrency: int = 8,
    settings: Settings | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Measurement:
    """Judge every pair clean and with each of `biases`, record it all under `out`, and count.

    `graph_settings` are those of `maieutic.evals.judging`: who judges, and what is done against its biases. Starting
    again with the same `out` goes on. Raises UserError for what can't be done as written.
    """
    for bias in biases:
        if bias not in BIASES:
            raise UnknownName("bias", bias, BIASES)
    biases, texts = tuple(dict.fromkeys(biases)), load_injections(injections)
    without = [bias for bias in biases if bias in INJECTED and bias not in texts]
    if without:
        raise UserError(
            f"{injections} has no injections for {without[0]}: add some, or ask for the other biases alone."
        )
    pairs, skipped = pairs_of(tasks)
    if not pairs:
        raise UserError("No pair of a right and a wrong answer could be made: give tasks with gold answers.")
    report = await collect(
        judgements(pairs, biases, texts),
        out=out / "runs",
        graph=GRAPH,
        model=model,
        seed=seed,
        sampling=sampling,
        budget=budget,
        graph_settings=graph_settings,
        concurrency=concurrency,
        settings=settings,
        on_progress=on_progress,
        stop=stop,
    )
    results = await asyncio.to_thread(lambda: list(read_results(out / "runs")))
    answers = {row.task: row.answer for row in results}
    rows = tuple(susceptibility(bias, pairs, answers) for bias in biases)
    unread = [row.run_id for row in results if row.answer not in ("1", "2", TIE)]
    example = unread[0] if unread else None
    counts = (len(results), len(unread))
    return Measurement(rows, len(pairs), skipped, report.failed, out, report.stopped, *counts, example)


def judgements(pairs: Sequence[Pair], biases: Sequence[str], injections: Injections) -> list[Task]:
    """What is to be judged: each pair clean in the orders that are compared with, and once for each bias."""
    tasks = []
    for pair in pairs:
        wanted = dict.fromkeys(name for bias in biases for name in compared(bias, pair))
        tasks += [_judgement(pair, name, injections) for name in wanted]
    return tasks


def compared(bias: str, pair: Pair) -> tuple[str, str]:
    """The two judgements of a pair that are compared: a clean one, and the one that may be biased.

    The right answer stands first for half of the pairs, by lot. What is behind a show of reflection is what is
    favoured, so that there the wrong one is always last, and verdicts are compared in that order.
    """
    leads = bias in ("position", "reflection") or drawn(pair.task.id, "order") % 2 == 0
    clean = RIGHT if leads else WRONG
    if bias == "position":
        return RIGHT, WRONG
    return clean, f"{bias}-{clean}"


def _judgement(pair: Pair, name: str, injections: Injections) -> Task:
    bias, _, first = name.rpartition("-")
    wrong = injected(pair, bias, injections) if bias in INJECTED else said(pair.wrong)
    candidates = [said(pair.right), wrong] if first == RIGHT else [wrong, said(pair.right)]
    return Task(
        id=f"{pair.task.id}/{name}",
        question=pair.task.question,
        inputs={**pair.task.inputs, "candidates": list(candidates)},
        answer_type="text",
        gold="1" if first == RIGHT else "2",
    )


def susceptibility(bias: str, pairs: Sequence[Pair], answers: Mapping[str, str | None]) -> Susceptibility:
    """The figures of one bias, from the answers by the ids of judgements; those that are not there are missing."""
    both: list[tuple[str, str]] = []
    firsts: list[bool] = []
    for pair in pairs:
        names = compared(bias, pair)
        chosen = [_chosen(answers.get(f"{pair.task.id}/{name}"), name) for name in names]
        if chosen[0] is None or chosen[1] is None:
            continue
        both.append((chosen[0], chosen[1]))
        firsts += [one == name.rpartition("-")[2] for one, name in zip(chosen, names, strict=True) if one != TIE]
    before, after = [one == RIGHT for one, _ in both], [one == RIGHT for _, one in both]
    lost = sum(one and not other for one, other in zip(before, after, strict=True))
    helped = sum(other and not one for one, other in zip(before, after, strict=True))
    swayed = sum(pair == (RIGHT, WRONG) for pair in both)
    return Susceptibility(
        bias=bias,
        n=len(both),
        missing=len(pairs) - len(both),
        flips=_share(sum(one != other for one, other in both), len(both)),
        clean=_share(sum(before), len(both)),
        biased=_share(sum(after), len(both)),
        swayed=_share(swayed, sum(before)),
        helped=sum(pair == (WRONG, RIGHT) for pair in both),
        ties=sum(TIE in pair for pair in both),
        p_value=mcnemar(lost, helped) if both else None,
        first=_share(sum(firsts), len(firsts)) if bias == "position" else None,
    )


def finding(row: Susceptibility, level: float) -> Finding:
    """Whether a bias is shown at this level. A judge that changes its mind by chance does so both ways alike, and is
    not taken for a swayed one. A judge of position is swayed by either place: `first` says by which."""
    if row.p_value is None or row.clean is None or row.biased is None:
        return "unread"
    if row.p_value > level:
        return "not shown"
    return "swayed" if row.biased.estimate < row.clean.estimate or row.bias == "position" else "put off"


def _chosen(answer: str | None, name: str) -> str | None:
    """Whether the right or the wrong one was chosen, or neither (a tie); None where nothing could be read."""
    if answer not in ("1", "2"):
        return TIE if answer == TIE else None
    first = name.rpartition("-")[2]
    return first if answer == "1" else WRONG if first == RIGHT else RIGHT


def _share(part: int, whole: int) -> Interval | None:
    return wilson(part, whole) if whole else None
