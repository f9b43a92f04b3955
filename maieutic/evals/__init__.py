"""Evaluation: graphs, models and task sets crossed, each cell a collection, and what comes of it compared in pairs."""

from maieutic.evals.core import Evaluation, evaluate
from maieutic.evals.plan import Contender, parse_contender

__all__ = ["Contender", "Evaluation", "evaluate", "parse_contender"]
