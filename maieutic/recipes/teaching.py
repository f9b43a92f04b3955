"""Recipes that have to ask: their questions to a teacher, and the replies, which come back as runs like any others.

A recipe calls no model. Where it needs a critique, a correction or a rewriting, it yields an `Ask`; `maieutic teach`
collects all asks through an ordinary graph, so that their calls are budgeted, traced and resumed as any others, and
runs the recipe again over the traces and the replies, until it asks for nothing more. No gold answer stands in an ask:
a teacher's solution is checked afterwards, against the gold where the tasks are given, else against what the verified
runs of the question have shown to be right.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.groups import Attempt, Known, answered, attempts, side_by_side
from maieutic.recipes.items import Ask
from maieutic.recipes.recipe import Candidate, Tally
from maieutic.recipes.solved import winning_path
from maieutic.tasks.task import AnswerType, Task
from maieutic.trace.record import CallRecord, RunRecord
from maieutic.types import Outcome

PREFIX = "ask/"  # task ids of asks begin so


@dataclass(frozen=True, slots=True)
class Taught:
    """A reply: its whole text, and the answer read from its end; None where none could be read."""

    run: RunRecord
    call: CallRecord

    @property
    def text(self) -> str:
        return self.call.completion.text.strip() if self.call.completion else ""

    @property
    def answer(self) -> str | None:
        return self.run.finish.fields.get("answer") if self.run.finish else None

    @property
    def number(self) -> int | None:
        """The answer as a whole number above 0; None where it is none."""
        word = (self.answer or "").strip()
        return int(word) if word.isascii() and word.isdigit() and int(word) else None

    def right(self, known: Known) -> bool | None:
        """Whether its answer is right, by its own check or by what is known of the question; None where neither
        tells."""
        outcome = self.run.finish.fields.get("outcome") if self.run.finish else None
        if outcome in (Outcome.CORRECT, Outcome.WRONG):
            return bool(outcome == Outcome.CORRECT)
        return known.right(self.answer)


class Teacher:
    """What a recipe may ask of. Replies lie among the students' runs: they are kept apart, and each is read when it is
    asked for."""

    def __init__(self, runs: Candidates, tally: Tally, recipe: str) -> None:
        self._runs = runs
        self._tally = tally
        self._recipe = recipe

    def by_task(self, *, verified: bool = True) -> Iterator[list[Attempt]]:
        """The students' attempts at each question, those with a verdict unless not `verified`. Raises UserError where
        no run was verified, as `groups.attempts` does."""
        students = self._students()
        if verified:
            return side_by_side(attempts(students, self._tally, self._recipe))
        return side_by_side(answered(students, self._tally))

    def ask(
        self,
        step: str,
        question: str,
        about: RunRecord,
        *,
        answer_type: AnswerType | None = None,
        who: Literal["teacher", "student"] = "teacher",
        number: int = 0,
    ) -> Taught | Ask:
        """The reply, or the ask where there is none yet.

        Without `answer_type` the reply is an answer to the question that `about` was asked, and is checked. `number`
        tells several replies to one ask apart.
        """
        task = about.header.task
        kind: AnswerType = answer_type or task.get("answer_type", "auto")
        content = "\0".join([question, kind, who, str(number)]).encode("utf-8", "surrogatepass")
        name = f"{PREFIX}{self._recipe}/{step}/{blake2b(content, digest_size=8).hexdigest()}"
        for candidate in self._runs.of(name):
            reply = self._reply(candidate)
            if isinstance(reply, Taught):
                return reply
        checked = str(task.get("id", "")) or None if answer_type is None else None
        meta = {"recipe": self._recipe, "step": step}
        return Ask(name, question, kind, who, checked, (about.header.run_id,), meta)

    def _students(self) -> Iterator[Candidate]:
        for candidate in self._runs.by_task():
            if not candidate.summary.task_key.startswith(PREFIX):
                yield candidate
                continue
            self._tally.seen += 1
            reply = self._reply(candidate)
            if isinstance(reply, Taught):
                self._tally.kept += 1
            else:
                self._tally.dropped[reply] += 1

    def _reply(self, candidate: Candidate) -> Taught | str:
        """A reply; or why it is none, where it is not this recipe's, or not whole."""
        if candidate.summary.finished is None or candidate.summary.partial:
            return "unfinished reply"
        if not candidate.summary.task_key.startswith(f"{PREFIX}{self._recipe}/"):
            return "reply to another recipe"
        run = candidate.load()
        path = winning_path(run)
        if not path or path[-1].completion is None:
            return "reply without a call"
        return Taught(run, path[-1])


def task_of(ask: Ask, tasks: Mapping[str, Task] | None = None) -> Task:
    """An ask as a task; with its check where it is about one of `tasks`."""
    fields: dict[str, Any] = {"id": ask.id, "question": ask.question, "answer_type": ask.answer_type}
    metadata: dict[str, Any] = {"about": ask.about, "who": ask.who, **ask.meta}
    original = (tasks or {}).get(ask.about or "")
    if original is not None and original.checkable:
        fields |= {"gold": original.gold, "verifier": "original"}
        metadata["original"] = original.model_dump(mode="json", exclude_defaults=True)
    return Task(**fields, metadata=metadata)
