"""The `Model` noun: something that samples."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from maieutic.types import Completion, Delta, Request

OnDelta = Callable[[Delta], None]


@runtime_checkable
class Model(Protocol):
    """Something that samples one completion for one request.

    Implementations are safe to call concurrently from one event loop. There is no `n`: callers fan out.

    `sample` calls `on_delta`, on the event loop's thread, for each streamed piece as it arrives; an exception raised by
    `on_delta` stops the call and is raised from `sample`. Cancelling the awaiting task closes the connection to the
    server (or leaves the batch), so that nothing goes on generating. Failures are `maieutic.errors.ModelError`.
    """

    @property
    def name(self) -> str:
        """The name under which the model was asked for, such as `in-box` or `vllm/qwen3`."""
        ...

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion: ...

    async def close(self) -> None:
        """Release connections, threads and memory; the model is not used afterwards."""
        ...
