"""The work of `maieutic envs`: the names there are, and what one environment asks."""

from typing import Any

from maieutic.errors import MissingExtra, UserError
from maieutic.tasks.environment import PREFIX, environment_names, parse_request
from maieutic.tasks.generated import about
from maieutic.tasks.guessing import guessing
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task

MOST_GUESSED = 200


def listed() -> dict[str, str]:
    """Every environment with a line on it; reasoning-gym's datasets where they are installed."""
    from maieutic.tasks.gym import dataset_names

    names: dict[str, str] = {}
    for name in environment_names():
        known = about(name)
        if known is not None:
            names[f"{PREFIX}{name}"] = known.card.split(". ")[0].rstrip(".")
    try:
        names |= dict.fromkeys((f"{PREFIX}rg/{name}" for name in dataset_names()), "")
    except MissingExtra as missing:
        names[f"{PREFIX}rg/…"] = str(missing)
    return names


def shown(source: str) -> dict[str, Any]:
    """One environment as asked for: its card, its knobs, how far guessing gets, and its first question.

    Raises UserError as `load_tasks` does.
    """
    request = parse_request(source)
    tasks = load_tasks(source).tasks
    known = about(request.name)
    fields: dict[str, Any] = {}
    if known is not None:
        fields = {"is": known.card, "levels": len(known.levels)}
        fields |= {"kinds": ", ".join(known.kinds)} if known.kinds else {}
        fields |= {"knobs": ", ".join(f"{name}={value}" for name, value in _knobs(tasks[0].metadata))}
    if all(task.gold is not None for task in tasks):
        fields["guessing"] = _guessing(tasks[:MOST_GUESSED])
    return {**fields, "question": tasks[0].question}


def _guessing(tasks: list[Task]) -> str:
    try:
        found = guessing(tasks)
    except UserError as error:  # a check that needs what isn't here, such as a sandbox
        return f"not measured: {error}"
    random = "unknown" if found.random is None else f"{found.random:.3f}"
    constant = "unknown" if found.constant is None else f"{found.constant:.3f}"
    return f"random answer {random}, always the same {constant} (n={found.n})"


def _knobs(metadata: dict[str, Any]) -> list[tuple[str, Any]]:
    return list(metadata["knobs"].items())
