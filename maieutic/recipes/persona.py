"""`persona`: questions as people of different occupations would ask them, solved anew.

PersonaMath (Luo et al. 2024, arXiv 2410.01504): in its first stage each question is rewritten for personas, in its
second one those that were answered wrong get more of them. Numbers may change on the way, so a rewritten question never
keeps the old answer: it is solved again, several times, and kept where the solutions agree.

Deviation: the paper's second stage also has a model reflect on the wrong answer; `critique_data` and `lemma` do that.
"""

from collections.abc import Iterator
from typing import Literal

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import CAUTIOUS, question_of, said
from maieutic.recipes.groups import Attempt, Known, chance
from maieutic.recipes.items import Ask, Dialogue, Item, Prompt, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.teaching import Taught, Teacher

PERSONAS = (
    "a nurse on a night shift",
    "a carpenter who builds stairs",
    "a farmer planning the harvest",
    "the captain of a ferry",
    "a baker who runs a small shop",
    "a teacher who prepares a school trip",
    "an accountant at the end of the year",
    "a gardener in a city park",
    "a stage technician at a theatre",
    "a chemist in a water works",
)
_REWRITE = """\
Below is a problem. Write a problem that {persona} might meet at work and that is solved by the same reasoning. It has
to stand on its own, to be as hard as this one, and to have exactly one answer of the same kind. Numbers may change.

Problem:
{question}

End with the new problem, between fences:
Answer:
```
<the problem>
```"""


@recipe("persona", needs="verified groups", gives="dialogues, prompts", asks=True)
def persona(
    runs: Candidates,
    tally: Tally,
    *,
    personas: int = 2,
    more: int = 2,
    agree: int = 2,
    rows: Literal["solutions", "prompts", "both"] = "solutions",
) -> Iterator[Item]:
    """`personas` rewritings of each question, and `more` of those that were answered wrong at least once; each is
    solved `agree` times, and all of its answers have to be the same."""
    teacher = Teacher(runs, tally, "persona")
    for group in teacher.by_task():
        key = group[0].run.header.task_key
        failed = any(not attempt.right for attempt in group)
        drawn = list(PERSONAS)
        chance("persona", key).shuffle(drawn)
        for who in drawn[: personas + more * failed]:
            yield from _rows(teacher, group[0], who, max(2, agree), rows, tally, failed)


def _rows(
    teacher: Teacher, first: Attempt, who: str, agree: int, rows: str, tally: Tally, failed: bool
) -> Iterator[Item]:
    old, kind = question_of(first.run), first.run.header.task.get("answer_type", "auto")
    new = teacher.ask("rewrite", _REWRITE.format(persona=who, question=old), first.run, answer_type="text")
    if isinstance(new, Ask):
        yield new
        return
    if not new.answer or new.answer.strip() == old.strip():
        tally.counts["questions_that_were_not_rewritten"] += 1
        return
    solved = [teacher.ask("solve", new.answer, first.run, answer_type=kind, number=i) for i in range(agree)]
    asks = [one for one in solved if isinstance(one, Ask)]
    yield from asks
    if asks:
        return
    taught = [one for one in solved if isinstance(one, Taught)]
    keys = {Known([first]).key(one.answer) for one in taught}
    if len(keys) != 1 or None in keys:
        tally.counts["rewritten_questions_without_one_answer"] += 1
        return
    ids = (first.run.header.run_id, new.run.header.run_id, *(one.run.header.run_id for one in taught))
    turns = (
        Turn({"role": "system", "content": CAUTIOUS}, author="template"),
        Turn({"role": "user", "content": new.answer}, author="teacher"),
    )
    meta = {"persona": who, "was_failed": failed}
    if rows != "prompts":
        yield Dialogue((*turns, said(taught[0].text, author="teacher")), ids, meta)
    if rows != "solutions":
        task = {"question": new.answer, "answer_type": kind, "gold": taught[0].answer}
        yield Prompt(tuple(turn.message for turn in turns), task, ids, meta)
