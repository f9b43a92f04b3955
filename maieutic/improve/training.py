"""What the processes that train have in common: model and adapter, ids of texts, TRL's settings, what is kept."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def tokenizer_of(spec: Mapping[str, Any]) -> Any:
    """The checkpoint's tokenizer; torch has the spec's threads afterwards."""
    import torch
    from transformers import AutoTokenizer

    if spec["threads"]:
        torch.set_num_threads(spec["threads"])
    return AutoTokenizer.from_pretrained(spec["checkpoint"])


def model_of(spec: Mapping[str, Any]) -> Any:
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


def rendered(tokenizer: Any, messages: Sequence[Mapping[str, Any]], tools: Any, open_: bool) -> str:
    """A conversation as the chat template writes it; `open_` ends it where a reply begins."""
    return str(tokenizer.apply_chat_template(list(messages), tools=tools, add_generation_prompt=open_, tokenize=False))


def ids_of(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two sequences begin with in common."""
    least = min(len(one), len(other))
    return next((i for i in range(least) if one[i] != other[i]), least)


def common(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that TRL's trainers share."""
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": spec["out"],
        "per_device_train_batch_size": spec["batch"],
        "num_train_epochs": spec["epochs"],
        "learning_rate": spec["rate"],
        "lr_scheduler_type": "linear",
        "bf16": on_gpu and torch.cuda.is_bf16_supported(),
        "use_cpu": not on_gpu,
        "gradient_checkpointing": on_gpu,
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
        "seed": spec["seed"],
    }


def keep(trainer: Any, tokenizer: Any, spec: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Leave the weights, the tokenizer and training.json in the spec's folder.

    The model alone: a trainer's own files would only make the folder's hash differ from run to run. Of several adapters
    the trained one, without the copy that served as the reference.
    """
    out, model = Path(spec["out"]), trainer.model
    adapters = {"selected_adapters": ["default"]} if hasattr(model, "peft_config") else {}
    model.save_pretrained(out, **adapters)
    tokenizer.save_pretrained(out)
    (out / "training.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def ends(history: Sequence[Mapping[str, Any]], name: str) -> tuple[float | None, float | None]:
    """A logged figure's means over the first and the last tenth of the steps that have it; None where none has."""
    values = [float(value) for entry in history if (value := entry.get(name)) is not None]
    n = max(1, len(values) // 10)
    return (sum(values[:n]) / n, sum(values[-n:]) / n) if values else (None, None)
