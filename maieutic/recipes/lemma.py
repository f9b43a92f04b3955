"""`lemma`: wrong solutions up to their first error, and from there to the right answer.

LEMMA (Pan et al. 2025, arXiv 2503.17439). A teacher finds the first wrong step of a student's solution and names the
kind of error; then it goes on from there in two ways, fixing the step or beginning again with another method. It also
puts errors of common kinds into right solutions, for questions that the student fails at least once. A row is kept
where its last answer is right, and an injected error where its answer is wrong.

Deviations: the teacher is not shown the gold answer. The paper trains on the whole row; `learn_error=false` learns only
what follows the error. A smoothing pass over the rows is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import Asking, asked_as, lines_of, numbered, question_of, said
from maieutic.recipes.groups import Attempt, Known, drop_kept, pick
from maieutic.recipes.items import Ask, Dialogue, Item, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.teaching import Taught, Teacher
from maieutic.trace.record import RunRecord

TAXONOMY = (
    "calculation",
    "counting",
    "question misinterpretation",
    "referencing context value",
    "referencing previous step value",
    "unit conversion",
    "operator",
    "missing step",
    "confusing formula",
    "confusing concept",
    "adding irrelevant information",
)
INJECTED = (
    "calculation",
    "missing step",
    "confusing concept",
    "question misinterpretation",
    "confusing formula",
    "counting",
)
FIXES = (
    "Wait, there is a mistake in the last step.",
    "Let me look at the last step again: it is not right.",
    "Something is off in what I just wrote.",
    "Checking the last step, I see an error.",
    "Hold on, the last step does not follow.",
    "I made a mistake just now, and put it right here.",
    "That last step can't be right.",
    "Before I go on, I have to correct the last step.",
    "On second thought, the last step is wrong.",
    "I should double-check that. It does not hold.",
    "No, that is not correct.",
    "The last step needs another look: there is an error in it.",
    "I notice that I went wrong in the last step.",
)
FRESH = (
    "This way has gone wrong. Let me begin again with another method.",
    "Instead of mending this, I solve the problem anew in a different way.",
    "I start over, and take another approach.",
)

LOCATE = """\
Below is a problem and a solution whose final answer is wrong. The steps of the solution are numbered. Find the first
step that is wrong, and say what kind of error it is. The kinds are: {kinds}.

Problem:
{question}

Solution:
{solution}

End with a line that holds only the number of the step, a semicolon and the kind of error, such as:
Answer: 3; calculation"""
INJECT = """\
Below is a problem and a right solution. Write the solution again as somebody would who makes one error of this kind in
it: {kind}. Go on from the error as if it were right, one step a line, so that the final answer comes out wrong. Don't
mention that there is an error.

Problem:
{question}

Solution:
{solution}

End with a line that holds only the wrong result:
Answer: <the result>"""
FIX = """\
Below is a problem and the beginning of a solution, whose last step is wrong. Say in a sentence what is wrong with that
step, put it right, and go on from there to the end, one step a line. Don't repeat the steps before it.

Problem:
{question}

Beginning:
{beginning}

End with a line that holds only the result:
Answer: <the result>"""
RESTART = """\
Below is a problem and the beginning of a solution that has gone wrong. Solve the problem from the start by another
method than this beginning uses, one step a line, and don't speak of the beginning.

Problem:
{question}

Beginning:
{beginning}

End with a line that holds only the result:
Answer: <the result>"""
_LOCATED = re.compile(r"(\d+)\s*[;:,]\s*([a-z ]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Flawed:
    """A wrong solution, a student's own or one with an injected error."""

    run: RunRecord
    asked: tuple[Turn, ...]
    text: str
    kind: str | None = None


@recipe("lemma", needs="verified groups", gives="dialogues", asks=True)
def lemma(
    runs: Candidates,
    tally: Tally,
    *,
    per_question: int = 2,
    inject: int = 1,
    samples: int = 1,
    learn_error: bool = True,
    prompt: Asking = "plain",
) -> Iterator[Item]:
    """Of each question that was failed at least once, `per_question` own errors, and `inject` kinds of error injected
    `samples` times each into a right solution (the paper: six kinds, five times). With `prompt` "own" a row's question
    stands under the prompt that the attempt had, else under one that names no strategy."""
    teacher = Teacher(runs, tally, "lemma")
    for group in teacher.by_task():
        key = group[0].run.header.task_key
        known = Known(group)
        right = [attempt for attempt in group if attempt.right]
        wrong = [attempt for attempt in group if attempt.answer is not None and known.right(attempt.answer) is False]
        if not wrong:
            drop_kept(tally, "never failed with an answer", len(group))
            continue
        flawed = [_Flawed(attempt.run, asked_as(attempt, prompt), attempt.text) for attempt in wrong[:per_question]]
        if right and inject:
            first = pick(range(len(INJECTED)), "lemma", key)
            kinds = [INJECTED[(first + i) % len(INJECTED)] for i in range(min(inject, len(INJECTED)))]
            for one in _injected(teacher, right[0], kinds, samples, known, tally, prompt):
                if isinstance(one, Ask):
                    yield one
                else:
                    flawed.append(one)
        for one_ in flawed:
            yield from _rows(teacher, one_, known, tally, learn_error)


def _injected(
    teacher: Teacher, right: Attempt, kinds: list[str], samples: int, known: Known, tally: Tally, prompt: Asking
) -> Iterator[_Flawed | Ask]:
    for kind in kinds:
        question = INJECT.format(kind=kind, question=question_of(right.run), solution=right.text.strip())
        for number in range(samples):
            reply = teacher.ask("inject", question, right.run, number=number)
            if isinstance(reply, Ask):
                yield reply
            elif reply.right(known) is False:
                yield _Flawed(right.run, asked_as(right, prompt), reply.text, kind)
            else:
                tally.counts["injected_errors_without_a_wrong_answer"] += 1


def _rows(teacher: Teacher, flawed: _Flawed, known: Known, tally: Tally, learn_error: bool) -> Iterator[Item]:
    question, lines = question_of(flawed.run), lines_of(flawed.text)
    found = teacher.ask(
        "locate",
        LOCATE.format(kinds=", ".join(TAXONOMY), question=question, solution=numbered(flawed.text)),
        flawed.run,
        answer_type="text",
    )
    if isinstance(found, Ask):
        yield found
        return
    place = located(found.answer, len(lines))
    if place is None:
        tally.counts["errors_that_were_not_located"] += 1
        return
    beginning = flawed.text[: lines[place[0] - 1][1]]
    for row, form, phrases in (("fix", FIX, FIXES), ("fresh", RESTART, FRESH)):
        reply = teacher.ask(row, form.format(question=question, beginning=beginning), flawed.run)
        if isinstance(reply, Ask):
            yield reply
        elif reply.right(known):
            turn = pick(phrases, "lemma", reply.run.header.task_key)
            meta = {"row": row, "step": place[0], "error": flawed.kind or place[1], "injected": flawed.kind is not None}
            yield _row(flawed, beginning, f"{turn}\n{reply.text}", reply, meta, learn_error)
        else:
            tally.counts["corrections_without_a_right_answer"] += 1


def located(answer: str | None, steps: int) -> tuple[int, str] | None:
    """The step and the kind of error that a teacher named; None where it is none of the solution's steps."""
    match = _LOCATED.search(answer or "")
    if match is None or not 1 <= int(match[1]) <= steps:
        return None
    word = " ".join(match[2].lower().split())
    return int(match[1]), next((kind for kind in TAXONOMY if word.startswith(kind)), "other")


def _row(
    flawed: _Flawed, beginning: str, rest: str, reply: Taught, meta: dict[str, object], learn_error: bool
) -> Dialogue:
    ids = (flawed.run.header.run_id, reply.run.header.run_id)
    turns = [said(f"{beginning}\n{rest}", author="teacher")]
    if not learn_error:
        turns = [said(beginning, learn=False), said(f"\n{rest}", author="teacher", continues=True)]
    return Dialogue((*flawed.asked, *turns), ids, meta)
