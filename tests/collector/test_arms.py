"""The search over arms: pruned round by round, ties to the cheaper, missing verdicts never counted as wrong."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from maieutic.collector.arms import Arm, Plan, Rules, arms_of, search_arms
from maieutic.errors import ModelError, UserError
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.memory.journal import Journal
from maieutic.memory.outcomes import Outcomes
from maieutic.runner import open_runner
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from maieutic.types import Request

TASK = Task(question="What is 4 + 3?", gold="7", answer_type="number")


def by_role(**replies: Reply | Callable[[], Reply]) -> ScriptedModel:
    """A model whose reply depends on who is asked: the responder (direct), the solver greedily, or sampled."""

    def reply(request: Request) -> Reply:
        system = str(request.messages[0]["content"])
        greedy = request.sampling.temperature == 0
        said = replies["direct" if "at once" in system else "greedy" if greedy else "think"]
        return said() if callable(said) else said

    return ScriptedModel(reply)


async def search(
    tmp_path: Path, model: ScriptedModel, names: tuple[str, ...] = ("direct", "greedy", "think"), **rules: float
) -> list[Plan]:
    async with open_runner("strategist", model=model, traces=tmp_path / "traces") as runner:
        return await search_arms(
            runner,
            "strategist",
            arms_of("strategist", names),
            [TASK],
            Outcomes(tmp_path / "outcomes.jsonl"),
            Journal(tmp_path / "plans.jsonl"),
            rules=Rules(**rules),  # type: ignore[arg-type]
        )


async def test_arms_are_pruned_and_those_that_stay_are_tried_more(tmp_path: Path) -> None:
    model = by_role(direct="Answer: 8", greedy="Answer: 7", think="Let me think. It is 4 + 3.\nAnswer: 7")
    (plan,) = await search(tmp_path, model, rounds=3)
    assert plan.winner == "greedy"
    assert {name: arm["trials"] for name, arm in plan.arms.items()} == {"greedy": 3, "think": 3, "direct": 1}
    assert plan.arms["greedy"]["tokens"] < plan.arms["think"]["tokens"] and "in 3 of 3" in plan.why


async def test_more_often_right_beats_cheaper(tmp_path: Path) -> None:
    said = iter(["Answer: 7", "Answer: 8", "Answer: 8"])
    model = by_role(direct=lambda: next(said), greedy="", think="A long thought about it.\nAnswer: 7")
    (plan,) = await search(tmp_path, model, ("direct", "think"), keep=1.0, rounds=2)
    assert plan.winner == "think" and plan.arms["direct"]["correct"] == 1


async def test_where_nothing_is_right_there_is_no_winner(tmp_path: Path) -> None:
    (plan,) = await search(tmp_path, by_role(direct="Answer: 8", greedy="no idea", think="Answer: 9"))
    assert plan.winner is None and "No arm" in plan.why


async def test_a_failed_call_is_missing_and_not_wrong(tmp_path: Path) -> None:
    model = by_role(direct=ModelError("gone"), greedy="Answer: 8", think="Answer: 7")
    (plan,) = await search(tmp_path, model, rounds=1)
    assert (plan.arms["direct"]["missing"], plan.arms["greedy"]["missing"]) == (1, 0)
    verdicts = {t.strategy: t.correct for t, _ in Outcomes(tmp_path / "outcomes.jsonl").near(TASK.question)}
    assert verdicts == {"direct": None, "greedy": False, "think": True}


async def test_a_search_goes_on_where_it_was_and_its_runs_are_recorded(tmp_path: Path) -> None:
    model = by_role(direct="Answer: 7", greedy="Answer: 7", think="Answer: 7")
    (plan,) = await search(tmp_path, model, rounds=1)
    assert await search(tmp_path, model, rounds=1) == []
    entry = json.loads((tmp_path / "plans.jsonl").read_text())
    assert {"kind", "task", "question", "solver", "arms", "winner", "why"} == set(entry)
    with TraceReader(tmp_path / "traces") as reader:
        runs = [reader.run(summary.run_id) for summary in reader.runs()]
    assert Counter(run.header.settings["strategy"] for run in runs) == {"direct": 1, "greedy": 1, "think": 1}
    assert {run.header.run_id for run in runs} == {run for arm in plan.arms.values() for run in arm["runs"]}


async def test_what_can_not_be_judged_is_refused(tmp_path: Path) -> None:
    async with open_runner("strategist", model=ScriptedModel(""), traces=tmp_path / "traces") as runner:
        with pytest.raises(UserError, match="no arm can be judged"):
            outcomes, plans = Outcomes(), Journal()
            await search_arms(runner, "strategist", [Arm("a", {})], [Task(question="Why?")], outcomes, plans)


async def test_an_arm_that_can_not_be_followed_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The strategy tool needs a tool: give the run one"):
        await search(tmp_path, by_role(direct="7", greedy="7", think="7"), ("direct", "tool"))


def test_unknown_arms_are_refused() -> None:
    with pytest.raises(UserError, match="has no arm 'none'"):
        arms_of("strategist", ["none"])
    with pytest.raises(UserError, match="has no arms"):
        arms_of("direct")
    assert len(arms_of("planner")) == 12
