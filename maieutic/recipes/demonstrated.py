"""`demonstrated`: the hardest questions, which no attempt of their group has solved, as a teacher solves them.

ReLIFT (Ma et al. 2025, arXiv 2506.07527) interleaves learning from rewards with demonstrations of just those questions
on which rewards say nothing. `relift` gives the questions; here the teacher is asked them as they are, and its solution
is kept where it is right.
"""

from collections.abc import Iterator
from heapq import nlargest

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import Asking, asked_as, question_of, said
from maieutic.recipes.groups import Attempt, Known, drop_kept
from maieutic.recipes.items import Ask, Dialogue, Item
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.relift import is_hardest
from maieutic.recipes.solved import reject_steps
from maieutic.recipes.teaching import Teacher

Group = list[Attempt]


@recipe("demonstrated", needs="verified groups", gives="dialogues", asks=True)
def demonstrated(
    runs: Candidates,
    tally: Tally,
    *,
    least: int = 8,
    newest: int | None = None,
    steps: bool = False,
    prompt: Asking = "plain",
) -> Iterator[Item]:
    """`least` attempts a question, all of them readable and wrong; `newest` asks only for so many, those begun last.
    With `steps` the answer has to follow from the equations of the teacher's solution, too. With `prompt` "own" a
    solution stands under the prompt that the attempts had, else under one that names no strategy."""
    teacher = Teacher(runs, tally, "demonstrated")
    hardest = _hardest(teacher, tally, least)
    if newest is not None:
        hardest = _newest(hardest, newest, tally)
    for group in hardest:
        reply = teacher.ask("solve", question_of(group[0].run), group[0].run)
        if isinstance(reply, Ask):
            yield reply
        elif not reply.right(Known(group)):
            tally.counts["demonstrations_without_a_right_answer"] += 1
        elif steps and reject_steps(reply.run, (reply.call,)):
            tally.counts["demonstrations_without_every_step"] += 1
        else:
            ids = (*(attempt.run.header.run_id for attempt in group), reply.run.header.run_id)
            meta = {"row": "demonstration", "attempts": len(group), "source": reply.call.model}
            yield Dialogue((*asked_as(group[0], prompt), said(reply.text, author="teacher")), ids, meta)


def _hardest(teacher: Teacher, tally: Tally, least: int) -> Iterator[Group]:
    for group in teacher.by_task():
        if len(group) < least:
            drop_kept(tally, f"fewer than {least} attempts", len(group))
        elif is_hardest([attempt.outcome for attempt in group]):
            yield group
        else:
            drop_kept(tally, "not hardest", len(group))


def _newest(groups: Iterator[Group], number: int, tally: Tally) -> Iterator[Group]:
    found = list(groups)
    kept = nlargest(number, found, key=lambda group: group[0].run.header.started)
    drop_kept(tally, "older", sum(map(len, found)) - sum(map(len, kept)))
    return iter(kept)
