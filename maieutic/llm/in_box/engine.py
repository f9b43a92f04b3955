"""The in-box model's arithmetic: rows that join and leave one running batch, on onnxruntime.

A row is a conversation being continued. Rows sit side by side in one key-value cache that attention reads and writes in
place; a row that leaves is replaced by the last one, so that the batch is always a prefix of the cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]

CONTEXT = 1024
_ROOM_STEP = 128


@dataclass(slots=True)
class Engine:
    """A loaded model and its running rows. Not thread-safe: one thread owns it.

    `lengths[i]` is the number of tokens that row i holds.
    """

    weights: Path
    threads: int = 1
    lengths: list[int] = field(default_factory=list)
    _session: Any = None
    _caches: dict[str, Floats] = field(default_factory=dict)
    _capacity: int = 0
    _room: int = 0

    def __post_init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(self.weights), options, providers=["CPUExecutionProvider"])
        for entry in self._session.get_inputs():
            if entry.name.startswith("past."):
                _, heads, _, width = entry.shape
                self._caches[entry.name.removeprefix("past.")] = np.zeros((0, heads, 0, width), np.float32)

    def admit(self, prompts: Sequence[Sequence[int]]) -> Floats:
        """Add one row for each prompt (at most `CONTEXT` tokens); the logits after each, (prompts, vocabulary)."""
        first, lengths = len(self.lengths), [len(p) for p in prompts]
        self._reserve(first + len(prompts), max(lengths))
        longest = max(lengths)
        ids = np.zeros((len(prompts), longest), np.int64)
        for i, prompt in enumerate(prompts):
            ids[i, : len(prompt)] = prompt
        self.lengths += lengths
        return self._run(ids, first, np.array(lengths))

    def advance(self, tokens: Sequence[int]) -> Floats:
        """Append one token to every row; the logits after it, (rows, vocabulary)."""
        self.lengths = [n + 1 for n in self.lengths]
        self._reserve(len(self.lengths), max(self.lengths))
        return self._run(np.array(tokens, np.int64)[:, None], 0, np.array(self.lengths))

    def drop(self, row: int) -> None:
        """Remove a row; the last row takes its place."""
        last = len(self.lengths) - 1
        if row != last:
            used = self.lengths[last]
            for cache in self._caches.values():
                cache[row, :, :used] = cache[last, :, :used]
            self.lengths[row] = self.lengths[last]
        self.lengths.pop()

    def _run(self, ids: npt.NDArray[np.int64], first: int, lengths: npt.NDArray[np.int64]) -> Floats:
        from onnxruntime import OrtValue

        rows, width = ids.shape
        last = np.arange(rows) * width + (lengths - 1 if width > 1 else 0)
        binding = self._session.io_binding()
        binding.bind_cpu_input("ids", ids)
        binding.bind_cpu_input("last", last)
        binding.bind_cpu_input("seen", (lengths - 1).astype(np.int32))
        binding.bind_cpu_input("longest", np.array(lengths.max(), np.int32))
        binding.bind_output("logits")
        for name, cache in self._caches.items():
            value = OrtValue.ortvalue_from_numpy(cache[first : first + rows])
            binding.bind_ortvalue_input(f"past.{name}", value)
            binding.bind_ortvalue_output(f"present.{name}", value)
        self._session.run_with_iobinding(binding)
        logits: Floats = binding.get_outputs()[0].numpy()
        return logits

    def _reserve(self, rows: int, length: int) -> None:
        if rows <= self._capacity and length <= self._room:
            return
        capacity = self._capacity if rows <= self._capacity else max(rows, 2 * self._capacity)
        room = max(self._room, -(-length // _ROOM_STEP) * _ROOM_STEP)
        for name, old in self._caches.items():
            new = np.zeros((capacity, old.shape[1], room, old.shape[3]), np.float32)
            new[: old.shape[0], :, : old.shape[2]] = old
            self._caches[name] = new
        self._capacity, self._room = capacity, room


def choose(
    logits: Floats,
    temperatures: npt.NDArray[np.float64],
    top_ps: npt.NDArray[np.float64],
    top_ks: npt.NDArray[np.int64],
    uniforms: npt.NDArray[np.float64],
    forbidden: Sequence[tuple[int, int]] = (),
) -> tuple[list[int], Floats64]:
    """Next token of each row, and all log-probabilities under the model itself (temperature 1, nothing cut off).

    `forbidden` are (row, token) pairs that are not chosen. Temperature 0 takes the likeliest token; `top_ks` 0 and
    `top_ps` 1 cut nothing off. Each row's choice depends on its own logits, settings and number from [0, 1) alone.
    """
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    logprobs = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    for at in forbidden:
        wide[at] = -np.inf
    tokens = wide.argmax(axis=1)
    for row in np.flatnonzero(temperatures > 0):
        weights = np.exp(wide[row] / temperatures[row])
        if top_ks[row] or top_ps[row] < 1:
            _cut(weights, int(top_ks[row]), float(top_ps[row]))
        heights = weights.cumsum()
        tokens[row] = min(int(np.searchsorted(heights, uniforms[row] * heights[-1], "right")), len(heights) - 1)
    return tokens.tolist(), logprobs


def likeliest(logprobs: Floats64, number: int, token: int) -> list[int]:
    """The likeliest `number` tokens of one row, most probable first, and `token` where it is not among them."""
    order = np.argsort(-logprobs, kind="stable")[:number].tolist()
    return order if token in order else [*order, token]


def _cut(weights: npt.NDArray[np.float64], top_k: int, top_p: float) -> None:
    """Set to zero what lies outside the `top_k` likeliest tokens or beyond the share `top_p`."""
    order = np.argsort(-weights, kind="stable")
    if top_k:
        weights[order[top_k:]] = 0.0
    if top_p < 1:
        reached = weights[order].cumsum() / weights.sum()
        weights[order[int(np.searchsorted(reached, top_p)) + 1 :]] = 0.0
