"""The four kinds of questions that several benchmarks ask: sums, products and legs that the in-box model half knows."""

from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task

LEVELS = (
    "env:rg/chain_sum?n={n}&seed={seed}&split={split}&min_terms=4&max_terms=4&min_digits=2&max_digits=2",
    "env:rg/chain_sum?n={n}&seed={seed}&split={split}&min_terms=5&max_terms=5&min_digits=2&max_digits=2",
    "env:rg/products?n={n}&seed={seed}&split={split}&min_terms=2&max_terms=2&min_digits=2&max_digits=2",
    "env:rg/leg_counting?n={n}&seed={seed}&split={split}&min_animals=3&max_animals=3&max_instances=9",
)
SAID = (
    "sums of four and of five two-digit numbers, products of two two-digit numbers, and legs of three kinds of animals"
)


def sources(split: str, n: int, seed: int) -> list[str]:
    """The task sources, with `n` questions of each kind."""
    return [level.format(n=n, seed=seed, split=split) for level in LEVELS]


def questions(split: str, n: int, seed: int) -> list[Task]:
    """All of their questions."""
    return [task for source in sources(split, n, seed) for task in load_tasks(source).tasks]
