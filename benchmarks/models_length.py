"""Answers of one length for `models.py`: a logits processor for vLLM that ends each answer at the same token.

Whoever asks, and whatever the request says: MAIEUTIC_BENCHMARK_TOKENS in the server's environment is the length, the
end-of-turn token included, so that answers end of themselves. Loaded by vLLM's own Python.
"""

import os
from typing import Any

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor as FirstInterface
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SecondInterface


class FixedLength(FirstInterface, SecondInterface):
    """The processor; see the module."""

    def __init__(self, vllm_config: Any, place: Any, is_pin_memory: bool | None = None) -> None:
        self._last = int(os.environ["MAIEUTIC_BENCHMARK_TOKENS"]) - 1
        end = vllm_config.model_config.hf_config.eos_token_id
        self._ends: list[int] = [end] if isinstance(end, int) else list(end)
        self._state = place if is_pin_memory is None else None
        self._rows: dict[int, list[int]] = {}

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Every request will do."""

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: Any) -> None:
        process_dict_updates(self._rows, batch_update, lambda params, _, output: output)

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        return True

    def apply(self, logits: torch.Tensor, ctx: Any = None) -> torch.Tensor:
        if self._state is None:
            places = [(row, len(output)) for row, output in self._rows.items()]
        else:
            lengths = zip(ctx.idx_mapping_np, ctx.seq_lens_upper_bound_np, strict=False)
            prompts = self._state.prompt_len.np
            places = [(row, int(n) - int(prompts[slot])) for row, (slot, n) in enumerate(lengths)]
        logits[:, self._ends] = -torch.inf
        if over := [row for row, at in places if at >= self._last]:
            rows = torch.tensor(over, device=logits.device)
            logits[rows] = -torch.inf
            logits[rows, self._ends[0]] = 0.0
        return logits
