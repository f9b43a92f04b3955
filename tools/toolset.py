"""The `Toolset` noun: several tools that share something, opened with a runner and closed with it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from maieutic.tools.tool import Tool


@runtime_checkable
class Toolset(Protocol):
    """Tools that live while something is open, such as a connection. It may be opened several times side by side;
    `name` stands for it where a collection says what it was asked for."""

    @property
    def name(self) -> str: ...

    def open(self) -> AbstractAsyncContextManager[Sequence[Tool]]:
        """Its tools, usable within the block. Entering it raises UserError where they can't be had."""
        ...
