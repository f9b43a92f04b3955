"""`step_dpo`: siblings that saw exactly the same prompt, the right one above the wrong one: pairs at the point of
divergence.

Siblings are attempts of one group: one policy at one prompt. Step-DPO: Lai et al. 2024, arXiv 2406.18629.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Attempt, by_policy, drop_kept, pick
from maieutic.recipes.items import Pair
from maieutic.recipes.recipe import Tally, recipe
from maieutic.trace.payload import dump


@recipe("step_dpo", needs="verified groups")
def step_dpo(runs: Candidates, tally: Tally, *, per_prompt: int = 1) -> Iterator[Pair]:
    """`per_prompt` pairs of each prompt that was both solved and not."""
    for group in by_policy(runs, tally, "step_dpo"):
        prompts: defaultdict[bytes, list[Attempt]] = defaultdict(list)
        for attempt in group.attempts:
            prompts[_prompt(attempt)].append(attempt)
        for siblings in prompts.values():
            yield from _pairs(siblings, group.meta, per_prompt, tally)


def _pairs(siblings: list[Attempt], meta: dict[str, Any], most: int, tally: Tally) -> Iterator[Pair]:
    right = [attempt for attempt in siblings if attempt.right]
    wrong = [attempt for attempt in siblings if not attempt.right]
    if not right or not wrong:
        drop_kept(tally, "no sibling that fared otherwise", len(siblings))
        return
    for number in range(min(most, len(right), len(wrong))):
        chosen = pick(right, right[0].run.header.run_id, number)
        rejected = pick(wrong, wrong[0].run.header.run_id, number)
        if chosen.text != rejected.text:
            ids = (chosen.run.header.run_id, rejected.run.header.run_id)
            yield Pair(chosen.prompt, chosen.reply, rejected.reply, "siblings", ids, dict(meta))


def _prompt(attempt: Attempt) -> bytes:
    """The very tokens of the prompt, or its messages where those are not known."""
    ids = attempt.call.completion.prompt_token_ids if attempt.call.completion else None
    return dump(list(ids)) if ids is not None else dump(attempt.call.request.messages)
