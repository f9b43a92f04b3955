"""A loop with a teacher: what it is asked, what of its replies becomes a row, and that nothing is asked twice."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maieutic.cli.improving import Wanted
from maieutic.errors import UnknownName, UserError
from maieutic.improve.core import Improvement
from maieutic.improve.plan import Plan
from maieutic.improve.report import as_json, markdown
from tests.improve import teachers
from tests.improve.conftest import World

Make = Callable[..., World]
EIGHT = "Answer: 8"


@pytest.fixture(autouse=True)
def nobody_was_asked() -> Iterator[None]:
    teachers.asked.clear()
    yield
    teachers.on_ask.clear()


def plan(here: World, teacher: str = "right", **changed: Any) -> Plan:
    wanted: dict[str, Any] = {"recipes": ("lemma?inject=0",), "teacher": teachers.named(here.folder, teacher)}
    return here.plan(**{**wanted, **changed})


def learnt(here: World) -> list[str]:
    return [json.dumps(row) for row in here.trainer.rows[0]]


async def test_what_a_recipe_asks_is_answered_and_learnt(world: Make) -> None:
    here = world(EIGHT)
    done = await here.run(plan(here))
    (taught,) = done.rounds[0].taught
    assert (taught["replies"], taught["open"]) == (3 * 16, 0)  # one error, since both runs said the same; fix and fresh
    assert len(set(teachers.asked)) == len(teachers.asked) == 48
    assert len(learnt(here)) == 32 and all("Answer: 8" in row for row in learnt(here))
    assert f"48 replies, {taught['tokens']:,} tokens" in markdown(done, "command") and taught["tokens"] > 0


async def test_a_teacher_that_is_wrong_or_lost_teaches_nothing(world: Make) -> None:
    for teacher, replies in (("wrong", 48), ("lost", 16)):
        here = world(EIGHT)
        done = await here.run(plan(here, teacher), teacher)
        assert here.trainer.calls == [] and done.rounds[0].rows["rows"] == 0
        assert done.rounds[0].taught[0]["replies"] == replies


async def test_no_gold_is_in_any_request(world: Make) -> None:
    here = world(EIGHT)
    golds = here.folder / "gold.jsonl"
    lines = [{"id": f"g{i}", "question": f"What is eight of gold at {i}?", "gold": f"4{i}96"} for i in range(6)]
    golds.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = await here.run(plan(here, sources=(str(golds),)))
    assert done.rounds[0].taught[0]["replies"] == 18
    assert not any(str(line["gold"]) in prompt for prompt in teachers.asked for line in lines)


async def test_what_is_never_solved_is_taught_though_its_own_runs_are_left_out(world: Make) -> None:
    here = world(EIGHT)
    done = await here.run(plan(here, difficulty=True, recipes=("solved", "lemma?inject=0")))
    solved, lemma = done.rounds[0].rows["made"]
    assert solved["rows"] == 0 and lemma["rows"] == 32


class Killed(BaseException):
    """What no handler catches."""


def same(one: Improvement, other: Improvement) -> bool:
    left, right = (as_json(done, "c")["rounds"] for done in (one, other))
    return [_told(round) for round in left] == [_told(round) for round in right]


def _told(round: dict[str, Any]) -> tuple[Any, ...]:
    replies = [(one["replies"], one["open"]) for one in round["taught"]]
    return round["rows"]["rows"], replies, round["decision"]


@pytest.mark.parametrize("at", range(1, 8))
async def test_killed_at_any_step_it_goes_on_to_the_same_end_and_asks_nothing_twice(world: Make, at: int) -> None:
    whole = world(EIGHT)
    steps: list[str] = []
    expected = await whole.run(plan(whole), "whole", on_step=steps.append)
    assert len(steps) == 7 and steps[2].startswith("round 1: ask")
    teachers.asked.clear()
    here, begun = world(EIGHT), []

    def die(step: str) -> None:
        begun.append(step)
        if len(begun) == at:
            raise Killed

    with pytest.raises(Killed):
        await here.run(plan(here), "killed", on_step=die)
    done = await here.run(plan(here), "killed")
    assert same(done, expected) and len(set(teachers.asked)) == len(teachers.asked) == 48


@pytest.mark.parametrize("after", [1, 15, 17, 40])
async def test_stopped_while_it_asks_it_goes_on_with_what_is_open(world: Make, after: int) -> None:
    whole = world(EIGHT)
    expected = await whole.run(plan(whole), "whole")
    teachers.asked.clear()
    here, stop = world(EIGHT), asyncio.Event()
    teachers.on_ask.append(lambda: stop.set() if len(teachers.asked) == after else None)
    done = await here.run(plan(here), "stopped", stop=stop, concurrency=1)
    assert done.stopped and done.rounds == () and here.trainer.calls == []
    teachers.on_ask.clear()
    again = await here.run(plan(here), "stopped", concurrency=1)
    assert same(again, expected)
    assert len(set(teachers.asked)) == 48 and len(teachers.asked) <= 49  # the one that was cut off is asked again


async def test_a_reply_has_its_own_budget(world: Make) -> None:
    here = world(EIGHT)
    done = await here.run(plan(here, teacher_tokens=20))
    assert done.rounds[0].taught[0]["open"] == 16 and here.trainer.calls == []
    assert "16 questions without a reply" in markdown(done, "command")


async def test_a_recipe_that_asks_needs_a_teacher_that_is_there(world: Make) -> None:
    here = world(EIGHT)
    with pytest.raises(UserError, match="asks a teacher: name its model with --teacher"):
        await here.run(here.plan(recipes=("lemma",)))
    with pytest.raises(UnknownName, match="nobody"):
        await here.run(here.plan(recipes=("lemma",), teacher="nobody"))
    assert not (here.folder / "out").exists()


async def test_what_no_attempt_has_solved_is_demonstrated_and_nothing_else_is_asked(world: Make) -> None:
    here = world(EIGHT)
    done = await here.run(plan(here, recipes=("solved", "demonstrated?least=2&newest=10&prompt=own")))
    (taught,) = done.rounds[0].taught
    assert taught["replies"] == len(set(teachers.asked)) == 10
    assert all("What is eight of" in prompt and "Answer: 7" not in prompt for prompt in teachers.asked)
    assert [made["rows"] for made in done.rounds[0].rows["made"]] == [4, 10]
    assert sum("By the word it is so." in row for row in learnt(here)) == 10


async def test_a_wrong_demonstration_and_one_without_its_steps_are_no_rows(world: Make) -> None:
    for teacher, recipe in (("wrong", "demonstrated?least=2"), ("right", "demonstrated?least=2&steps=true")):
        here = world(EIGHT)
        done = await here.run(plan(here, teacher, recipes=(recipe,)), teacher)
        assert done.rounds[0].taught[0]["replies"] == 16 and done.rounds[0].rows["rows"] == 0


def test_the_command_has_the_hardest_demonstrated_where_there_is_a_teacher() -> None:
    asked: dict[str, Any] = {"teacher": "tutor", "samples": 4}
    assert Wanted(asked, "sft", {}, Path("x"), 1).demonstrated == ("demonstrated?newest=32&least=4&prompt=own",)
    assert Wanted(asked, "sft", {}, Path("x"), 1, hardest=0).demonstrated == ()
    assert Wanted(asked, "dpo", {}, Path("x"), 1).demonstrated == ()
    assert Wanted({**asked, "teacher": None}, "sft", {}, Path("x"), 1).demonstrated == ()
