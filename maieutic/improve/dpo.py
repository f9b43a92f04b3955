"""Direct preference optimisation by TRL, the process that `TrlDpo` starts: `python -m maieutic.improve.dpo SPEC`.

DPO (Rafailov et al. 2023, arXiv 2305.18290): what was chosen is made likelier, and what was rejected less likely, than
the version that training starts from has them. `sft_weight` adds the chosen side's own loss (Pang et al. 2024, arXiv
2404.19733), since DPO alone may make both sides less likely. Rows with `token_ids` are trained on as they were sampled;
others are rendered by the checkpoint's chat template, and counted. A reply that is `unfinished` ends with its text, so
that nothing is learnt about where a turn ends.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maieutic.improve.training import common, ends, ids_of, keep, model_of, rendered, shared, tokenizer_of

SIDES = ("chosen", "rejected")
_LOGGED = {"loss": "loss", "accuracy": "rewards/accuracies", "margin": "rewards/margins", "chosen": "logps/chosen"}

Example = dict[str, list[int]]


def main(spec: Mapping[str, Any]) -> None:
    """Train as the spec says; the weights and training.json are in its `out` afterwards."""
    started = time.monotonic()
    tokenizer = tokenizer_of(spec)
    with Path(spec["rows"]).open("rb") as lines:
        rows = [json.loads(line) for line in lines]
    pairs = list(read(rows, tokenizer))
    fitting = [pair for pair in pairs if longest(pair) <= spec["context"]]
    kept = [pair for pair in fitting if pair["chosen_ids"] != pair["rejected_ids"]]
    if not kept:
        raise SystemExit(f"None of {len(rows)} pairs has something to learn in {spec['context']} tokens.")
    trainer = _train(model_of(spec), tokenizer, kept, spec)
    facts: dict[str, Any] = {
        "rows": len(kept),
        "too_long": len(pairs) - len(fitting),
        "the_same_on_both_sides": len(fitting) - len(kept),
        "rendered_anew": sum("token_ids" not in row for row in rows),
        "tokens": sum(2 * len(pair["prompt_ids"]) + trained(pair) for pair in kept),
        "trained_tokens": sum(map(trained, kept)),
        "epochs": spec["epochs"],
        "steps": trainer.state.global_step,
        "beta": spec["beta"],
        "sft_weight": spec["sft_weight"],
    }
    for name, logged in _LOGGED.items():
        facts[f"{name}_first"], facts[f"{name}_last"] = ends(trainer.state.log_history, logged)
    facts["seconds"] = time.monotonic() - started
    keep(trainer, tokenizer, spec, facts)


def read(rows: list[dict[str, Any]], tokenizer: Any) -> Iterator[Example]:
    """Each pair as `prompt_ids`, `chosen_ids` and `rejected_ids`."""
    for row in rows:
        if given := row.get("token_ids"):
            yield {f"{name}_ids": list(given[name]) for name in ("prompt", *SIDES)}
        else:
            yield ids(row, tokenizer)


def ids(row: Mapping[str, Any], tokenizer: Any) -> Example:
    """A pair of conversations as ids; what both tokenisations of the prompt begin with is the prompt."""
    tools = json.loads(row["tools"]) if row.get("tools") else None
    before = ids_of(tokenizer, rendered(tokenizer, row["prompt"], tools, True))
    sides = {side: ids_of(tokenizer, _whole(row, side, tools, tokenizer)) for side in SIDES}
    same = min(shared(before, whole) for whole in sides.values())
    return {"prompt_ids": before[:same], **{f"{side}_ids": whole[same:] for side, whole in sides.items()}}


def trained(pair: Example) -> int:
    """How many tokens are in the loss: those of both replies."""
    return len(pair["chosen_ids"]) + len(pair["rejected_ids"])


def longest(pair: Example) -> int:
    return len(pair["prompt_ids"]) + max(len(pair["chosen_ids"]), len(pair["rejected_ids"]))


def _whole(row: Mapping[str, Any], side: str, tools: Any, tokenizer: Any) -> str:
    """The conversation with one side's reply, up to where that has an end."""
    text = rendered(tokenizer, [*row["prompt"], *row[side]], tools, False)
    said = (row[side][-1]["content"] or "").strip()
    end = text.rfind(said) + len(said) if row.get("unfinished") and said in text else len(text)
    return text[:end]


def _train(model: Any, tokenizer: Any, pairs: list[Example], spec: Mapping[str, Any]) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer  # pyright: ignore[reportPrivateImportUsage]

    losses = {"sigmoid": 1.0, **({"sft": spec["sft_weight"]} if spec["sft_weight"] else {})}
    config = DPOConfig(
        **common(spec),
        beta=spec["beta"],
        loss_type=list(losses),
        loss_weights=list(losses.values()),
        warmup_steps=0.1,
        max_length=None,
        logging_steps=1,
    )
    # The trainer tokenises what it is made with, and takes ids in no other way: it is made with words, then given ids.
    word = [{"role": "user", "content": "-"}], [{"role": "assistant", "content": "-"}]
    stand_in = Dataset.from_list([{"prompt": word[0], "chosen": word[1], "rejected": word[1]}])
    trainer = DPOTrainer(model, args=config, train_dataset=stand_in, processing_class=tokenizer)
    trainer.train_dataset = Dataset.from_list(pairs)
    trainer.train()
    return trainer


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
