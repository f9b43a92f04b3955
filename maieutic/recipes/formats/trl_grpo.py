"""`trl-grpo`: prompts for TRL's GRPOTrainer and RLOOTrainer, each with its task, which the reward functions check.

The reward functions are importable by name: `maieutic.tasks.trl_rewards.correct` and its siblings read the column
`task`, JSON text with the fields of a `Task`, gold and verifier included.
"""

import json
from collections.abc import Iterable, Iterator

from maieutic.recipes.formats.messages import left_out, trainable
from maieutic.recipes.items import Item, Prompt
from maieutic.recipes.recipe import Row, Tally, row_format


@row_format("trl-grpo")
def trl_grpo(items: Iterable[Item], tally: Tally) -> Iterator[Row]:
    for item in items:
        if not isinstance(item, Prompt):
            left_out(item, tally)
            continue
        if item.task.get("gold") is None and item.task.get("verifier") is None:
            tally.counts["prompts_without_a_check_left_out"] += 1
            continue
        yield {
            "prompt": trainable(item.messages),
            "task": json.dumps(item.task, ensure_ascii=False, sort_keys=True),
            "answer_type": str(item.task.get("answer_type", "auto")),
        }
