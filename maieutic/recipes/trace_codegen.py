"""`trace_codegen`: programs that are right, and of those that aren't the beginnings that are.

Learning from self-sampled correct and partially-correct solutions (Ni et al. 2022, arXiv 2205.14318). A program's state
after a statement is its values, sorted, without the names. The beginning of a wrong program is right as far as its last
state is one that a right program of the question goes through as well. Right programs are kept where they are no longer
than the shortest, up to `tolerance` statements; of beginnings only the longest, not those that are the beginning of
another one.

Deviations: the right programs are the runs' own, since no gold program is in a trace; only straight-line arithmetic is
followed, exactly and without running code. A beginning must not teach that a program ends there, so it is no dialogue:
its lines are labelled, or it is a prompt to go on from (`rows=starts`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from maieutic.errors import UserError
from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import lines_of, said
from maieutic.recipes.groups import Attempt, by_task, drop_kept
from maieutic.recipes.items import Dialogue, Item, Prompt, Reply, Spans, Turn
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.straight_line import State, Stretch, stretches
from maieutic.tasks.code import unfenced
from maieutic.types import Message

_CODE = re.compile(r"<code>(.*?)</code>|```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Program:
    attempt: Attempt
    text: str
    parts: list[Stretch]

    def head(self, number: int) -> str:
        """The first so many statements, whole."""
        return "\n".join(self.text.splitlines()[: self.parts[number - 1].end])


@recipe(
    "trace_codegen", needs="verified groups whose replies hold programs", gives="dialogues, labelled spans or prompts"
)
def trace_codegen(
    runs: Candidates, tally: Tally, *, tolerance: int = 0, rows: Literal["programs", "starts"] = "programs"
) -> Iterator[Item]:
    """Runs whose answering turn holds a program, such as those of `three_ways` or of a solver with python. Raises
    UserError where none does."""
    programs = 0
    for group in by_task(runs, tally, "trace_codegen"):
        read = [one for attempt in group if (one := _program(attempt)) is not None]
        programs += len(read)
        right = [one for one in read if one.attempt.right and one.parts[-1].state is not None]
        if not right:
            drop_kept(tally, "no right program that can be followed" if read else "no program", len(group))
            continue
        drop_kept(tally, "no program", len(group) - len(read))
        known: set[State | None] = {part.state for one in right for part in one.parts if part.state}
        least = min(len(one.parts) for one in right)
        short = [one for one in right if len(one.parts) <= least + tolerance]
        drop_kept(tally, "longer than the shortest right program", len(right) - len(short))
        if rows == "programs":
            yield from (_whole(one) for one in {one.text: one for one in short}.values())
        begun = [(one, reach(one.parts, known)) for one in read if not one.attempt.right]
        yield from _beginnings([(one, number) for one, number in begun if number], rows)
    if tally.seen and not programs:
        raise UserError("The recipe trace_codegen found no programs: collect with a graph that writes them.")


def reach(parts: list[Stretch], known: set[State | None]) -> int:
    """How many statements lead up to the last state that is known; 0 where none is."""
    places = [i for i, part in enumerate(parts, 1) if part.state and part.state in known]
    return places[-1] if places else 0


def _program(attempt: Attempt) -> _Program | None:
    found = _CODE.findall(attempt.text)
    text = unfenced(found[-1][0] or found[-1][1]) if found else ""
    parts = stretches(text)
    return _Program(attempt, text, parts) if parts else None


def _whole(one: _Program) -> Dialogue:
    turns = [Turn(message, author="template") for message in one.attempt.prompt]
    ids = (one.attempt.run.header.run_id,)
    return Dialogue((*turns, said(one.attempt.text)), ids, {"row": "program", "statements": len(one.parts)})


def _beginnings(begun: list[tuple[_Program, int]], rows: str) -> Iterator[Item]:
    heads = {one.head(number): one for one, number in begun}
    for head, one in heads.items():
        if any(other != head and other.startswith(f"{head}\n") for other in heads):
            continue
        ids, meta = (one.attempt.run.header.run_id,), {"row": "beginning", "statements": len(stretches(head))}
        if rows == "programs":
            spans = tuple((start, end, 1.0) for start, end in lines_of(head))
            yield Spans(one.attempt.prompt, Reply({"role": "assistant", "content": head}), spans, ids, meta)
        else:
            started: Message = {"role": "assistant", "content": head}
            yield Prompt((*one.attempt.prompt, started), dict(one.attempt.run.header.task), ids, meta)
