"""`dots_plans`: which trajectory of reasoning a question calls for, and why: what a planner learns from.

DOTS (Yue et al. 2024, arXiv 2410.03864): of the trajectories that were tried on a question by one solver, the one that
was right most often; of those the cheapest. The paper has a strong model write the reason; here it is put in words from
the figures. A try that nothing could judge is no failure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import question_of
from maieutic.recipes.groups import Attempt, by_task, drop_kept
from maieutic.recipes.items import Dialogue, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.trace.record import RunRecord
from maieutic.types import Outcome

ASKED = (
    "Choose how to work on a question: first how to analyse it (none, rewrite, decompose), then how to solve it (cot, "
    "program), then whether to verify the solution (none, verify). Say why in a sentence, and end with a line that "
    "holds only the plan:\nPlan: <analysis>/<solution>/<verification>"
)


@dataclass(slots=True)
class _Arm:
    """The tries of one trajectory."""

    attempts: list[Attempt] = field(default_factory=list)

    @property
    def judged(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.outcome is not Outcome.TOOL_ERROR]

    @property
    def correct(self) -> int:
        return sum(attempt.right for attempt in self.judged)

    @property
    def rate(self) -> float:
        return self.correct / len(self.judged)

    @property
    def tokens(self) -> float:
        return sum(_tokens(attempt.run) for attempt in self.attempts) / len(self.attempts)


@recipe("dots_plans", needs="verified runs of `planner`")
def dots_plans(runs: Candidates, tally: Tally, *, arms: int = 2, tries: int = 1) -> Iterator[Dialogue]:
    """Runs of the graph `planner`, such as `maieutic plan` makes them. `arms` trajectories have to have been judged
    `tries` times each. Raises UserError where no run follows a trajectory."""
    planned = False
    for solver, group in _solvers(by_task(runs, tally, "dots_plans")):
        tried: defaultdict[str, _Arm] = defaultdict(_Arm)
        for attempt in group:
            if (trajectory := _trajectory(attempt.run)) is not None:
                tried[trajectory].attempts.append(attempt)
        planned = planned or bool(tried)
        enough = {name: arm for name, arm in tried.items() if len(arm.judged) >= max(1, tries)}
        best = max((arm.rate for arm in enough.values()), default=0.0)
        if len(enough) < arms or best == 0.0:
            drop_kept(tally, "too few trajectories tried" if len(enough) < arms else "never solved", len(group))
            continue
        yield _row(group[0].run, solver, enough)
    if tally.seen and not planned:
        raise UserError("The recipe dots_plans needs trajectories that were tried: maieutic plan --graph planner.")


def _solvers(questions: Iterable[list[Attempt]]) -> Iterator[tuple[str, list[Attempt]]]:
    """The attempts at each question by each model, and its name."""
    for question in questions:
        solvers: defaultdict[str, list[Attempt]] = defaultdict(list)
        for attempt in question:
            models = attempt.run.header.models
            solvers[models[0] if models else ""].append(attempt)
        yield from solvers.items()


def _row(run: RunRecord, solver: str, arms: dict[str, _Arm]) -> Dialogue:
    name, arm = min(arms.items(), key=lambda entry: (-entry[1].rate, entry[1].tokens, entry[0]))
    rivals = [other for other, one in arms.items() if other != name and one.rate == arm.rate]
    why = f"It was right in {arm.correct} of {len(arm.judged)} tries"
    why += (
        f", as often as {', '.join(sorted(rivals))}, and at less cost." if rivals else ", more often than the others."
    )
    turns = (
        Turn({"role": "system", "content": ASKED}, author="template"),
        Turn({"role": "user", "content": question_of(run)}, author="template"),
        Turn({"role": "assistant", "content": f"{why}\nPlan: {name}"}, learn=True, author="template"),
    )
    figures = {
        one: {"correct": a.correct, "judged": len(a.judged), "tokens": round(a.tokens, 1)} for one, a in arms.items()
    }
    ids = tuple(attempt.run.header.run_id for one in arms.values() for attempt in one.attempts)
    return Dialogue(turns, ids, {"plan": name, "solver": solver, "arms": figures})


def _trajectory(run: RunRecord) -> str | None:
    """The trajectory that a run was told to follow, or that it chose."""
    told = run.header.settings.get("trajectory")
    chosen = [
        event.fields.get("decision") for event in run.events_of("gate") if event.fields.get("gate") == "trajectory"
    ]
    name = told or (chosen[-1] if chosen else None)
    return None if name is None else str(name)


def _tokens(run: RunRecord) -> int:
    usage = run.finish.fields.get("usage", {}) if run.finish else {}
    return int(usage.get("prompt_tokens", 0)) + int(usage.get("completion_tokens", 0))
