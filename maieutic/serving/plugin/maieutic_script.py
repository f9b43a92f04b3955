"""A served model that says what a request tells it to: a logits processor for tests of a real vLLM server.

    vllm serve MODEL --logits-processors maieutic_script:ScriptedTokens

`vllm_xargs: {"script_tokens": [ids]}` makes these the first tokens of the output, whatever the model thinks of them;
what follows is the model's own. So a real server thinks, calls tools and runs in circles on demand.
"""

from typing import Any

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor as FirstInterface
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SecondInterface

FIELD = "script_tokens"


class ScriptedTokens(FirstInterface, SecondInterface):  # type: ignore[misc]  # vLLM has no place in the checks
    """The processor; see the module. Not for speculative decoding."""

    def __init__(self, vllm_config: Any, place: Any, is_pin_memory: bool | None = None) -> None:
        self._size: int = vllm_config.model_config.get_vocab_size()
        self._state = place if is_pin_memory is None else None
        self._rows: dict[int, tuple[list[int], list[int]]] = {}
        self._slots: dict[int, list[int]] = {}

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise ValueError where the script is not a list of token ids: the request is then answered with 400."""
        _script(sampling_params)

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: Any) -> None:
        process_dict_updates(self._rows, batch_update, lambda params, _, output: self._begin(params, output))

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        self._slots[req_idx] = _script(sampling_params)
        return bool(self._slots[req_idx])

    def apply(self, logits: torch.Tensor, ctx: Any = None) -> torch.Tensor:
        if self._state is None:
            places = [(row, script, len(output)) for row, (script, output) in self._rows.items()]
        else:
            lengths = zip(ctx.idx_mapping_np, ctx.seq_lens_upper_bound_np, strict=False)
            at = [(int(slot), int(n) - int(self._state.prompt_len.np[slot])) for slot, n in lengths]
            places = [(row, self._slots.get(slot, []), position) for row, (slot, position) in enumerate(at)]
        forced = [(row, script[at]) for row, script, at in places if 0 <= at < len(script) and script[at] < self._size]
        if forced:
            rows, tokens = (torch.tensor(part, device=logits.device) for part in zip(*forced, strict=True))
            logits[rows] = -torch.inf
            logits[rows, tokens] = 0.0
        return logits

    def _begin(self, params: Any, output: list[int]) -> tuple[list[int], list[int]] | None:
        script = _script(params)
        return (script, output) if script else None


def _script(params: Any) -> list[int]:
    script = (params.extra_args or {}).get(FIELD, [])
    if not isinstance(script, list) or not all(type(i) is int and i >= 0 for i in script):
        raise ValueError(f"{FIELD} must be a list of token ids, such as [13, 1059].")
    return script
