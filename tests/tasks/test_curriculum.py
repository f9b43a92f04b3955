"""The curriculum: a level is left when a whole batch of it went well enough, and no loop over it is endless."""

import pytest

from maieutic.errors import UnknownName
from maieutic.tasks.curriculum import Curriculum
from maieutic.tasks.source import load_tasks


def test_it_steps_up_at_the_threshold_and_ends_at_the_top() -> None:
    course = Curriculum("saturn", threshold=0.75, batch=4)
    assert not course.report([1, 1, 0, None]) and course.level == 1  # what could not be scored is not solved
    assert course.report([1, 1, 1, 0]) and course.level == 2
    for _ in range(course.top - 1):
        assert not course.finished
        course.report([1] * 4)
    assert course.finished and course.level == course.top == 6
    assert [entry["level"] for entry in course.history] == [1, 1, 2, 3, 4, 5, 6]


def test_half_right_by_guessing_is_not_half_right() -> None:
    course = Curriculum("saturn", threshold=0.5, batch=4)
    assert not course.report([1, 1, 0, 0], chance=0.5)
    assert course.history[-1]["above_chance"] == 0 and course.report([1, 1, 0, 0])


def test_a_lucky_few_are_no_batch_and_fresh_tasks_come_each_time() -> None:
    course = Curriculum("saturn", batch=3)
    with pytest.raises(ValueError, match="no batch of 3"):
        course.report([1, 1])
    first = {task.question for task in load_tasks(course.source()).tasks}
    course.report([0, 0, 0])
    assert len(first) == 3 and not first & {task.question for task in load_tasks(course.source()).tasks}


def test_it_notices_that_it_is_stuck() -> None:
    course = Curriculum("saturn", batch=1, patience=3)
    course.report([1])
    for stuck in (False, False, True):
        course.report([0.9])
        assert course.stuck is stuck


def test_what_has_no_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="has no levels"):
        Curriculum("rg")
    with pytest.raises(UnknownName, match="no environment named 'saturm'. Did you mean 'saturn'"):
        Curriculum("saturm")
    with pytest.raises(ValueError, match="threshold"):
        Curriculum("saturn", threshold=0)
