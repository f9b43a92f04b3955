"""Muon in fp32, matrices of one shape orthogonalised together.

`torch.optim.Muon` does its Newton-Schulz iteration in bfloat16 and one matrix at a time, which took 70 % of a training
step of this model on a CPU; this takes about a tenth.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon:
    """Momentum whose update is orthogonalised, for two-dimensional parameters; used like a torch optimizer."""

    def __init__(self, params: Iterable[torch.Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        parameters = list(params)
        self.param_groups: list[dict[str, Any]] = [
            {"params": parameters, "lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        ]
        self._momenta = [torch.zeros_like(p) for p in parameters]

    def state_dict(self) -> dict[str, list[torch.Tensor]]:
        return {"momenta": self._momenta}

    def load_state_dict(self, state: dict[str, list[torch.Tensor]]) -> None:
        self._momenta = state["momenta"]

    def zero_grad(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        group = self.param_groups[0]
        shapes: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = defaultdict(list)
        for parameter, momentum in zip(group["params"], self._momenta, strict=True):
            if parameter.grad is not None:
                shapes[parameter.shape].append((parameter, momentum))
        with torch.no_grad():
            for pairs in shapes.values():
                _update(pairs, group["lr"], group["momentum"], group["weight_decay"])


def _update(pairs: list[tuple[torch.Tensor, torch.Tensor]], lr: float, momentum: float, decay: float) -> None:
    ahead = []
    for parameter, average in pairs:
        if parameter.grad is not None:
            average.lerp_(parameter.grad, 1 - momentum)
            ahead.append(torch.lerp(parameter.grad, average, momentum))
    rows, columns = pairs[0][0].shape
    scale = lr * max(1.0, rows / columns) ** 0.5
    for (parameter, _), update in zip(pairs, orthogonal(torch.stack(ahead)), strict=True):
        parameter.mul_(1 - lr * decay).add_(update, alpha=-scale)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """(count, rows, columns) matrices with their singular values brought near 1 by Newton-Schulz."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x
