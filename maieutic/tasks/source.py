"""Where tasks come from: a JSONL file, or an environment named by `env:`."""

from maieutic.tasks import gym as _gym  # noqa: F401  (registers env:rg and its verifier)
from maieutic.tasks.environment import PREFIX, generate, parse_request
from maieutic.tasks.jsonl import Loaded, Problem, load_file

__all__ = ["Loaded", "Problem", "load_tasks"]


def load_tasks(source: str) -> Loaded:
    """The tasks of `source`: the path of a JSONL file, or "env:NAME?n=100&seed=7&split=test&…".

    A bad line of a file is a problem, and the others are still loaded. Raises TaskError where there is nothing to run,
    UnknownName for an unknown environment, MissingExtra for one that isn't installed.
    """
    if source.startswith(PREFIX):
        return Loaded(generate(parse_request(source)), [])
    return load_file(source)
