"""Rewards of work whose result is not one answer: patches by their likeness, reasoning by what it makes probable."""

import difflib
import re
from collections.abc import Mapping, Sequence
from statistics import pvariance

from maieutic.tasks.rewards.parts import Scored, part

_BLOCK = re.compile(
    r"^### (?P<path>[^\n]+)\n<<<<<<< SEARCH\n(?P<search>.*?)\n?=======\n(?P<replace>.*?)\n?>>>>>>> REPLACE", re.M | re.S
)


class BadPatch(ValueError):
    """A reply that is no patch: none of its blocks can be read, or one can't be applied."""


@part("patch_similarity")
def patch_similarity(scored: Scored) -> float | None:
    """SWE-RL's reward (Wei et al. 2025, arXiv 2502.18449): how alike the change is to the oracle's, a mean over files;
    -1 for a badly formed reply. `facts`: `files` (path to text), `oracle` (path to text after the change)."""
    files, oracle = scored.facts.get("files"), scored.facts.get("oracle")
    if files is None or oracle is None:
        return None
    try:
        changed = apply_patch(answer_of(scored.text), files)
    except BadPatch:
        return -1.0
    return change_similarity(files, changed, oracle)


def answer_of(text: str) -> str:
    """What stands in the solution tags. Raises BadPatch unless there is one thought, not empty, and one solution."""
    thoughts = re.findall(r"<think>(.*?)</think>", text, re.S)
    solutions = re.findall(r"<solution>(.*?)</solution>", text, re.S)
    tags = [text.count(tag) for tag in ("<think>", "</think>", "<solution>", "</solution>")]
    if tags != [1, 1, 1, 1] or len(thoughts) != 1 or len(solutions) != 1 or not thoughts[0].strip():
        raise BadPatch("one thought and one solution are wanted")
    return str(solutions[0])


def apply_patch(answer: str, files: Mapping[str, str]) -> dict[str, str]:
    """The files that the search/replace blocks of an answer change, as they are then. Raises BadPatch where a block
    can't be read or applied, changes nothing, or there is none. The search text begins at the start of a line."""
    blocks = list(_BLOCK.finditer(answer))
    if not blocks:
        raise BadPatch("there is no search/replace block")
    changed: dict[str, str] = {}
    for block in blocks:
        path, search, replace = block["path"].strip(), block["search"], block["replace"]
        text = changed.get(path, files.get(path, ""))
        if search == replace:
            raise BadPatch("a block changes nothing")
        if f"\n{search}" not in f"\n{text}":
            raise BadPatch(f"the text to be replaced is not in {path}")
        changed[path] = f"\n{text}".replace(f"\n{search}", f"\n{replace}")[1:]
    return changed


def change_similarity(files: Mapping[str, str], changed: Mapping[str, str], oracle: Mapping[str, str]) -> float:
    """The mean over all files that either side changes of how alike the two unified diffs are; a side that does not
    change a file has 0 there. 1 where neither changes anything."""
    ours = {path: _diff(files.get(path, ""), text) for path, text in changed.items()}
    theirs = {path: _diff(files.get(path, ""), text) for path, text in oracle.items()}
    paths = sorted({path for path, diff in (*ours.items(), *theirs.items()) if diff})
    if not paths:
        return 1.0
    likeness = [_alike(ours.get(path, ""), theirs.get(path, "")) for path in paths]
    return sum(likeness) / len(likeness)


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++")))


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() if one and other else 0.0


@part("r3")
def r3(scored: Scored) -> float | None:
    """DRO's reasoning reflection reward (Xu et al. 2025): the log-probability of a reference answer given this
    reasoning, its tokens weighted by how much they differ between the group's reasonings, less the same without any
    reasoning.

    `facts["reference_logprobs"]` of every reply in the group are natural logs, one a reference token;
    `facts["plain_logprobs"]` those without reasoning. None without them.
    """
    own, plain = scored.facts.get("reference_logprobs"), scored.facts.get("plain_logprobs")
    others = [one.facts.get("reference_logprobs") for one in scored.group]
    if own is None or len(others) < 2 or any(other is None or len(other) != len(own) for other in others):
        return None
    weights = reflection_weights([other for other in others if other is not None])
    gain = float(sum(weight * value for weight, value in zip(weights, own, strict=True)))
    if plain is None or len(plain) != len(own):
        return gain
    return gain - float(sum(weight * value for weight, value in zip(weights, plain, strict=True)))


def reflection_weights(logprobs: Sequence[Sequence[float]]) -> list[float]:
    """A weight for each reference token, by the variance of its log-probability over the reasonings; they add up to 1,
    and are equal where nothing varies."""
    spread = [pvariance(values) for values in zip(*logprobs, strict=True)]
    total = sum(spread)
    return [value / total for value in spread] if total else [1 / len(spread)] * len(spread)
