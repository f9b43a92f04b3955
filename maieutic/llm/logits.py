"""Reflection words made likelier or less likely while a model thinks: what a request to a vLLM server says for that.

The server must run with the logits processor `maieutic_logits:ReflectionPenalty`, as `maieutic model up` starts it.
Its fields go into `Sampling.extra`:

    tokens = reflection_token_ids(encode)
    sampling = Sampling(extra=cyclic_reflex(tokens.ids))

Positions count the completion's tokens, thoughts included; the first one is 0. A positive number makes the words
likelier. Nothing is changed after the end of the thinking.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from maieutic.errors import UserError
from maieutic.llm.model import TokenModel

WORDS = ("wait", "but", "alternatively")
END_OF_THINKING = "</think>"


@dataclass(frozen=True, slots=True)
class ReflectionTokens:
    """The tokens that are a spelling of one of the words.

    `resolved` has each spelling that is one token, with its id. `left_out` has each spelling that is several, with
    their ids: the first of them may begin other words too ("Altern" also begins "Alternate"), so it is not taken.
    That a token which is a whole word ("But") can go on to a longer one ("Butter") is not seen here.
    """

    resolved: dict[str, int]
    left_out: dict[str, tuple[int, ...]]

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids, each once, in ascending order."""
        return tuple(sorted(set(self.resolved.values())))


def spellings(words: Iterable[str] = WORDS) -> tuple[str, ...]:
    """Every spelling that is looked up: lower case, capitalised, upper case; with and without a space before and a
    comma after; at the beginning of a line."""
    cases = dict.fromkeys(case for word in words for case in (word.lower(), word.capitalize(), word.upper()))
    return tuple(before + case + after for case in cases for before in ("", " ", "\n") for after in ("", ","))


def reflection_token_ids(encode: Callable[[str], Sequence[int]], words: Iterable[str] = WORDS) -> ReflectionTokens:
    """The tokens of the words in all their spellings; `encode` gives a text's token ids, without special tokens.

    At the beginning of a line, what the line break itself is encoded to is taken off: tokenizers that put a space
    before every text show the word without one only there.
    """
    resolved: dict[str, int] = {}
    left_out: dict[str, tuple[int, ...]] = {}
    line = tuple(encode("\n"))
    for spelling in spellings(words):
        ids = tuple(encode(spelling))
        if spelling.startswith("\n"):
            if ids[: len(line)] != line:
                left_out[spelling] = ids
                continue
            ids = ids[len(line) :]
        if len(ids) == 1:
            resolved[spelling] = ids[0]
        else:
            left_out[spelling] = ids
    return ReflectionTokens(resolved, left_out)


async def reflection_tokens(model: TokenModel, words: Iterable[str] = WORDS) -> ReflectionTokens:
    """The same, by the tokenizer of a model. Raises ModelError."""
    texts = ("\n", *spellings(words))
    found = dict(zip(texts, await asyncio.gather(*map(model.encode, texts)), strict=True))
    return reflection_token_ids(found.__getitem__, words)


def triangle(position: float, amplitude: float, period: float, shift: float = 0.0) -> float:
    """What CyclicReflex adds to the logits of reflection tokens at a position of the output.

    It rises from 0 at position 0 to `amplitude` after a quarter period, falls to minus that after three quarters and
    is 0 again after a whole one; over a period it adds up to nothing. `shift` is in tokens.
    """
    phase = ((position + shift) / period - 0.25) % 1.0
    return amplitude * (abs(4.0 * phase - 2.0) - 1.0)


def cyclic_reflex(
    token_ids: Sequence[int],
    amplitude: float = 5.0,
    period: float = 1200.0,
    shift: float = 0.0,
    end_think: Sequence[int] | int | None = None,
    start: int = 0,
    until: int | None = 8192,
) -> dict[str, Any]:
    """CyclicReflex: the `triangle` over reflection tokens, for `Sampling.extra`. Raises UserError.

    The defaults are those of the authors' scripts (arXiv 2506.11077) for a model of 7B parameters on MATH500 and AIME;
    they took amplitude 3 and period 600 in beam search, 1 and 600 for best of n, and tuned both on the test sets. They
    were found for the bare words, without a space before: with all spellings, tune the amplitude again.

    `end_think` are the token ids that end the thinking; None leaves it to the server's tokenizer (`</think>`), an empty
    sequence means that there is no end. `start` is the position of the call's first token, where a call goes on with an
    earlier one; from position `until` on nothing is changed.
    """
    if period <= 0:
        raise UserError(f"The period of CyclicReflex must be above 0 tokens, not {period:g}.")
    own = {"mode": "cyclic", "amplitude": float(amplitude), "period": float(period), "shift": float(shift)}
    return _extra(own, token_ids, end_think, start, until)


def tip(
    token_ids: Sequence[int],
    penalty: float = 3.0,
    window: int | None = 600,
    end_think: Sequence[int] | int | None = None,
    start: int = 0,
    until: int | None = None,
) -> dict[str, Any]:
    """The thought switching penalty: `penalty` is taken from the logits of reflection tokens. Raises UserError.

    It holds for the first `window` tokens of each thought; every reflection token that is said begins a thought. With
    `window=None` it always holds, which is the baseline that CyclicReflex is compared with (there 3 as well). The
    defaults are the published best (arXiv 2501.18585), found for QwQ-32B-Preview. The other arguments are those of
    `cyclic_reflex`.
    """
    if window is not None and window < 1:
        raise UserError(f"The window of the penalty must be at least 1 token, or None for no window, not {window}.")
    own = {"mode": "tip", "penalty": float(penalty), "window": window or 0}
    return _extra(own, token_ids, end_think, start, until)


def _extra(
    own: dict[str, Any], token_ids: Sequence[int], end: Sequence[int] | int | None, start: int, until: int | None
) -> dict[str, Any]:
    if not token_ids:
        raise UserError("There are no reflection tokens: none of the words' spellings is one token of this model.")
    fields = {**own, "tokens": list(token_ids), "start": start}
    if end is not None:
        fields["end"] = [end] if isinstance(end, int) else list(end)
    if until is not None:
        fields["until"] = until
    return {"vllm_xargs": {f"reflection_{name}": value for name, value in fields.items()}}
