"""The `Model` noun: something that samples."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from maieutic.errors import ModelError
from maieutic.types import Completion, Delta, Request

OnDelta = Callable[[Delta], None]


class Enough(Exception):
    """Raised by a listener: the call ends here, and what has arrived is its completion, `reason` its finish reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_raw(request: Request) -> None:
    """Raise ModelError where a request goes on from token ids and wants what only a template puts into a prompt."""
    if request.prompt_ids is not None and (request.tools or request.tool_choice or request.continue_final):
        raise ModelError(
            "A call that goes on from token ids takes no tools, tool_choice or continue_final: "
            "what they would put into the prompt has to be among the ids."
        )


@runtime_checkable
class Model(Protocol):
    """Something that samples one completion for one request.

    Implementations are safe to call concurrently from one event loop. There is no `n`: callers fan out.

    `sample` calls `on_delta`, on the event loop's thread, for each streamed piece as it arrives; an exception raised by
    `on_delta` stops the call and is raised from `sample`, but for `Enough`, which ends it early. Cancelling the task
    that waits closes the connection to the server (or leaves the batch), so that nothing goes on generating. Failures
    are `maieutic.errors.ModelError`.
    """

    @property
    def name(self) -> str:
        """The name under which the model was asked for, such as `in-box` or `vllm/qwen3`."""
        ...

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion: ...

    async def close(self) -> None:
        """Release connections, threads and memory; the model is not used afterwards."""
        ...


@runtime_checkable
class TokenModel(Model, Protocol):
    """A model whose tokens are at hand: it answers requests with `prompt_ids`, so that a thought can be gone on with,
    cut or added to exactly, without being rendered and tokenised again. Failures are ModelError."""

    async def render(self, request: Request) -> tuple[int, ...]:
        """The token ids that the chat template makes of the request's messages and tools."""
        ...

    async def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of a piece of text, no special tokens added; those that stand in the text are recognised."""
        ...

    async def decode(self, token_ids: tuple[int, ...]) -> str:
        """The text of token ids, special tokens included."""
        ...
