"""Single stages of a cascade on many questions: what each answered, at what price, and how sure the model was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.agents.confidence import Likelihood, likelihood
from maieutic.collector import collect, read_results
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import RunRecord
from maieutic.types import Outcome

NEVER = 2.0  # a threshold that no confidence reaches: then the last answer is rated too
STAGES: Mapping[str, dict[str, Any]] = {
    "greedy": {"stages": ["greedy"]},
    "greedy, asked": {"stages": ["greedy"], "rater": "truth-rater"},
    "greedy, verified": {"stages": ["greedy"], "rater": "verifier"},
    "vote of 5": {"stages": ["vote"]},
    "tool": {"stages": ["tool"]},
    "vote of 3 with the tool": {"stages": [{"samples": 3, "tools": True}]},
}
"""Each stage's settings of the graph `cascade`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a question. `sure` is how sure the model was of the first answer, by each method that was recorded
    or can be read from its tokens, None where it is missing; `completion` are the tokens that it wrote."""

    answered: bool
    right: bool
    tokens: int
    completion: int
    sure: Mapping[str, float | None]


Answers = Mapping[str, Seen]  # by task


async def stage(name: str, split: str, tasks: Sequence[Task], out: Path, model: str, seed: int) -> Answers:
    """One stage by itself on all tasks, run or read from an earlier start with the same `out`."""
    folder = f"{split}-{name.replace(', ', '-').replace(' ', '-')}"
    return await cascade(folder, tasks, out, model, seed, {**STAGES[name], "threshold": NEVER})


async def cascade(
    folder: str, tasks: Sequence[Task], out: Path, model: str, seed: int, settings: dict[str, Any]
) -> Answers:
    """The graph `cascade` with these settings on all tasks; the runs lie in `folder` under `out`."""
    report = await collect(
        tasks,
        out=out / folder,
        graph="cascade",
        model=model,
        graph_settings=settings,
        tools=("python",) if "tool" in str(settings["stages"]) else (),
        seed=seed,
        concurrency=32,
    )
    if report.stopped or report.failed:
        raise SystemExit(f"{folder}: {report.stopped or report.failures}")
    print(f"{folder}: {report.summary.accuracy.percent() if report.summary.accuracy else '-'}", flush=True)
    with TraceReader(out / folder / "traces") as reader:
        sure = {summary.task_key: _sure(reader.run(summary.run_id)) for summary in reader.runs()}
    return {
        row.task: Seen(
            row.answer is not None,
            row.outcome is Outcome.CORRECT,
            row.usage.tokens,
            row.usage.completion_tokens,
            sure.get(row.task, {}),
        )
        for row in read_results(out / folder)
    }


def _sure(run: RunRecord) -> dict[str, float | None]:
    stated = run.events_of("confidence")[:1]
    if not stated:  # without an answer there is nothing to be sure of
        return {}
    known = {event.fields["method"]: event.fields["raw"] for event in stated}
    if "agreement" in known:
        return known
    said = [call.completion for call in run.calls if call.role == "solver" and call.completion is not None]
    tokens = [logprob for completion in said for logprob in completion.logprobs or ()]
    by_tokens: tuple[Likelihood, ...] = ("min_logprob", "mean_logprob")
    return known | {method: likelihood(method, tokens) for method in by_tokens}
