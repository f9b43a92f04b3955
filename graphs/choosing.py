"""Choosing among ways to answer by how they fared on questions like this one."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from maieutic.context import Context
from maieutic.memory.outcomes import Outcomes, Record, records


async def fared(
    ctx: Context, store: Outcomes, arms: Sequence[str], role: str, k: int, threshold: float
) -> list[Record]:
    """How `arms` fared for the model that plays `role` on the nearest questions, the best first."""
    solver = ctx.model_for(role).model.name
    near = await asyncio.to_thread(store.near, ctx.task["question"], solver=solver, k=k, threshold=threshold)
    return records(near, arms)


def best(found: Sequence[Record], least: int, margin: float = 0.0) -> str | None:
    """The cheapest arm whose rate is within `margin` of the highest, among those with `least` judged trials; None
    where there is no such arm, or none of them was ever right."""
    known = [record for record in found if record.trials >= least]
    top = max((record.rate for record in known), default=0.0)
    close = [record for record in known if record.rate >= top - margin - 1e-9]
    return min(close, key=lambda record: record.tokens).strategy if top > 0 else None


def inputs(found: Sequence[Record], **others: Any) -> dict[str, Any]:
    """What a gate says of a choice."""
    return {"records": [asdict(record) for record in found], **others}
