"""The six rewards of Reasoning-SQL (Pourreza et al. 2025): execution, a judge's word, syntax, schema, n-grams, form.

They read `facts`: `sql` and `gold_sql` (texts), `ran` (whether the query ran), `judged` (a judge's word in [0, 1],
asked for only where the result is wrong). That the result is right stands in the outcome. None where a fact is
missing.
"""

from collections.abc import Mapping
from typing import Any

from maieutic.errors import MissingExtra
from maieutic.tasks.rewards.answer import format_strict
from maieutic.tasks.rewards.parts import Scored, part

WEIGHTS = {"execution": 3.0, "judge": 2.0, "syntax": 1.0, "schema": 1.0, "ngram": 1.0, "format": 1.0}


@part("sql_execution")
def sql_execution(scored: Scored) -> float | None:
    """1 where the query brings what the gold query brings."""
    return None if scored.outcome is None else float(scored.right)


@part("sql_judge")
def sql_judge(scored: Scored) -> float | None:
    """A judge's word about a query whose result is wrong; None where it is right."""
    judged = scored.facts.get("judged")
    return None if scored.right or judged is None else float(judged)


@part("sql_syntax")
def sql_syntax(scored: Scored) -> float | None:
    """1 where the query ran without an error."""
    ran = scored.facts.get("ran")
    return None if ran is None else float(bool(ran))


@part("sql_schema")
def sql_schema(scored: Scored, *, dialect: str = "sqlite") -> float | None:
    """How far the tables and columns are those of the gold query: the size of the common set by that of both together.

    0 for a query that can't be parsed. Raises MissingExtra without sqlglot."""
    texts = _texts(scored)
    if texts is None:
        return None
    own, gold = (_identifiers(text, dialect) for text in texts)
    return 0.0 if own is None else _jaccard(own, gold or set())


@part("sql_ngram")
def sql_ngram(scored: Scored, *, n: int = 2) -> float | None:
    """The same of runs of `n` words and signs."""
    texts = _texts(scored)
    return None if texts is None else _jaccard(*(_grams(text, n) for text in texts))


@part("reasoning_sql")
def reasoning_sql(
    scored: Scored, *, weights: Mapping[str, float] = WEIGHTS, tags: tuple[str, ...] = ("think", "answer")
) -> float | None:
    """All six together. Where the result is right the others but for the form count full; where it is wrong their sum
    stays below the weight of execution, so that no query that fails outranks one that is right."""
    executed = sql_execution(scored)
    if executed is None:
        return None
    form = weights["format"] * (format_strict(scored, tags=tags) or 0.0)
    if executed:
        return form + sum(weights[name] for name in ("execution", "syntax", "schema", "ngram"))
    own: dict[str, float | None] = {
        "judge": sql_judge(scored),
        "syntax": sql_syntax(scored),
        "schema": sql_schema(scored),
        "ngram": sql_ngram(scored),
    }
    partial = sum(weights[name] * value for name, value in own.items() if value is not None)
    return form + min(partial, 0.99 * weights["execution"])


def _texts(scored: Scored) -> tuple[str, str] | None:
    own, gold = scored.facts.get("sql"), scored.facts.get("gold_sql")
    return None if own is None or gold is None else (str(own), str(gold))


def _identifiers(text: str, dialect: str) -> set[str] | None:
    """Tables and columns in a query, in lower case; None where it can't be parsed."""
    try:
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError
    except ImportError:
        raise MissingExtra("The reward sql_schema", "sql") from None
    try:
        tree: Any = sqlglot.parse_one(text, read=dialect)
    except SqlglotError:
        return None
    named = [*tree.find_all(exp.Table), *tree.find_all(exp.Column)]
    return {f"{type(one).__name__}:{one.name.lower()}" for one in named}


def _grams(text: str, n: int) -> set[tuple[str, ...]]:
    for sign in "(),;=<>*+-/.":
        text = text.replace(sign, f" {sign} ")
    words = text.lower().split()
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def _jaccard(one: set[Any], other: set[Any]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0
