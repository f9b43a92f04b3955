"""A small LoRA adapter for the in-box model, written by hand: random, and large enough to change what it says."""

import json
from pathlib import Path

import numpy as np

LAYERS, HIDDEN = 4, 128
OUT = {"q_proj": 256, "v_proj": 128}


def write_lora(
    folder: Path, seed: int = 0, rank: int = 8, scale: float = 0.3, layers: int = LAYERS, hidden: int = HIDDEN
) -> Path:
    """Write `adapter_config.json` and `adapter_model.safetensors` as PEFT names them; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for layer in range(layers):
        for module, out in OUT.items():
            place = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{place}.lora_A.weight"] = random.normal(0, scale, (rank, hidden)).astype(np.float32)
            tensors[f"{place}.lora_B.weight"] = random.normal(0, scale, (out, rank)).astype(np.float32)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": rank, "bias": "none"}
    config |= {"target_modules": sorted(OUT), "lora_dropout": 0.0, "base_model_name_or_path": "in-box"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(tensors))
    return folder


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """These float32 arrays in the safetensors format: the header's length, the header, the data."""
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(tensor.tobytes() for tensor in tensors.values())
