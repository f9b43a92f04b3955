"""Lessons in a graph: recalled before an attempt, drawn after it, each in the trace and in a file that may be named."""

import asyncio
from collections.abc import Sequence

from maieutic.context import Context
from maieutic.memory.lessons import Lesson, Lessons, listed


async def recalled(ctx: Context, store: Lessons | None, about: str) -> list[str]:
    """The texts of the lessons that were kept for something like `about`; the gate says how like it they are."""
    if store is None:
        return []
    found = await asyncio.to_thread(store.like, about)
    inputs = [{"text": lesson.text, "likeness": round(likeness, 4), "run": lesson.run_id} for lesson, likeness in found]
    ctx.gate("lessons", "recalled" if found else "none", found=inputs, k=store.k, threshold=store.threshold)
    return [lesson.text for lesson, _ in found]


async def drawn(ctx: Context, store: Lessons | None, text: str, about: str, call_id: str, of: Sequence[str]) -> Lesson:
    """Keep a lesson that the call `call_id` drew from the calls `of`."""
    lesson = Lesson(text, about, call_id, ctx.run.run_id)
    ctx.record("lesson", call_id=call_id, text=text, about=about, **{"from": list(of)})
    if store is not None:
        await asyncio.to_thread(store.add, lesson)
    return lesson


def noted(earlier: Sequence[str], own: Sequence[str]) -> str:
    """Lessons as a prompt shows them, those of this run last."""
    return listed(list(dict.fromkeys([*earlier, *own])))
