"""The `Memory` noun: what is remembered between calls, turns or runs."""

from typing import Protocol, runtime_checkable

from maieutic.types import Message


@runtime_checkable
class Memory(Protocol):
    """Something that remembers messages. What it keeps, for how long and what it finds again is its own matter."""

    async def recall(self, about: str) -> tuple[Message, ...]:
        """What is worth having before `about` is answered, as messages that go ahead of it; empty where nothing is."""
        ...

    async def remember(self, messages: tuple[Message, ...]) -> None:
        """Take in messages that were said, oldest first."""
        ...
