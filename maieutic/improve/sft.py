"""Supervised fine-tuning by TRL, the process that `TrlSft` starts: `python -m maieutic.improve.sft SPEC`.

What was sampled is trained on token by token, as the rows' labels say. Rows without ids (`prompt` and `completion`) are
rendered by the checkpoint's chat template here, so that both kinds can stand in one file.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MASKED = -100

Example = dict[str, list[int]]


def main(spec: Mapping[str, Any]) -> None:
    """Train as the spec says; the weights and training.json are in `out` afterwards."""
    import torch
    from transformers import AutoTokenizer

    if spec["threads"]:
        torch.set_num_threads(spec["threads"])
    started = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(spec["checkpoint"])
    rows = list(read(Path(spec["rows"]), tokenizer))
    kept = [row for row in rows if len(row["input_ids"]) <= spec["context"] and trained(row)]
    if not kept:
        raise SystemExit(f"None of {len(rows)} rows has something to learn in {spec['context']} tokens.")
    out = Path(spec["out"])
    losses, steps = _train(_model(spec), tokenizer, kept, spec, out)
    facts = {
        "rows": len(kept),
        "too_long": sum(len(row["input_ids"]) > spec["context"] for row in rows),
        "tokens": sum(len(row["input_ids"]) for row in kept),
        "trained_tokens": sum(map(trained, kept)),
        "epochs": spec["epochs"],
        "steps": steps,
        "loss_first": losses[0] if losses else None,
        "loss_last": losses[-1] if losses else None,
        "seconds": time.monotonic() - started,
    }
    (out / "training.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def read(path: Path, tokenizer: Any) -> Iterator[Example]:
    """The rows of a file, each as ids and labels."""
    with path.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            yield {name: row[name] for name in ("input_ids", "labels")} if "input_ids" in row else ids(row, tokenizer)


def ids(row: Mapping[str, Any], tokenizer: Any) -> Example:
    """A conversation as ids, with the completion alone learnt from."""
    tools = json.loads(row["tools"]) if row.get("tools") else None
    before = _rendered(tokenizer, row["prompt"], tools, True)
    whole = _rendered(tokenizer, [*row["prompt"], *row["completion"]], tools, False)
    same = next(
        (i for i, (a, b) in enumerate(zip(before, whole, strict=False)) if a != b), min(len(before), len(whole))
    )
    return {"input_ids": whole, "labels": [MASKED] * same + whole[same:]}


def trained(row: Example) -> int:
    """How many tokens are learnt from: a label is the next token's, so that nothing predicts the first."""
    return sum(label != MASKED for label in row["labels"][1:])


def _rendered(tokenizer: Any, messages: list[dict[str, Any]], tools: Any, open_: bool) -> list[int]:
    text = tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=open_, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _model(spec: Mapping[str, Any]) -> Any:
    """The checkpoint, with the version's adapter to go on with, or with a new one."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(spec["checkpoint"], dtype="auto")
    if spec["adapter"]:
        from peft import PeftModel

        return PeftModel.from_pretrained(model, spec["adapter"], is_trainable=True)
    if spec["lora"]:
        from peft import LoraConfig, get_peft_model

        rank = spec["lora"]
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        return get_peft_model(model, config)
    return model


def _train(
    model: Any, tokenizer: Any, rows: list[Example], spec: Mapping[str, Any], out: Path
) -> tuple[list[float], int]:
    """The losses on the way, and the number of steps; the weights lie in `out` afterwards."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportPrivateImportUsage]

    on_gpu = torch.cuda.is_available()
    config = SFTConfig(
        output_dir=str(out),
        per_device_train_batch_size=spec["batch"],
        num_train_epochs=spec["epochs"],
        learning_rate=spec["rate"],
        lr_scheduler_type="linear",
        warmup_steps=10,
        max_length=None,
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        use_cpu=not on_gpu,
        gradient_checkpointing=on_gpu,
        save_strategy="no",
        logging_steps=10,
        disable_tqdm=True,
        report_to="none",
        seed=spec["seed"],
    )
    trainer = SFTTrainer(model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    trainer.train()
    # The model alone: a trainer's own files would only make the folder's hash differ from run to run.
    trainer.model.save_pretrained(out)  # pyright: ignore[reportCallIssue, reportOptionalMemberAccess]
    tokenizer.save_pretrained(out)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses, trainer.state.global_step


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
