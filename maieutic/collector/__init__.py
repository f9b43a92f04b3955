"""Collection: one graph over many tasks, recorded, and safe to kill at any moment."""

from maieutic.collector.front import collect
from maieutic.collector.interrupt import stop_on_signals
from maieutic.collector.ledger import read_failures, read_results
from maieutic.collector.report import CollectReport, Progress, Summary, summarise
from maieutic.collector.rows import FailureRow, ResultRow

__all__ = [
    "CollectReport",
    "FailureRow",
    "Progress",
    "ResultRow",
    "Summary",
    "collect",
    "read_failures",
    "read_results",
    "stop_on_signals",
    "summarise",
]
