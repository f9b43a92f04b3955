"""Going on with a thought: the prompt that an earlier reply leaves, whole or cut, with a piece of text put in after it.

Where the same model goes on and its tokens are at hand, the prompt is the earlier ids themselves, so that nothing is
rendered or tokenised again. Another model gets the text in its own template and tokens. A model whose tokens are not at
hand gets an open last message.
"""

from dataclasses import dataclass
from typing import Literal

from maieutic.errors import ModelError
from maieutic.llm.model import TokenModel
from maieutic.types import Completion, Message, Request, Sampling

How = Literal["tokens", "encoded", "chat"]
OPEN, CLOSE = "<think>", "</think>"  # around a thought, as most models write it
LOOK_BACK = 16  # tokens of a prompt's end in which its template may have opened a thought


@dataclass(frozen=True, slots=True)
class Thought:
    """A reply as far as it goes: the request it answered, the completion, and the text before that in the same turn.

    `model` is the one that said it, None where its tokens are not at hand.
    """

    request: Request
    completion: Completion
    before: str = ""
    model: TokenModel | None = None

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages before the turn that the thought is."""
        messages = self.request.messages
        return messages[:-1] if self.request.goes_on else messages


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a model goes on: the turn's text so far, how it was made, the ids where it is raw, the tokens kept."""

    text: str
    how: How
    prompt_ids: tuple[int, ...] | None = None
    kept: int | None = None


async def go_on(
    thought: Thought,
    model: TokenModel | None,
    addition: str,
    keep_tokens: int | None,
    sampling: Sampling = Sampling(),
) -> Opening:
    """Open a thought for `model` (None: its tokens are not at hand). `keep_tokens` cuts the completion after so many,
    `sampling` is what `model` will be sampled with: its settings of the chat template hold where that is applied anew.

    Raises ModelError, also where a cut is asked for and the tokens are not known.
    """
    ids, prompt = thought.completion.token_ids, thought.completion.prompt_token_ids
    said: str | None = None
    kept: int | None = None
    if thought.model is not None and ids is not None:
        tokens, text, rest = await _kept(thought.model, thought, ids, keep_tokens)
        said, kept = text + rest, len(tokens)
        if model is not None and model.name == thought.model.name and prompt is not None:
            added = await model.encode(rest + addition)
            return Opening(thought.before + said + addition, "tokens", prompt + tokens + added, kept)
    elif keep_tokens is not None:
        raise ModelError("A thought can only be cut where its token ids are known: leave keep_tokens out.")
    if model is None:
        return Opening(thought.before + (_written(thought.completion) if said is None else said) + addition, "chat")
    return await _encode(thought, model, said, addition, kept, sampling)


async def _kept(
    model: TokenModel, thought: Thought, ids: tuple[int, ...], keep: int | None
) -> tuple[tuple[int, ...], str, str]:
    """The tokens that stay, their text, and what stays of a token that a stop string begins in.

    What ended the turn does not stay: neither an end-of-turn token nor a stop string.
    """
    sampling, text = thought.request.sampling, ""
    if keep is not None and keep < len(ids):
        return ids[:keep], await model.decode(ids[:keep]), ""
    if thought.completion.finish_reason not in ("stop", "tool_calls"):
        return ids, await model.decode(ids), ""
    text = await model.decode(ids)
    found = [at for at in map(text.find, sampling.stop) if at >= 0]
    if not found:
        return ids[:-1], await model.decode(ids[:-1]), ""
    for length in range(len(ids) - 1, 0, -1):
        head = await model.decode(ids[:length])
        if len(head) <= min(found) and text.startswith(head):
            return ids[:length], head, text[len(head) : min(found)]
    return (), "", text[: min(found)]


async def _encode(
    thought: Thought, model: TokenModel, said: str | None, addition: str, kept: int | None, sampling: Sampling
) -> Opening:
    """The thought in another model's template and tokens."""
    request = Request(thought.conversation, sampling, thought.request.tools)
    prompt = await model.render(request)
    opened = _opens(await model.decode(prompt[-LOOK_BACK:]))
    text = thought.before + (_written(thought.completion) if said is None else said)
    if opened:
        text = text.lstrip().removeprefix(OPEN).removeprefix("\n") if text.lstrip().startswith(OPEN) else text
    elif await _opened(thought):
        text = f"{OPEN}\n{text}"
    text += addition
    return Opening(text, "encoded", prompt + await model.encode(text), kept)


async def _opened(thought: Thought) -> bool:
    """Whether the template under this thought had opened it, so that its text doesn't say so."""
    prompt = thought.completion.prompt_token_ids
    if thought.model is None or prompt is None:
        return False
    text = await thought.model.decode(prompt)
    return _opens(text.removesuffix(thought.before))


def _opens(prompt: str) -> bool:
    return prompt.rstrip().endswith(OPEN)


def _written(completion: Completion) -> str:
    """What a completion says, its reasoning put back where models write it."""
    if not completion.reasoning:
        return completion.text
    answer = f"\n{CLOSE}\n\n{completion.text}" if completion.text else ""
    return f"{OPEN}\n{completion.reasoning}{answer}"
