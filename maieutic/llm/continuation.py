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
    """Where a model goes on: the turn's text so far, how it was made, the ids where it is raw, the tokens kept, and the
    text that was put in."""

    text: str
    how: How
    prompt_ids: tuple[int, ...] | None = None
    kept: int | None = None
    addition: str = ""


async def go_on(
    thought: Thought,
    model: TokenModel | None,
    addition: str,
    keep_tokens: int | None,
    sampling: Sampling = Sampling(),
    closing: str = "",
) -> Opening:
    """Open a thought for `model` (None: its tokens are not at hand). `keep_tokens` cuts the completion after so many,
    `sampling` is what `model` will be sampled with: its settings of the chat template hold where that is applied anew.
    `closing` is a stop string that stays: as the tokens that were sampled where they are known, else put in as text.

    Raises ModelError, also where a cut is asked for and the tokens are not known.
    """
    ids, prompt = thought.completion.token_ids, thought.completion.prompt_token_ids
    said: str | None = None
    kept: int | None = None
    if thought.model is not None and ids is not None:
        tokens, text, rest = await _kept(thought.model, thought, ids, keep_tokens, closing)
        said, kept = text + rest, len(tokens)
        addition = _closed(said, closing) + addition
        if model is not None and model.name == thought.model.name and prompt is not None:
            added = await model.encode(rest + addition)
            return Opening(thought.before + said + addition, "tokens", prompt + tokens + added, kept, addition)
    elif keep_tokens is not None:
        raise ModelError("A thought can only be cut where its token ids are known: leave keep_tokens out.")
    if said is None:
        said = _written(thought.completion)
        addition = _closed(said, closing) + addition
    if model is None:
        return Opening(thought.before + said + addition, "chat", addition=addition)
    return await _encode(thought, model, said, addition, kept, sampling)


async def stopped_at(thought: Thought) -> str | None:
    """The stop string that ended a reply; None where something else did, such as the model's own end of turn.

    vLLM names it; elsewhere it is looked for in the tokens, which hold it, and without tokens in the text.
    """
    completion, stops = thought.completion, thought.request.sampling.stop
    if completion.finish_reason != "stop" or not stops:
        return None
    named = completion.extra.get("choice", {}).get("stop_reason")
    if isinstance(named, str):
        return named
    text = completion.text
    if thought.model is not None and completion.token_ids is not None:
        text = await thought.model.decode(completion.token_ids)
    found = [(at, stop) for stop in stops if (at := text.find(stop)) >= 0]
    return min(found)[1] if found else None


async def tokens_through(model: TokenModel, ids: tuple[int, ...], mark: str) -> int | None:
    """How many of the tokens reach up to behind the last `mark` in their text, without a token that goes beyond it.

    None where the text has no such mark, or nothing before it.
    """
    text = await model.decode(ids)
    before, found, _ = text.rpartition(mark)
    if not found or not before.strip():
        return None
    fewest, most, end = 0, len(ids), len(before) + len(mark)
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if len(await model.decode(ids[:middle])) <= end:
            fewest = middle
        else:
            most = middle - 1
    return fewest or None


def _closed(said: str, closing: str) -> str:
    """The stop string where it has to be put in, because what was said ends without it."""
    return "" if said.rstrip().endswith(closing.strip()) else closing


async def _kept(
    model: TokenModel, thought: Thought, ids: tuple[int, ...], keep: int | None, closing: str = ""
) -> tuple[tuple[int, ...], str, str]:
    """The tokens that stay, their text, and what stays of a token that a stop string begins in.

    What ended the turn does not stay, neither an end-of-turn token nor a stop string, but for the stop string
    `closing`, which stays with the whole of the token that it ends in.
    """
    sampling, text = thought.request.sampling, ""
    if keep is not None and keep < len(ids):
        return ids[:keep], await model.decode(ids[:keep]), ""
    if thought.completion.finish_reason not in ("stop", "tool_calls"):
        return ids, await model.decode(ids), ""
    text = await model.decode(ids)
    found = [at for at in map(text.find, sampling.stop) if at >= 0]
    if closing and (at := text.find(closing)) >= 0 and at == min(found, default=at):
        return await _through(model, ids, at + len(closing))
    if not found:
        return ids[:-1], await model.decode(ids[:-1]), ""
    for length in range(len(ids) - 1, 0, -1):
        head = await model.decode(ids[:length])
        if len(head) <= min(found) and text.startswith(head):
            return ids[:length], head, text[len(head) : min(found)]
    return (), "", text[: min(found)]


async def _through(model: TokenModel, ids: tuple[int, ...], end: int) -> tuple[tuple[int, ...], str, str]:
    """The tokens up to and with that in which the text reaches `end`: a server that stopped there sampled no more."""
    for length in range(len(ids), 0, -1):
        shorter = await model.decode(ids[: length - 1])
        if len(shorter) < end:
            return ids[:length], await model.decode(ids[:length]), ""
    return (), "", ""


async def _encode(
    thought: Thought, model: TokenModel, said: str, addition: str, kept: int | None, sampling: Sampling
) -> Opening:
    """The thought in another model's template and tokens."""
    request = Request(thought.conversation, sampling, thought.request.tools)
    prompt = await model.render(request)
    opened = _opens(await model.decode(prompt[-LOOK_BACK:]))
    text = thought.before + said
    if opened:
        text = text.lstrip().removeprefix(OPEN).removeprefix("\n") if text.lstrip().startswith(OPEN) else text
    elif await _opened(thought):
        text = f"{OPEN}\n{text}"
    text += addition
    return Opening(text, "encoded", prompt + await model.encode(text), kept, addition)


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
