"""The figures of several shards as those of one collection."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from maieutic.collector.report import CollectReport, Progress, Tally


def reports_together(
    out: Path, done: Sequence[tuple[CollectReport, Tally]], problems: list[str], totals: Mapping[int, int]
) -> CollectReport:
    """One report of shards that share no task. `totals` counts the runs of each, also of those not begun."""
    tally, failures = Tally(), Counter[str]()
    for report, one in done:
        tally.merge(one)
        failures.update(report.failures)
    reports = [report for report, _ in done]
    left_out = sum(report.left_out for report in reports)
    stopped = next((report.stopped for report in reports if report.stopped), None)
    if stopped is None and len(reports) < len(totals):
        stopped = "Interrupted after 0 results; start the same command again to go on."
    if stopped is not None:
        stopped = re.sub(r"after \d+ results", f"after {tally.n} results", stopped, count=1)
    return CollectReport(
        out=out,
        total=sum(totals.values()) - left_out,
        done=tally.n,
        new=sum(report.new for report in reports),
        recovered=sum(report.recovered for report in reports),
        failed=sum(report.failed for report in reports),
        failures=dict(failures.most_common(10)),
        summary=tally.summary(),
        seconds=max((report.seconds for report in reports), default=0.0),
        problems=problems,
        stopped=stopped,
        left_out=left_out,
        divided=True,
    )


def progress_of(report: CollectReport) -> Progress:
    """How far a shard is that has ended."""
    return Progress(
        done=report.done,
        total=report.total,
        correct=report.summary.correct,
        failed=report.failed,
        tokens=report.summary.usage.tokens,
        seconds=report.seconds,
        rate=None,
        eta=None,
    )


def progress_together(shards: Mapping[int, Progress], totals: Mapping[int, int], limit: int) -> Progress:
    """How far all shards are; `totals` says how many runs each has, as long as it hasn't said so itself."""
    parts = list(shards.values())
    total = sum(shards[index].total if index in shards else runs for index, runs in totals.items())
    done, failed = sum(one.done for one in parts), sum(one.failed for one in parts)
    rate = sum(one.rate or 0.0 for one in parts) or None
    return Progress(
        done=done,
        total=total,
        correct=sum(one.correct for one in parts),
        failed=failed,
        tokens=sum(one.tokens for one in parts),
        seconds=max((one.seconds for one in parts), default=0.0),
        rate=rate,
        eta=(total - done - failed) / rate if rate else None,
        under_way=sum(one.under_way for one in parts),
        limit=limit,
        oldest=max((one.oldest for one in parts), default=0.0),
    )
