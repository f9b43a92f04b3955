"""`poda`: multiple-choice questions whose premises are rewritten so that a wrong option becomes the right one.

Premise-oriented data augmentation (Wang et al. 2024, arXiv 2409.14495). A rewritten question counts only where it is
answered from scratch with the option it was rewritten for. Rows are its solution, and a pair of it above the solution
of the old question, which reasons from premises that hold no more. Deviation: the paper's contrastive loss over thought
paths is the trainer's; and its summary of premises for each option is left to the teacher.
"""

from collections.abc import Iterator

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import CAUTIOUS, question_of, said
from maieutic.recipes.groups import Attempt, Known, drop_kept
from maieutic.recipes.items import Ask, Dialogue, Item, Pair, Reply, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.teaching import Teacher
from maieutic.tasks.task import options

_REWRITE = """\
Below is a multiple-choice question. Its right answer is {right}. Rewrite what is given before the options, its
premises, so that {wrong} becomes the only right answer. Change as little as you can, keep what is asked, and don't
write the options. First say in a sentence for each option whether the new premises support it, contradict
it, or leave it open.

{question}

End with the rewritten text, between fences:
Answer:
```
<the text>
```"""


@recipe("poda", needs="verified runs of multiple-choice questions", gives="dialogues, pairs", asks=True)
def poda(runs: Candidates, tally: Tally, *, per_question: int = 1) -> Iterator[Item]:
    """`per_question` wrong options of each question become right ones. Raises UserError where no task has choices."""
    teacher = Teacher(runs, tally, "poda")
    asked_of = choices = False
    for group in teacher.by_task():
        asked_of = True
        right = next((attempt for attempt in group if attempt.right), None)
        labelled = options(group[0].run.header.task.get("inputs") or {})
        choices = choices or bool(labelled)
        if right is None or not labelled:
            drop_kept(tally, "never solved" if labelled else "no choices", len(group))
            continue
        known = Known(group)
        wrong = [label for label in labelled if known.right(label) is False]
        for label in wrong[:per_question]:
            yield from _rows(teacher, right, label, labelled, known, tally)
    if asked_of and not choices:
        raise UserError("The recipe poda needs multiple-choice questions: tasks with inputs.choices.")


def _rows(
    teacher: Teacher, right: Attempt, label: str, labelled: dict[str, str], known: Known, tally: Tally
) -> Iterator[Item]:
    form = _REWRITE.format(right=right.answer, wrong=label, question=question_of(right.run))
    new = teacher.ask("rewrite", form, right.run, answer_type="text")
    if isinstance(new, Ask):
        yield new
        return
    if not new.answer:
        tally.counts["premises_that_were_not_rewritten"] += 1
        return
    question = "\n".join([new.answer, "", *(f"{one}) {text}" for one, text in labelled.items())])
    reply = teacher.ask("solve", question, right.run, answer_type="choice")
    if isinstance(reply, Ask):
        yield reply
        return
    if known.key(reply.answer) is None or known.key(reply.answer) != known.key(label):
        tally.counts["rewritten_questions_that_were_answered_otherwise"] += 1
        return
    turns = (
        Turn({"role": "system", "content": CAUTIOUS}, author="template"),
        Turn({"role": "user", "content": question}, author="teacher"),
    )
    ids = (right.run.header.run_id, new.run.header.run_id, reply.run.header.run_id)
    meta = {"was": right.answer, "is": label}
    better = said(reply.text, author="teacher")
    yield Dialogue((*turns, better), ids, meta)
    worse = Reply({"role": "assistant", "content": right.text})
    yield Pair(tuple(turn.message for turn in turns), Reply(better.message), worse, "premises", ids, meta)
