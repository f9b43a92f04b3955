"""`supercorrect`: a teacher's correction of a student's error above the student's own, and solutions by a template.

SuperCorrect (Yang et al. 2024, arXiv 2410.09008). Its first stage learns solutions that a teacher has written anew in a
hierarchical template: steps, a key remark in those that are hard, and what is general about the way (`rows=templates`).
Its second stage pairs corrections of one erroneous step: the teacher's, where it leads to the right answer and passes
an inspection, and the student's own, where it doesn't (`rows=pairs`).

The order of the stages is the paper's; how pairs are asked for is not in its released code and is put in own words.
"""

import re
from collections.abc import Iterator
from typing import Literal

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import asked, lines_of, numbered, question_of, said
from maieutic.recipes.groups import Attempt, Known, drop_kept
from maieutic.recipes.items import Ask, Dialogue, Item, Pair, Reply
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.teaching import Taught, Teacher

_LOCATE = """\
Below is a problem and a solution whose final answer is wrong. The steps of the solution are numbered. Work each step
out yourself, and find the first one that is wrong.

Problem:
{question}

Solution:
{solution}

End with a line that holds only the number of that step:
Answer: <number>"""
_CORRECT = """\
Below is a problem and the beginning of a solution. Its last step is wrong. Say what is wrong with it and why, write the
step as it should be, and go on from there to the end, one step a line.

Problem:
{question}

Beginning:
{beginning}

End with a line that holds only the result:
Answer: <the result>"""
_INSPECT = """\
Below is a problem, the beginning of a solution whose last step is wrong, and a correction. Does the correction name the
error truly, and does every step of it hold?

Problem:
{question}

Beginning:
{beginning}

Correction:
{correction}

End with a line that holds only yes or no:
Answer: <yes or no>"""
_TEMPLATE = """\
Below is a problem and a right solution. Write the solution again in this form: each step in <step> and </step>; in
steps that are hard or easy to get wrong, a remark in <key> and </key> on what matters there; after the steps, in
<generalized> and </generalized>, the way of solving such problems in general, without this one's numbers.

Problem:
{question}

Solution:
{solution}

End with a line that holds only the result:
Answer: <the result>"""
_FORM = re.compile(r"(?:<step>.*?</step>\s*)+<generalized>.*?</generalized>", re.DOTALL | re.IGNORECASE)


@recipe("supercorrect", needs="verified groups", gives="dialogues, pairs", asks=True)
def supercorrect(
    runs: Candidates,
    tally: Tally,
    *,
    rows: Literal["templates", "pairs", "all"] = "all",
    per_question: int = 1,
    inspect: bool = True,
) -> Iterator[Item]:
    """Of each question `per_question` right solutions are written anew and `per_question` wrong ones corrected, these
    by the student (`maieutic teach --student`) as well. `inspect` has a teacher's correction inspected."""
    teacher = Teacher(runs, tally, "supercorrect")
    for group in teacher.by_task():
        known = Known(group)
        right = [attempt for attempt in group if attempt.right][:per_question]
        wrong = [a for a in group if a.answer is not None and known.right(a.answer) is False][:per_question]
        items: list[Item] = []
        if rows != "pairs":
            items += [item for attempt in right for item in _templates(teacher, attempt, known, tally)]
        if rows != "templates":
            items += [item for attempt in wrong for item in _pairs(teacher, attempt, known, tally, inspect)]
        if not items:
            drop_kept(tally, "nothing to write anew or to correct", len(group))
        yield from items


def _templates(teacher: Teacher, attempt: Attempt, known: Known, tally: Tally) -> Iterator[Item]:
    form = _TEMPLATE.format(question=question_of(attempt.run), solution=attempt.text.strip())
    reply = teacher.ask("template", form, attempt.run)
    if isinstance(reply, Ask):
        yield reply
    elif reply.right(known) and _FORM.search(reply.text):
        ids = (attempt.run.header.run_id, reply.run.header.run_id)
        turns = (*asked(attempt.run), said(reply.text, author="teacher"))
        yield Dialogue(turns, ids, {"row": "template"})
    else:
        tally.counts["rewritings_that_are_wrong_or_without_the_form"] += 1


def _pairs(teacher: Teacher, attempt: Attempt, known: Known, tally: Tally, inspect: bool) -> Iterator[Item]:
    question, lines = question_of(attempt.run), lines_of(attempt.text)
    form = _LOCATE.format(question=question, solution=numbered(attempt.text))
    found = teacher.ask("locate", form, attempt.run, answer_type="number")
    if isinstance(found, Ask):
        yield found
        return
    step = found.number or 0
    if not 1 <= step <= len(lines):
        tally.counts["errors_that_were_not_located"] += 1
        return
    beginning = attempt.text[: lines[step - 1][1]]
    form = _CORRECT.format(question=question, beginning=beginning)
    better = teacher.ask("correct", form, attempt.run)
    worse = teacher.ask("correct", form, attempt.run, who="student")
    asks = [one for one in (better, worse) if isinstance(one, Ask)]
    yield from asks
    if isinstance(better, Ask) or isinstance(worse, Ask):
        return
    if not better.right(known) or worse.right(known) is not False:
        tally.counts["corrections_that_do_not_differ_as_they_should"] += 1
        return
    if inspect:
        shown = _INSPECT.format(question=question, beginning=beginning, correction=better.text)
        word = teacher.ask("inspect", shown, attempt.run, answer_type="boolean")
        if isinstance(word, Ask):
            yield word
            return
        if (word.answer or "").strip().lower() not in ("yes", "true"):
            tally.counts["corrections_that_failed_inspection"] += 1
            return
    yield _pair(attempt, form, better, worse, step)


def _pair(attempt: Attempt, form: str, better: Taught, worse: Taught, step: int) -> Pair:
    sides = [Reply({"role": "assistant", "content": one.text}) for one in (better, worse)]
    ids = (attempt.run.header.run_id, better.run.header.run_id, worse.run.header.run_id)
    meta = {"row": "pair", "step": step}
    return Pair(({"role": "user", "content": form},), sides[0], sides[1], "correction", ids, meta)
