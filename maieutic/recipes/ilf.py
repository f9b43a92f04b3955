"""`ilf`: of several refinements, the one that heeds the feedback best, stored without the feedback.

Imitation learning from language feedback (Scheurer et al. 2023, arXiv 2303.16755). The feedback is that of a critic in
the runs; a teacher refines the criticised solution several times, and is then asked which refinement heeds it best. No
gold is used. Deviation: the paper also tries similarity of embeddings for the choice.
"""

from collections.abc import Iterator

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import asked, question_of, said
from maieutic.recipes.groups import Attempt, drop_kept
from maieutic.recipes.items import Ask, Dialogue, Item
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.teaching import Taught, Teacher

_REFINE = """\
Below is a problem, a solution, and feedback on that solution. Write a whole new solution into which the feedback has
gone, one step a line. Don't speak of the feedback or of the earlier solution.

Problem:
{question}

Solution:
{solution}

Feedback:
{feedback}

End with a line that holds only the result:
Answer: <the result>"""
_CHOOSE = """\
Below is feedback on a solution of a problem, and numbered refinements of that solution. Which of them has taken in the
most of the feedback, and rightly?

Problem:
{question}

Feedback:
{feedback}

{refinements}

End with a line that holds only the number of that refinement:
Answer: <number>"""


@recipe("ilf", needs="runs with a critic", gives="dialogues", asks=True)
def ilf(runs: Candidates, tally: Tally, *, refinements: int = 3, most: int = 1) -> Iterator[Item]:
    """Runs of a graph with a critic (`critique`), verified or not: of each, `most` critiques that found an error, each
    refined `refinements` times. Raises UserError where no run has feedback."""
    teacher = Teacher(runs, tally, "ilf")
    found = False
    seen = False
    for attempt in (attempt for group in teacher.by_task(verified=False) for attempt in group):
        seen = True
        feedback = list(_feedback(attempt))
        found = found or bool(feedback)
        if not feedback:
            drop_kept(tally, "no feedback that found an error")
        for solution, words in feedback[:most]:
            yield from _rows(teacher, attempt, solution, words, refinements, tally)
    if seen and not found:
        raise UserError("The recipe ilf found no feedback that objects: collect with a graph such as critique.")


def _feedback(attempt: Attempt) -> Iterator[tuple[str, str]]:
    """Each solution that a critic objected to, and what it said."""
    texts = {call.call_id: call.completion.text for call in attempt.run.calls if call.completion}
    for event in attempt.run.events_of("verdict"):
        solution, words = texts.get(str(event.fields.get("of"))), texts.get(str(event.fields.get("call_id")))
        if event.fields.get("accepts") is False and solution and words:
            yield solution.strip(), words.strip()


def _rows(
    teacher: Teacher, attempt: Attempt, solution: str, feedback: str, number: int, tally: Tally
) -> Iterator[Item]:
    question = question_of(attempt.run)
    form = _REFINE.format(question=question, solution=solution, feedback=feedback)
    made = [teacher.ask("refine", form, attempt.run, number=i) for i in range(number)]
    asks = [one for one in made if isinstance(one, Ask)]
    yield from asks
    refined = list({one.text: one for one in made if isinstance(one, Taught) and one.answer is not None}.values())
    if asks or not refined:
        tally.counts["feedback_without_a_refinement"] += not asks
        return
    chosen: Taught | None = refined[0]
    if len(refined) > 1:
        listed = "\n\n".join(f"Refinement {i}:\n{one.text}" for i, one in enumerate(refined, 1))
        shown = _CHOOSE.format(question=question, feedback=feedback, refinements=listed)
        word = teacher.ask("choose", shown, attempt.run, answer_type="number")
        if isinstance(word, Ask):
            yield word
            return
        place = word.number or 0
        chosen = refined[place - 1] if 1 <= place <= len(refined) else None
    if chosen is None:
        tally.counts["choices_that_could_not_be_read"] += 1
        return
    ids = (attempt.run.header.run_id, chosen.run.header.run_id)
    turns = (*asked(attempt.run), said(chosen.text, author="teacher"))
    yield Dialogue(turns, ids, {"of": len(refined)})
