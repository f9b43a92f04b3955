"""The loop: what is kept and what is rolled back, what is trained on, and that whatever is done is done once."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import asdict

import pytest

from maieutic.errors import UserError
from maieutic.improve.report import as_json, markdown
from tests.improve.conftest import World

Make = Callable[..., World]
NINE, EIGHT = "Answer: 9", "Answer: 8"


async def test_a_better_version_is_kept_and_the_next_round_starts_from_it(world: Make) -> None:
    here = world(EIGHT, NINE)
    done = await here.run(here.plan(rounds=2, threshold=1.0))
    first, second = done.rounds
    assert first.decision.promoted and not second.decision.promoted
    assert (done.kept.number, here.shelf.up) == (1, {1})
    assert second.collected["version"] == 1 and second.trained and second.trained["from"] == 1
    assert "Better on" in first.decision.reasons[0] and "+60.0 points" in first.decision.reasons[0]


async def test_what_is_lost_on_older_tasks_rolls_back_a_gain(world: Make) -> None:
    here = world(EIGHT)
    done = await here.run(here.plan(older=(here.tasks("older", seven=12, eight=2), here.tasks("other", nine=5))))
    decision = done.rounds[0].decision
    assert not decision.promoted and done.kept.number == 0 and here.shelf.up == set()
    assert [change.worse for change in decision.changes] == [False, True, False]
    assert "**Rolled back.** Worse on" in markdown(done, "command")


async def test_only_right_runs_become_rows_and_the_report_says_what_became_of_the_others(world: Make) -> None:
    here = world(EIGHT)
    done = await here.run(here.plan())
    (made,) = done.rounds[0].rows["made"]
    assert (made["runs_seen"], made["runs_kept"], made["runs_dropped"]["wrong"], made["rows"]) == (40, 8, 32, 4)
    assert len(here.trainer.rows[0]) == 4 and "32 wrong" in markdown(done, "command")


async def test_what_guessing_gets_stands_beside_pass_at_1(world: Make) -> None:
    """16 of 20 questions have the answer 8: a model that always says it shows nothing."""
    here = world(EIGHT)
    done = await here.run(here.plan(older=(here.tasks("other", seven=1, eight=1, nine=1),)))
    told = markdown(done, "command")
    assert "| pass@1 | guessing | above chance |" in told and "k guesses get more" in told
    assert "| constant 80.0 % | 0.0 % [" in told and "| constant 80.0 % | -300.0 % [" in told
    held, other = as_json(done, "command")["rounds"][0]["after"].values()
    assert held["guessing"] == {"n": 20, "random": None, "constant": 0.8}
    assert held["above_chance"]["estimate"] == pytest.approx(0) and other["guessing"]["constant"] == pytest.approx(
        1 / 3
    )


async def test_a_question_that_is_measured_is_never_trained_on(world: Make) -> None:
    here = world(EIGHT)
    leak = here.tasks("train", seven=4, eight=16)
    done = await here.run(here.plan(sources=(leak,), held_out=(leak,)))
    assert here.trainer.calls == []
    assert "contaminated" in done.rounds[0].rows["made"][0]["why"]


class Killed(BaseException):
    """What no handler catches."""


@pytest.mark.parametrize("at", range(1, 12))
async def test_killed_at_any_step_it_goes_on_to_the_same_end_and_does_nothing_twice(world: Make, at: int) -> None:
    whole = world(EIGHT, NINE)
    plan = whole.plan(rounds=2, threshold=1.0)
    steps: list[str] = []
    expected = await whole.run(plan, "whole", on_step=steps.append)
    assert len(steps) == 11
    here, begun = world(EIGHT, NINE), []

    def die(step: str) -> None:
        begun.append(step)
        if len(begun) == at:
            raise Killed

    with pytest.raises(Killed):
        await here.run(plan, "killed", on_step=die)
    again: list[str] = []
    done = await here.run(plan, "killed", on_step=again.append)
    assert again == steps[at - 1 :]
    assert [asdict(one.decision) for one in done.rounds] == [asdict(one.decision) for one in expected.rounds]
    assert [number for number, _, _ in here.trainer.calls] == [1, 2]
    assert as_json(await here.run(plan, "killed"), "c") == as_json(done, "c")


@pytest.mark.parametrize("lost", ["", "*/traces/*.zst"])
async def test_runs_that_were_deleted_end_no_round(world: Make, lost: str) -> None:
    """That they give no rows is not written down: put back, they are gone on with."""
    here = world(EIGHT)
    plan = here.plan()

    def die(step: str) -> None:
        if "make rows" in step:
            raise Killed

    with pytest.raises(Killed):
        await here.run(plan, on_step=die)
    collect = here.folder / "out" / "rounds" / "01" / "collect"
    kept = here.folder / "kept"
    shutil.copytree(collect, kept)
    for path in collect.glob(lost) if lost else [collect]:
        path.unlink() if path.is_file() else shutil.rmtree(path)
    with pytest.raises(UserError, match=r"The runs that were collected in .* are gone: put them back"):
        await here.run(plan)
    assert not (collect.parent / "rows.json").exists()
    shutil.copytree(kept, collect, dirs_exist_ok=True)
    done = await here.run(plan)
    assert done.rounds[0].rows["rows"] == 4 and done.rounds[0].decision.promoted


async def test_it_stops_when_asked_and_goes_on(world: Make) -> None:
    here, stop = world(EIGHT), asyncio.Event()

    def ask(step: str) -> None:
        if step.startswith("round 1: collect"):
            stop.set()

    done = await here.run(here.plan(), on_step=ask, stop=stop)
    assert done.stopped and done.rounds == () and here.trainer.calls == []
    assert (await here.run(here.plan())).kept.number == 1


async def test_it_does_not_wait_for_a_training_and_begins_it_anew(world: Make) -> None:
    here, stop = world(EIGHT), asyncio.Event()
    here.trainer.stops = stop
    done = await here.run(here.plan(), stop=stop)
    assert done.stopped and "start the same command again" in done.stopped and here.trainer.ended == [1]
    here.trainer.stops = None
    assert (await here.run(here.plan())).kept.number == 1


async def test_what_a_server_has_lost_is_brought_back_before_it_collects(world: Make) -> None:
    here = world(EIGHT, EIGHT)

    def lose(step: str) -> None:
        if step.startswith("round 2: collect"):
            here.shelf.up.clear()

    await here.run(here.plan(rounds=2, threshold=1.0), on_step=lose)
    assert here.shelf.up == {1}


async def test_a_finished_loop_puts_its_version_up_again_and_one_rolled_back_is_taken_down(world: Make) -> None:
    here = world(EIGHT, NINE)
    plan = here.plan(rounds=2, threshold=1.0)
    await here.run(plan)
    here.shelf.up = {2}  # started anew, or killed between the decision and its consequence
    await here.run(plan)
    assert here.shelf.up == {1}


async def test_a_server_that_is_not_as_it_was_ends_the_loop_with_a_sentence(world: Make) -> None:
    here = world(EIGHT)
    here.shelf.broken = 1
    done = await here.run(here.plan())
    assert done.stopped == "The server is down: start it; then start the same command again to go on."
    here.shelf.broken = None
    assert (await here.run(here.plan())).kept.number == 1


async def test_a_loop_goes_on_with_the_weights_it_began_with(world: Make) -> None:
    here = world(EIGHT)
    await here.run(here.plan())
    here.shelf.weights = "other"
    with pytest.raises(UserError, match=r"started with other weights of scripted \(first, now other\)"):
        await here.run(here.plan(rounds=2))


async def test_another_plan_is_refused_and_more_rounds_are_not(world: Make) -> None:
    here = world(NINE, NINE)
    await here.run(here.plan())
    with pytest.raises(UserError, match="started with samples 2, and now 3"):
        await here.run(here.plan(samples=3))
    assert len((await here.run(here.plan(rounds=2))).rounds) == 2


@pytest.mark.parametrize(
    ("takes", "recipe", "says"),
    [
        (("pairs",), "solved", "The recipe solved gives calls, and this trainer takes pairs: take another recipe"),
        (("calls", "dialogues"), "step_dpo", "step_dpo gives pairs, and this trainer takes calls or dialogues"),
    ],
)
async def test_a_recipe_that_gives_no_rows_for_the_trainer_is_refused_before_anything_runs(
    world: Make, takes: tuple[str, ...], recipe: str, says: str
) -> None:
    here = world(EIGHT)
    here.trainer.takes = takes
    with pytest.raises(UserError, match=says):
        await here.run(here.plan(recipes=(recipe,)))
    assert not (here.folder / "out").exists()


async def test_a_recipe_of_ones_own_and_one_that_gives_several_kinds_may_be_tried(world: Make) -> None:
    here = world(EIGHT)
    here.trainer.takes = ("pairs",)
    done = await here.run(here.plan(recipes=("agent_r?rows=pairs", "maieutic.recipes.solved:solved")))
    searched, own = done.rounds[0].rows["made"]
    assert "collect with --graph tree" in searched["why"] and own["rows"] == 4
