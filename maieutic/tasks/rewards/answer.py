"""Rewards for the answer and for its form."""

import re
from collections import Counter

from maieutic.tasks.rewards.parts import Scored, part
from maieutic.types import Outcome


@part("answer")
def answer(scored: Scored, *, right: float = 1.0, wrong: float = 0.0, unparsed: float = 0.0) -> float | None:
    """One number for each way it can end. ReFT (Luong et al. 2024, arXiv 2401.08967) gives 1, 0.1, 0."""
    if scored.outcome is None:
        return None
    if scored.right:
        return right
    return wrong if scored.parsed else unparsed


@part("format_strict")
def format_strict(scored: Scored, *, tags: tuple[str, ...] = ("think", "answer")) -> float:
    """1 where each tag pair stands exactly once, in this order, and not one within another; else 0 (ARTIST's strict
    form)."""
    names = "|".join(map(re.escape, tags))
    pattern = r"\s*".join(rf"<{re.escape(t)}>(?:(?!</?(?:{names})>).)*</{re.escape(t)}>" for t in tags)
    return float(re.fullmatch(rf"\s*{pattern}\s*", scored.text, re.DOTALL) is not None)


@part("format_relaxed")
def format_relaxed(scored: Scored, *, tags: tuple[str, ...] = ("think", "answer")) -> float:
    """Half of it for the share of tag pairs that are there, half for their order (ARTIST's relaxed form)."""
    found = [scored.text.find(f"<{tag}>") for tag in tags if f"<{tag}>" in scored.text and f"</{tag}>" in scored.text]
    present = len(found) / len(tags)
    return 0.5 * present + 0.5 * (present == 1 and found == sorted(found))


@part("rise_verification")
def rise_verification(scored: Scored) -> float | None:
    """RISE (Liu et al. 2025): a verifier's boxed score against the outcome's own: 1 for the same, -0.5 for another, -1
    where there is no box. The outcome's score is 1 right, -0.5 wrong, -1 unparsed, and stands in `facts["target"]`."""
    target = scored.facts.get("target")
    if target is None:
        return None
    boxes = re.findall(r"\\boxed\{\s*(-?\d+(?:\.\d+)?)\s*\}", scored.text)
    if not boxes:
        return -1.0
    return 1.0 if float(boxes[-1]) == float(target) else -0.5


def rise_outcome(outcome: Outcome | None) -> float | None:
    """RISE's score of an answer: the target of whoever verifies it."""
    if outcome is None:
        return None
    unparsed = outcome in (Outcome.UNPARSED, Outcome.FORMAT_ERROR)
    return 1.0 if outcome is Outcome.CORRECT else -1.0 if unparsed else -0.5


_PLANNING = ("first, ", "next, ", "finally, ", "let's first", "to begin", "step by step", "the plan", "we need to")
_RETRYING = (
    "wait",
    "alternatively",
    "try again",
    "not correct",
    "another way",
    "let me reconsider",
    "on second thought",
)
_CAUSAL = ("thus", "therefore", "since we ", "because", "so that", "it follows", "which means", "hence")
_EXPLORING = ("let me try", "let me check", "let's see", "what if", "suppose", "consider", "let us verify", "to verify")
PATTERNS = (*_PLANNING, *_RETRYING, *_CAUSAL, *_EXPLORING)


@part("reasoning_pattern")
def reasoning_pattern(scored: Scored, *, enough: int = 20, patterns: tuple[str, ...] = PATTERNS) -> float:
    """How many different reasoning phrases occur (presence, not frequency), less the share of repeated 20-word runs.

    After the reasoning pattern reward of Lv et al. 2025 ("The Climb Carves Wisdom Deeper Than the Summit"), with a
    list of phrases of our own. 0 for a reply without a readable answer, and never below 0.
    """
    if not scored.parsed:
        return 0.0
    text = scored.text.lower()
    hits = sum(phrase in text for phrase in patterns)
    words = text.split()
    runs = [tuple(words[i : i + 20]) for i in range(len(words) - 19)]
    repeated = sum(count > 1 for count in Counter(runs).values()) / len(set(runs)) if runs else 0.0
    return max(0.0, min(1.0, hits / enough) - repeated - text.count("user: "))
