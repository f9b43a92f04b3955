"""`mixture_of_thought`: right solutions in words, by program and by truth table, one of each for a question.

Mixture-of-Thought (Zheng et al. 2025, arXiv 2505.15817), the data of a round of its self-evolving training: of the
samples of a question in one way of reasoning, the first that came to the right answer is kept. The answers of ways that
were outvoted are judged by what other runs of the question have shown to be right.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Attempt, Known, by_task, drop_kept, pick
from maieutic.recipes.items import Episode
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.solved import path_to, reject_path
from maieutic.trace.record import RunRecord


@recipe("mixture_of_thought", needs="verified runs of `three_ways`")
def mixture_of_thought(runs: Candidates, tally: Tally, *, mix: Literal["all", "one"] = "all") -> Iterator[Episode]:
    """Runs of the graph `three_ways`. `mix=one` keeps one way of each question, drawn at random but the same every
    time. Raises UserError where no run reasons in several ways."""
    seen = False
    for group in by_task(runs, tally, "mixture_of_thought"):
        key, known = group[0].run.header.task_key, Known(group)
        found = defaultdict[str, list[tuple[Attempt, Episode]]](list)
        for attempt in group:
            answers = _answers(attempt.run)
            seen = seen or bool(answers)
            for mode, answer in answers.items():
                episode = _episode(attempt.run, mode) if known.right(answer) else None
                if episode is not None:
                    found[mode].append((attempt, episode))
        modes = list(found) if mix == "all" or not found else [pick(sorted(found), "mixture", key)]
        first = [found[mode][0] for mode in modes]
        used = {attempt.run.header.run_id for attempt, _ in first}
        drop_kept(tally, "no way was right, or an earlier run has it", len(group) - len(used))
        yield from (episode for _, episode in first)
    if tally.seen and not seen:
        raise UserError(
            "The recipe mixture_of_thought needs several ways of reasoning: collect with --graph three_ways."
        )


def _answers(run: RunRecord) -> dict[str, str | None]:
    """What each way of reasoning came to, as its vote has it."""
    votes = [event for event in run.events_of("vote") if isinstance(event.fields.get("answers"), dict)]
    return dict(votes[-1].fields["answers"]) if votes else {}


def _episode(run: RunRecord, mode: str) -> Episode | None:
    """The calls of one way; None where they are not the model's own whole work."""
    calls = [call for call in run.calls if call.branch.rsplit("/", 1)[-1] == mode]
    path = path_to(run, calls[-1].call_id) if calls else ()
    return Episode(run, path, {"mode": mode}) if reject_path(run, path) is None else None
