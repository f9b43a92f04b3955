"""Supervised fine-tuning by TRL, the process that `TrlSft` starts: `python -m maieutic.improve.sft SPEC`.

What was sampled is trained on token by token, as the rows' labels say. Rows without ids (`prompt` and `completion`) are
rendered by the checkpoint's chat template here, so that both kinds can stand in one file.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import Any

from maieutic.improve.training import common, ids_of, keep, model_of, rendered, shared, tokenizer_of

MASKED = -100
WARMUP = 10  # steps in which the rate rises, a quarter of a shorter training

Example = dict[str, list[int]]


def main(spec: Mapping[str, Any]) -> None:
    """Train as the spec says; the weights and training.json are in its `out` afterwards."""
    started = time.monotonic()
    tokenizer = tokenizer_of(spec)
    rows = list(read(Path(spec["rows"]), tokenizer))
    kept = [row for row in rows if len(row["input_ids"]) <= spec["context"] and trained(row)]
    if not kept:
        raise SystemExit(f"None of {len(rows)} rows has something to learn in {spec['context']} tokens.")
    trainer = _train(model_of(spec), tokenizer, kept, spec)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    facts = {
        "rows": len(kept),
        "too_long": sum(len(row["input_ids"]) > spec["context"] for row in rows),
        "tokens": sum(len(row["input_ids"]) for row in kept),
        "trained_tokens": sum(map(trained, kept)),
        "epochs": spec["epochs"],
        "steps": trainer.state.global_step,
        "loss_first": losses[0] if losses else None,
        "loss_last": losses[-1] if losses else None,
        "seconds": time.monotonic() - started,
    }
    keep(trainer, tokenizer, spec, facts)


def read(path: Path, tokenizer: Any) -> Iterator[Example]:
    """The rows of a file, each as ids and labels."""
    with path.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            yield {name: row[name] for name in ("input_ids", "labels")} if "input_ids" in row else ids(row, tokenizer)


def ids(row: Mapping[str, Any], tokenizer: Any) -> Example:
    """A conversation as ids, with the completion alone learnt from; one that `continues` stands in the same turn as the
    prompt's last message."""
    tools = json.loads(row["tools"]) if row.get("tools") else None
    prompt, completion, begun = row["prompt"], row["completion"], ""
    if row.get("continues"):
        *prompt, last = prompt
        begun = last["content"]
        completion = [{**completion[0], "content": f"{begun}{completion[0]['content']}"}]
    before = ids_of(tokenizer, rendered(tokenizer, prompt, tools, True) + begun)
    whole = ids_of(tokenizer, rendered(tokenizer, [*prompt, *completion], tools, False))
    same = shared(before, whole)
    return {"input_ids": whole, "labels": [MASKED] * same + whole[same:]}


def trained(row: Example) -> int:
    """How many tokens are learnt from: a label is the next token's, so that nothing predicts the first."""
    return sum(label != MASKED for label in row["labels"][1:])


def _train(model: Any, tokenizer: Any, rows: list[Example], spec: Mapping[str, Any]) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportPrivateImportUsage]

    warmup = min(WARMUP, ceil(len(rows) / spec["batch"]) * spec["epochs"] / 4)
    config = SFTConfig(**common(spec), warmup_steps=int(warmup), max_length=None, logging_steps=10)
    trainer = SFTTrainer(model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    trainer.train()
    return trainer


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
