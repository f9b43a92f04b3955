"""Collection: one graph over many tasks, recorded, and safe to kill at any moment."""

from maieutic.collector.front import collect
from maieutic.collector.interrupt import stop_on_signals
from maieutic.collector.ledger import read_failures, read_groups, read_results
from maieutic.collector.report import CollectReport, Progress, Summary, summarise
from maieutic.collector.rows import FailureRow, GroupRow, ResultRow

__all__ = [
    "CollectReport",
    "FailureRow",
    "GroupRow",
    "Progress",
    "ResultRow",
    "Summary",
    "collect",
    "read_failures",
    "read_groups",
    "read_results",
    "stop_on_signals",
    "summarise",
]
