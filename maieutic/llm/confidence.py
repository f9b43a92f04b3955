"""How probable a model finds its answer, read from the alternatives at the first token of a short reply, or at the last
one of a reply that says before what it is based on.

`p_true` asks this of true and false (Kadavath et al. 2022, arXiv 2207.05221), `option_probabilities` of any options.
The log-probabilities are the model's own, at temperature 1 and with nothing cut off, whatever it was sampled with: so
the in-box model gives them, and vLLM with its default `--logprobs-mode raw_logprobs`.
"""

import math
from collections.abc import Container, Sequence

from maieutic.errors import UserError
from maieutic.types import Completion

TRUE = ("True", "Yes", "Correct")
FALSE = ("False", "No", "Incorrect", "Wrong")
_MARKS = " \t\r\n\u2581\u0120\u010a"  # white space, and what some tokenizers write for it


def p_true(completion: Completion, true: Sequence[str] = TRUE, false: Sequence[str] = FALSE) -> float | None:
    """The probability that the one-token reply is one of `true` rather than of `false`; None where it can't be told.

    The reply must have been asked for with `top_logprobs`.
    """
    found = _shares(completion, [true, false])
    return None if found is None else found[0]


def option_probabilities(completion: Completion, options: Sequence[str], last: bool = False) -> dict[str, float] | None:
    """How the probability of the first token is shared out among the options, which are one token each; or that of the
    `last` token that is one of them, where it is nothing without the reply before it.

    Spellings that differ in case or in white space around them count together. An option that is not among the
    alternatives has 0: less than the least of them. None where no option is, or where there are no alternatives.
    Raises UserError for options that are spelt the same.
    """
    found = _shares(completion, [(option,) for option in options], last)
    return None if found is None else dict(zip(options, found, strict=True))


def _shares(completion: Completion, groups: Sequence[Sequence[str]], last: bool = False) -> list[float] | None:
    places = _places(groups)
    token = _last_of(completion, places) if last else next(iter(completion.top_logprobs or ()), None)
    if token is None:
        return None
    masses = [0.0] * len(groups)
    for text, logprob in token:
        if (place := places.get(_spelling(text))) is not None:
            masses[place] += math.exp(logprob)
    total = sum(masses)
    return [mass / total for mass in masses] if total > 0 else None


def _last_of(completion: Completion, spellings: Container[str]) -> tuple[tuple[str, float], ...] | None:
    """The alternatives at the last token that was spelt like this; the token is the one of its log-probability."""
    tokens = zip(completion.top_logprobs or (), completion.logprobs or (), strict=False)
    for alternatives, logprob in reversed(list(tokens)):
        said = min(alternatives, key=lambda one: abs(one[1] - logprob), default=None)
        if said is not None and _spelling(said[0]) in spellings:
            return alternatives
    return None


def _places(groups: Sequence[Sequence[str]]) -> dict[str, int]:
    """The group of each spelling."""
    places: dict[str, int] = {}
    for number, group in enumerate(groups):
        for option in group:
            if places.setdefault(_spelling(option), number) != number:
                raise UserError(
                    f"The option {option!r} is given twice: options must differ in more than case and space."
                )
    return places


def _spelling(text: str) -> str:
    return text.strip(_MARKS).casefold()
