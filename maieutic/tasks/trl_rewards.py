"""Reward functions for TRL's GRPOTrainer, by name: each reads the column `task` that the format `trl-grpo` writes.

GRPOTrainer(..., reward_funcs=[maieutic.tasks.trl_rewards.correct])
"""

import importlib
import json
from collections.abc import Callable
from typing import Any

from maieutic.errors import UserError
from maieutic.tasks.task import Task
from maieutic.tasks.verifier import verify
from maieutic.types import Outcome


def correct(completions: list[Any], task: list[str], **columns: Any) -> list[float | None]:
    """The verifier's score of each completion, in [0, 1]; None, which TRL leaves out, where nothing could be scored."""
    return [verify(_task(line), _said(completion)).score for completion, line in zip(completions, task, strict=True)]


def readable(completions: list[Any], task: list[str], **columns: Any) -> list[float | None]:
    """1 where an answer could be read, whatever it is, and 0 where none could."""
    unread = (Outcome.UNPARSED, Outcome.FORMAT_ERROR)
    verdicts = (verify(_task(line), _said(said)) for said, line in zip(completions, task, strict=True))
    return [float(verdict.outcome not in unread) for verdict in verdicts]


def find_reward(name: str) -> Callable[..., list[float | None]]:
    """The reward function at `package.module:name`. Raises UserError where there is none."""
    module, _, attribute = name.partition(":")
    try:
        found: Callable[..., list[float | None]] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"The reward {name} can't be imported ({error}): name a function as {__name__}:correct is named."
        ) from error
    return found


def _task(line: str) -> Task:
    return Task(**json.loads(line))


def _said(completion: Any) -> str:
    """A completion's text: TRL hands over text, or messages where the prompts are messages."""
    if isinstance(completion, str):
        return completion
    return "".join(str(message.get("content") or "") for message in completion)
