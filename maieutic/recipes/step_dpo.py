"""`step_dpo`: siblings that saw exactly the same prompt, the right one above the wrong one: pairs at the point of
divergence.

Within a run these are samples, branches and debaters; across runs, attempts of one group. Step-DPO: Lai et al. 2024,
arXiv 2406.18629.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from maieutic.recipes.groups import Attempt, attempts, drop_kept, pick
from maieutic.recipes.items import Pair
from maieutic.recipes.recipe import Candidate, Tally, recipe
from maieutic.trace.payload import dump


@recipe("step_dpo", needs="verified groups")
def step_dpo(runs: Iterable[Candidate], tally: Tally, *, per_prompt: int = 1) -> Iterator[Pair]:
    """`per_prompt` pairs of each prompt that was both solved and not."""
    prompts: defaultdict[bytes, list[Attempt]] = defaultdict(list)
    for attempt in attempts(runs, tally, "step_dpo"):
        ids = attempt.call.completion.prompt_token_ids if attempt.call.completion else None
        key = dump(list(ids)) if ids is not None else dump(attempt.call.request.messages)
        prompts[key].append(attempt)
    for group in prompts.values():
        right = [attempt for attempt in group if attempt.right]
        wrong = [attempt for attempt in group if not attempt.right]
        if not right or not wrong:
            drop_kept(tally, "no sibling that fared otherwise", len(group))
            continue
        for number in range(min(per_prompt, len(right), len(wrong))):
            chosen = pick(right, right[0].run.header.run_id, number)
            rejected = pick(wrong, wrong[0].run.header.run_id, number)
            if chosen.text != rejected.text:
                ids_ = (chosen.run.header.run_id, rejected.run.header.run_id)
                yield Pair(chosen.prompt, chosen.reply, rejected.reply, "siblings", ids_)
