"""What is set aside from the garbage collector while runners are open, and that it comes back."""

import gc
import weakref
from pathlib import Path

from maieutic.llm.scripted import ScriptedModel
from maieutic.runner import open_runner
from maieutic.runner.heap import modules_set_aside
from maieutic.tasks.task import Task


class Knot:
    """A cycle of its own: only the collector can take it away."""

    def __init__(self) -> None:
        self.itself = self


async def test_modules_are_set_aside_until_the_last_runner_is_closed(tmp_path: Path) -> None:
    async with open_runner(model=ScriptedModel("Answer: 7"), traces=tmp_path / "a") as outer:
        set_aside = gc.get_freeze_count()
        async with open_runner(model=ScriptedModel("Answer: 7"), traces=tmp_path / "b") as inner:
            assert (await inner.run(Task(question="?"))).answer == "7"
        assert gc.get_freeze_count() > set_aside / 2
        assert (await outer.run(Task(question="?"))).answer == "7"
    assert set_aside > 10_000
    assert gc.get_freeze_count() == 0


def test_what_is_dropped_meanwhile_is_collected_afterwards() -> None:
    before = Knot()
    old = weakref.ref(before)
    with modules_set_aside():
        young = weakref.ref(Knot())
        del before
        gc.collect()
        assert (young(), old() is None) == (None, False)
    gc.collect()
    assert old() is None


def test_a_heap_that_the_program_froze_itself_stays_frozen() -> None:
    gc.freeze()
    try:
        with modules_set_aside():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
