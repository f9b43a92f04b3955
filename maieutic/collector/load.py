"""The load: what servers say of how busy they are, asked for every second and told to the pace."""

import asyncio
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from maieutic.collector.pace import Pace
from maieutic.llm.model import Model

EVERY = 1.0  # seconds


@runtime_checkable
class Gauged(Protocol):
    """A model whose server can be asked how busy it is. `overloads` counts its refusals for being overloaded."""

    @property
    def overloads(self) -> int: ...

    async def waiting(self) -> int | None:
        """How many requests wait in its queue; None where it doesn't say."""
        ...


async def tell_load(models: Iterable[Model], pace: Pace, every: float = EVERY) -> None:
    """Tell `pace` of the models' refusals and queues, until cancelled; not one that stays as it is."""
    gauged = [model for model in models if isinstance(model, Gauged) and pace.low < pace.high]
    seen = sum(model.overloads for model in gauged)
    while gauged:
        await asyncio.sleep(every)
        refusals = sum(model.overloads for model in gauged)
        if refusals > seen:
            pace.refused()
        seen = refusals
        queues = await asyncio.gather(*(model.waiting() for model in gauged))
        known = [waiting for waiting in queues if waiting is not None]
        if known:
            pace.queued(sum(known))
