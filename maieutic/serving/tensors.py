"""The tensors of safetensors files by their headers, and whether an adapter was trained for a checkpoint.

vLLM loads an adapter of another model without a word as long as its modules have the right names, and answers nonsense.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

Shape = tuple[int, ...]
_FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}  # others may be packed, so that shapes say nothing
_LAYER = re.compile(r"(.*?\.)\d+(?=\.)")
_PREFIX = "base_model.model."
_LONGEST = 100_000_000  # bytes of a header, as the format bounds it


def misfit(adapter: Iterable[Path], checkpoint: Iterable[Path]) -> str | None:
    """Why a LoRA adapter can't be one for a checkpoint, as the end of a sentence; None where nothing speaks against it.

    Both are given by their safetensors files. Modules whose weights the checkpoint names otherwise tell nothing.
    """
    base = _shapes(checkpoint)
    layers = {found[0]: found[1] for name in base if (found := _LAYER.match(name))}
    for name, shape in _shapes(adapter).items():
        module, _, side = name.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".lora_")
        layer = _LAYER.match(module)
        if layer and layer[0] not in layers and layer[1] in layers.values():
            return f"there is no {module} there"
        weight, place = base.get(f"{module}.weight"), {"A": 1, "B": 0}.get(side)
        if weight and shape and place is not None and len(weight) == len(shape) == 2 and weight[place] != shape[place]:
            way = "inputs" if side == "A" else "outputs"
            return f"{module} has {weight[place]} {way} there, and {shape[place]} here"
    return None


def _shapes(files: Iterable[Path]) -> dict[str, Shape | None]:
    """The shapes of all tensors in these files, None for packed ones; a file that can't be read has none."""
    found: dict[str, Shape | None] = {}
    for file in files:
        try:
            with file.open("rb") as data:
                length = int.from_bytes(data.read(8), "little")
                header = json.loads(data.read(length)) if length <= _LONGEST else {}
            tensors = {name: about for name, about in header.items() if name != "__metadata__"}
            found |= {name: tuple(t["shape"]) if t["dtype"] in _FLOATS else None for name, t in tensors.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found
