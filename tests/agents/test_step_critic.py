"""A verdict on every step, and what follows from it for the whole."""

from pathlib import Path

import pytest

from maieutic.agents.critic import read_verdict
from maieutic.agents.speech import Solution
from maieutic.agents.step_critic import StepCritic, concluded, read_steps
from maieutic.llm.scripted import Reply, ScriptedModel
from maieutic.trace.record import RunRecord
from tests.support.contexts import open_context

SOLUTION = Solution("<think>Hm.</think>4 + 3 = 7\n\n7 - 2 = 4\nAnswer: 4", "4", "s1")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Step 1: correct, as it is.\nStep 2: wrong, it is 5.", (True, False, None)),
        ("- **Step 1:** Correct\n- **Step 3:** incorrect", (True, None, False)),
        ("Step 1: wrong\nNo.\nStep 1: correct", (True, None, None)),
        ("Step 4: wrong", (None, None, None)),
        ("<think>Step 1: wrong</think>Step 1: right", (True, None, None)),
        ("In step 1: correct signs were used.", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_verdicts_on_steps_are_read_or_missing(text: str, steps: tuple[bool | None, ...]) -> None:
    assert read_steps(text, 3) == steps


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Step 1: correct\nStep 2: wrong\nStep 3: wrong\nFirst wrong step: 2", (False, 2)),
        ("Step 1: correct\nStep 2: correct\nStep 3: correct\nFirst wrong step: none", (True, None)),
        ("First wrong step: 2", (False, 2)),
        ("Step 1: correct\nStep 2: wrong", (False, 2)),  # the last line is missing, and the steps tell
        ("Step 1: correct\nStep 2: correct\nStep 3: correct", (True, None)),
        ("Step 2: wrong", None),  # there may be an earlier one
        ("Step 1: correct\nStep 2: correct", None),
        ("Step 1: correct\nStep 2: wrong\nFirst wrong step: none", None),  # contradictions
        ("Step 1: wrong\nStep 2: wrong\nFirst wrong step: 2", None),
        ("Step 2: correct\nFirst wrong step: 2", None),
        ("First wrong step: 4", None),
        ("", None),
    ],
)
def test_the_whole_follows_from_the_steps_and_never_against_them(
    text: str, verdict: tuple[bool, int | None] | None
) -> None:
    assert concluded(read_steps(text, 3), read_verdict(text)) == verdict


async def reviewed(tmp_path: Path, *replies: Reply) -> tuple[bool | None, ScriptedModel, RunRecord]:
    model, recorded = ScriptedModel(replies), list[RunRecord]()
    async with open_context(tmp_path, model, recorded) as ctx:
        critique = await StepCritic()(ctx, SOLUTION)
    return critique.accepts, model, recorded[0]


async def test_each_step_that_was_judged_is_a_label(tmp_path: Path) -> None:
    accepts, model, record = await reviewed(tmp_path, "Step 1: correct\nStep 2: wrong\nFirst wrong step: 2")
    shown = str(model.requests[0].messages[1]["content"])
    assert "Step 2: 7 - 2 = 4" in shown and "Step 3: Answer: 4" in shown and "Hm." not in shown
    labels = [event.fields for event in record.events_of("label")]
    assert [(one["of"], one["step"], one["value"]) for one in labels] == [("s1", 1, True), ("s1", 2, False)]
    assert (accepts, record.events_of("verdict")[0].fields["steps"]) == (False, [True, False, None])


async def test_a_contradiction_is_asked_about_once_and_is_then_missing(tmp_path: Path) -> None:
    against = "Step 1: wrong\nFirst wrong step: none"
    accepts, model, record = await reviewed(tmp_path / "twice", against, against)
    assert (accepts, len(model.requests), len(record.events_of("label"))) == (None, 2, 0)
    accepts, _, _ = await reviewed(tmp_path / "once", against, "Step 1: wrong\nFirst wrong step: 1")
    assert accepts is False
