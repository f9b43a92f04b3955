"""A reward that a test can see rise: for every character that a reply is shorter."""

from typing import Any


def brief(completions: list[Any], **columns: Any) -> list[float]:
    return [-float(len(completion[0]["content"])) for completion in completions]
