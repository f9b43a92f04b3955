"""What happens in a run, as it happens: one stream that the terminal, the Python API and servers share."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

EventKind = Literal[
    "run_started",
    "call_started",
    "delta",
    "call_finished",
    "approval_requested",
    "tool_started",
    "tool_finished",
    "vote",
    "verdict",
    "confidence",
    "gate",
    "branch_failed",
    "note",
    "answer",
    "run_finished",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `node` is the graph's node, `role` who speaks, `branch` a path such as "sample-3"."""

    kind: EventKind
    run_id: str
    node: str = ""
    role: str = ""
    branch: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)


class EventStream:
    """Fan-out of a run's events to its listeners. Costs nothing while nobody listens."""

    def __init__(self) -> None:
        self._queues: list[asyncio.Queue[Event | None]] = []
        self._closed = False

    @property
    def listening(self) -> bool:
        return bool(self._queues)

    def emit(self, event: Event) -> None:
        for queue in self._queues:
            queue.put_nowait(event)

    def close(self) -> None:
        self._closed = True
        for queue in self._queues:
            queue.put_nowait(None)

    def subscribe(self) -> AsyncIterator[Event]:
        """Listen from now on; the iterator ends when the stream is closed."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queues.append(queue)
        if self._closed:
            queue.put_nowait(None)
        return self._drain(queue)

    async def _drain(self, queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._queues.remove(queue)
