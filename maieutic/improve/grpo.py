"""Reinforcement learning by TRL, the process that `TrlGrpo` starts: `python -m maieutic.improve.grpo SPEC`.

GRPO (Shao et al. 2024, arXiv 2402.03300): several replies to each prompt are sampled from the weights as they are at
that step, by transformers and in this process, and what was rewarded above its group's mean is made likelier. Rewards
are functions by name. It ends after its steps, or at the first step after its time.
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maieutic.improve.training import common, ends, ids_of, keep, model_of, rendered, tokenizer_of
from maieutic.tasks.trl_rewards import find_reward

_LOGGED = {
    "reward": "reward",
    "kl": "kl",
    "groups_all_alike": "frac_reward_zero_std",
    "cut": "completions/clipped_ratio",
}
_LENGTH = "completions/mean_length"


def main(spec: Mapping[str, Any]) -> None:
    """Train as the spec says; the weights and training.json are in its `out` afterwards."""
    started = time.monotonic()
    tokenizer = tokenizer_of(spec)
    with Path(spec["rows"]).open("rb") as lines:
        rows = [json.loads(line) for line in lines]
    room = spec["context"] - spec["reply"]
    kept = [row for row in rows if len(ids_of(tokenizer, rendered(tokenizer, row["prompt"], None, True))) <= room]
    if len(kept) * spec["generations"] < spec["batch"]:
        raise SystemExit(
            f"{len(kept)} of {len(rows)} prompts leave room for a reply, fewer than a step of {spec['batch']} replies"
            " asks: collect more, or give a smaller batch."
        )
    trainer = _train(model_of(spec), tokenizer, kept, spec, started + spec["most_seconds"])
    history, steps = trainer.state.log_history, trainer.state.global_step
    facts: dict[str, Any] = {
        "rows": len(kept),
        "too_long": len(rows) - len(kept),
        "trained_tokens": round(sum(entry[_LENGTH] for entry in history if _LENGTH in entry) * spec["batch"]),
        "epochs": trainer.state.epoch,
        "steps": steps,
        "samples": steps * spec["batch"],
        "ended_by_time": steps < trainer.state.max_steps,
        "beta": spec["beta"],
    }
    for name, logged in _LOGGED.items():
        facts[f"{name}_first"], facts[f"{name}_last"] = ends(history, logged)
    facts["seconds"] = time.monotonic() - started
    keep(trainer, tokenizer, spec, facts)


def _train(model: Any, tokenizer: Any, rows: list[dict[str, Any]], spec: Mapping[str, Any], until: float) -> Any:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer  # pyright: ignore[reportPrivateImportUsage]

    class Until(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if time.monotonic() >= until:
                control.should_training_stop = True

    config = GRPOConfig(
        **common(spec),
        max_steps=spec["steps"] or -1,
        beta=spec["beta"],
        num_generations=spec["generations"],
        max_completion_length=spec["reply"],
        temperature=1.0,
        warmup_steps=0.1,
        logging_steps=1,
    )
    rewards: list[Any] = [find_reward(name) for name in spec["rewards"]]
    trainer = GRPOTrainer(
        model,
        reward_funcs=rewards,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[Until()],
    )
    trainer.train()
    return trainer


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
