"""`critique_data`: critiques that help, the solutions that came of them, and pairs of both sides of a repair.

AutoMathCritique and critique in the loop (Xi et al. 2024, arXiv 2411.16579). A teacher goes through a flawed solution
step by step; its critique is kept where solutions that were refined with it are right more often than the question is
solved anyhow. A refined solution is stored under the plain question, without the critique, where it is right and is no
shortcut: it has to hold about as many numbers as a whole solution. Right solutions are criticised too, and such a
critique is kept where it finds nothing.

Deviations: flawed solutions are the student's own (`lemma` injects errors); a verdict has to fit what is known of the
answer; the numbers are held against the shortest right solution that is known, since no gold solution is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import Asking, asked_as, lines_of, messages_of, numbered, question_of, said
from maieutic.recipes.groups import Attempt, Known, drop_kept
from maieutic.recipes.items import Ask, Dialogue, Item, Pair, Reply, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.teaching import Taught, Teacher

CRITIC = (
    "You check solutions. Go through the steps one by one, and end with the number of the first wrong one, or none."
)
CRITICISE = """\
Below is a problem and a solution whose steps are numbered. Go through the steps one by one: say what the step does,
whether it is right, and why. Stop at the first step that is wrong, and say what would be right there.

Problem:
{question}

Solution:
{solution}

End with a line that holds only the number of the first wrong step, or none:
Answer: <number or none>"""
REFINE = """\
Below is a problem, a solution of it, and a critique of that solution. Write a whole new solution that heeds the
critique where it is right, one step a line. Don't speak of the critique or of the earlier solution.

Problem:
{question}

Solution:
{solution}

Critique:
{critique}

End with a line that holds only the result:
Answer: <the result>"""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class _Wants:
    """The settings of the recipe, as its docstring has them."""

    tries: int
    slack: int
    reserved: int
    critics: bool
    prompt: Asking


@recipe("critique_data", needs="verified groups", gives="dialogues, pairs", asks=True)
def critique_data(
    runs: Candidates,
    tally: Tally,
    *,
    per_question: int = 2,
    tries: int = 3,
    slack: int = 2,
    reserved: int = 1,
    critics: bool = True,
    prompt: Asking = "plain",
) -> Iterator[Item]:
    """Of each question `per_question` wrong solutions and one right one. A critique is tried `tries` times; at most
    `reserved` of its refined solutions are kept; `slack` numbers may be missing from one. `critics` are rows for a
    critic, too. With `prompt` "own" a refined solution stands under the prompt that the attempt had, else under one
    that names no strategy."""
    teacher, wants = Teacher(runs, tally, "critique_data"), _Wants(tries, slack, reserved, critics, prompt)
    for group in teacher.by_task():
        known = Known(group)
        right = sorted((a for a in group if a.right), key=lambda a: len(a.text))
        wrong = [a for a in group if a.answer is not None and known.right(a.answer) is False][:per_question]
        if not wrong:
            drop_kept(tally, "never failed with an answer", len(group))
            continue
        shortest = right[0].text if right else None
        for attempt in [*wrong, *(right[:1] if critics else ())]:
            critique = _criticised(teacher, attempt)
            if isinstance(critique, Ask):
                yield critique
            elif attempt.right:
                if verdict(critique.answer) == 0:
                    yield _critic(attempt, critique, {"first_wrong": None})
            else:
                share = len(right) / len(group)
                yield from _tried(teacher, attempt, critique, known, tally, share, wants, shortest)


def verdict(answer: str | None) -> int | None:
    """The first wrong step; 0 for none, None where it can't be read."""
    word = (answer or "").strip().lower().rstrip(".")
    return 0 if word == "none" else int(word) if word.isdigit() and int(word) > 0 else None


def is_whole(text: str, *others: str | None, slack: int = 2) -> bool:
    """Whether a solution holds about as many numbers as the shortest of others does: no mere statement of an answer."""
    return len(_NUMBER.findall(text)) >= min(len(_NUMBER.findall(other)) for other in others if other) - slack


def _criticised(teacher: Teacher, attempt: Attempt) -> Taught | Ask:
    form = CRITICISE.format(question=question_of(attempt.run), solution=numbered(attempt.text))
    return teacher.ask("criticise", form, attempt.run, answer_type="text")


def _tried(
    teacher: Teacher,
    attempt: Attempt,
    critique: Taught,
    known: Known,
    tally: Tally,
    share: float,
    wants: _Wants,
    shortest: str | None,
) -> Iterator[Item]:
    """A critique and what comes of it, where it finds an error and helps more than it is right anyhow."""
    place = verdict(critique.answer)
    if not place or place > len(lines_of(attempt.text)):
        tally.counts["critiques_without_a_wrong_step_left_out"] += 1
        return
    form = REFINE.format(question=question_of(attempt.run), solution=attempt.text.strip(), critique=critique.text)
    refined = [teacher.ask("refine", form, attempt.run, number=number) for number in range(wants.tries)]
    asks = [one for one in refined if isinstance(one, Ask)]
    yield from asks
    if asks:
        return
    good = [one for one in refined if isinstance(one, Taught) and one.right(known)]
    if len(good) / wants.tries <= share:
        tally.counts["critiques_that_did_not_help_left_out"] += 1
        return
    if wants.critics:
        meta: dict[str, object] = {"first_wrong": place, "refined_right": len(good) / wants.tries, "before": share}
        yield _critic(attempt, critique, meta)
    whole = {one.text: one for one in good if is_whole(one.text, attempt.text, shortest, slack=wants.slack)}
    tally.counts["shortcuts_left_out"] += len({one.text for one in good}) - len(whole)
    for one in list(whole.values())[: wants.reserved]:
        yield from _repaired(attempt, one, wants.prompt)


def _critic(attempt: Attempt, critique: Taught, meta: dict[str, object]) -> Dialogue:
    shown = f"Problem:\n{question_of(attempt.run)}\n\nSolution:\n{numbered(attempt.text)}"
    turns = (
        Turn({"role": "system", "content": CRITIC}, author="template"),
        Turn({"role": "user", "content": shown}, author="template"),
        said(critique.text, author="critic"),
    )
    ids = (attempt.run.header.run_id, critique.run.header.run_id)
    return Dialogue(turns, ids, {"row": "critic", **meta})


def _repaired(attempt: Attempt, refined: Taught, prompt: Asking) -> Iterator[Item]:
    question, ids = asked_as(attempt, prompt), (attempt.run.header.run_id, refined.run.header.run_id)
    turn = said(refined.text, author="teacher")
    yield Dialogue((*question, turn), ids, {"row": "refined"})
    worse = Reply({"role": "assistant", "content": attempt.text})
    yield Pair(messages_of(question), Reply(turn.message), worse, "refined", ids, {"row": "pair"})
