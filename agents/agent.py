"""The `Agent` noun: one role at a model."""

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

from maieutic.context import Context

Out_co = TypeVar("Out_co", covariant=True)


class Agent(Protocol[Out_co]):
    """An async callable `(ctx, …) -> output`; `role` names its prompt file and who speaks in the trace."""

    role: str

    def __call__(self, ctx: Context, /, *args: Any, **kwargs: Any) -> Awaitable[Out_co]: ...
