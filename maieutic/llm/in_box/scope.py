"""What the in-box model can be asked, decided by rule: a language model this small can't be trusted to know its limits.

It has learnt to refuse most other questions, and babbles at the rest (its card says how often). In the process, the
rule speaks first; a refusal by rule is recorded as such and never as something the weights have said.
"""

import re
from collections.abc import Sequence

from maieutic.types import Completion, Message, Usage

REFUSAL = (
    "I am only Maieutic's small in-box model: I know sums of up to six numbers of one or two digits, products of two "
    "such numbers, and counting legs. Connect a real model for anything else: --model vllm/NAME, or any other that "
    "docs/models.md names."
)
_NUMBER = r"-?[0-9]{1,2}"
_SUM = rf"{_NUMBER}(?: ?[+-] ?{_NUMBER}){{1,5}}"
_EXPRESSION = rf"(?:{_SUM}|{_NUMBER} ?[*×x] ?{_NUMBER})"
_QUESTIONS = re.compile(
    rf"(?:what is|calculate|compute|how much is)? ?{_EXPRESSION} ?=? ?[?.]?"
    rf"|state the final answer to the following arithmetic problem: ?{_SUM} ?=?"
    rf"|solve the following multiplication: ?{_EXPRESSION}\. give only the result as your final answer\.?"
    r"|.*how many legs are there in total if you have \d.*",
    re.IGNORECASE | re.DOTALL,
)


def in_scope(messages: Sequence[Message]) -> bool:
    """Whether the question is one of the model's families.

    The question is the last user message, or its first paragraphs where a role's prompt quotes drafts after it.
    """
    asked = next((m["content"] for m in reversed(messages) if m["role"] == "user"), None)
    if not isinstance(asked, str):
        return False
    question = re.split(r"\n+(?:Solution|Your solution|Candidate 1|Steps):\n", asked, maxsplit=1)[0]
    return _QUESTIONS.fullmatch(" ".join(question.split())) is not None


def refusal(name: str, template: str) -> Completion:
    """The answer to a question out of scope: no token of it was sampled, so it has no ids and no weights."""
    return Completion(
        REFUSAL, finish_reason="stop", usage=Usage(calls=1), model=name, template=template, extra={"out_of_scope": True}
    )
