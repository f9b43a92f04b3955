"""Replies that have to be read: one attempt to have an unreadable one put right, and then it is missing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from maieutic.context import Context, Utterance
from maieutic.errors import ModelError
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What a role said and what was read from it. `value` is None where it could not be read: missing is not zero.

    `call_id` is the call whose text was read, the repair's where there was one; `text` is that call's text.
    """

    text: str
    call_id: str
    value: T | None
    said: Utterance


async def ask(
    ctx: Context,
    role: str,
    messages: tuple[Message, ...],
    read: Callable[[str], T | None],
    form: str,
    *,
    sampling: Sampling = Sampling(),
    parents: tuple[Parent, ...] = (),
    schema: dict[str, Any] | None = None,
    most: int | None = None,
) -> Reply[T]:
    """Ask `role` and read its reply; where nothing can be read, ask once more for `form` alone.

    `form` shows the line (or the JSON) that is wanted, as the role's prompt shows it. A model that can't hold a
    conversation is not asked again. `most` bounds each reply in tokens, as that of `Context.sample` does. Raises
    ModelError or BudgetExceeded where the first call fails; a repair that the model fails at leaves the value missing.
    """
    said = await ctx.sample(role, messages, sampling=sampling, parents=parents, schema=schema, most=most)
    value = read(said.text)
    if value is not None or not ctx.model_for(role).profile.conversation:
        return Reply(said.text, said.call_id, value, said)
    try:
        again = await ctx.sample(
            role,
            (*said.messages, {"role": "user", "content": f"That could not be read. Write nothing but this:\n{form}"}),
            sampling=sampling,
            parents=(Parent(said.call_id, "retry"),),
            schema=schema,
            most=most,
        )
    except ModelError:
        return Reply(said.text, said.call_id, None, said)
    value = read(again.text)
    ctx.record("note", call_id=again.call_id, repairs=said.call_id, read=value is not None)
    return Reply(again.text, again.call_id, value, again)
