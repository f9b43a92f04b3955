"""`rise_edit`: a right solution up to a step, above the same with a small error in that step: hard pairs.

RISE (Xu et al. 2024, "Subtle Errors in Reasoning: Preference Learning via Error-injected Self-editing", arXiv
2410.06638): few tokens of a right step are changed, by a number, by swapped terms or by a dropped one. That the step is
wrong then is checked by computer algebra: it must hold an equation that was true and is so no more. Beside these there
are pairs of right and wrong samples.

Both sides begin with the same text, which cancels in a preference loss; where they differ stands in `meta`. Deviation:
edits are made by rule unless `how=model` asks the model for them, as the paper does, and a step without an equation is
not edited, since nothing could tell whether it is still right.
"""

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from typing import Literal

from maieutic.recipes.candidates import Candidates
from maieutic.recipes.dialogues import lines_of, question_of
from maieutic.recipes.groups import Attempt, by_task, chance, drop_kept
from maieutic.recipes.items import Ask, Item, Pair, Reply
from maieutic.recipes.recipe import Tally, recipe
from maieutic.recipes.teaching import Teacher
from maieutic.tasks.answers import equivalent
from maieutic.tasks.extraction import extract

KINDS = {
    "number": "replace one number by another one",
    "swap": "swap two terms of an expression",
    "drop": "leave one term of an expression out",
}
_EDIT = """\
Below is a problem and a step of its solution, which is right. Write the step again with a small error in it: {how}.
Change as few words as you can, and leave everything else as it is.

Problem:
{question}

Step:
{step}

End with the changed step, on one line:
Answer: <the changed step>"""
_MATHS = re.compile(r"[\d.,\s+\-*/×·÷^()=]*=[\d.,\s+\-*/×·÷^()=]*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_TERMS = re.compile(r"(\d+(?:\.\d+)?)(\s*[-/÷]\s*)(\d+(?:\.\d+)?)")
_DROPPED = re.compile(r"\s*[+\-*×]\s*\d+(?:\.\d+)?(?=[^=]*=)")


@recipe("rise_edit", needs="verified runs", gives="pairs")
def rise_edit(
    runs: Candidates,
    tally: Tally,
    *,
    how: Literal["rule", "model"] = "rule",
    rows: Literal["edits", "samples", "all"] = "all",
    per_solution: int = 2,
    changed: int = 3,
) -> Iterator[Item]:
    """`per_solution` steps of each right solution are edited; an edit that changes more than `changed` words is left
    out. `how=model` asks a teacher, who should be the student itself."""
    teacher = Teacher(runs, tally, "rise_edit") if how == "model" else None
    for group in teacher.by_task() if teacher else by_task(runs, tally, "rise_edit"):
        items = [
            item
            for attempt in group
            if attempt.right and rows != "samples"
            for item in _edits(attempt, teacher, tally, per_solution, changed)
        ]
        items += _samples(group) if rows != "edits" else []
        if not items:
            drop_kept(tally, "nothing to edit or to pair", len(group))
        yield from items


def equations(text: str) -> list[bool]:
    """Whether the equations between numbers in `text` hold, one after the other; those that can't be read are left
    out."""
    found: list[bool] = []
    for match in _MATHS.finditer(text):
        plain = match[0].replace("×", "*").replace("·", "*").replace("÷", "/")
        sides = [re.sub(r"(?<=\d),(?=\d{3}\b)", "", side).strip(" \t.,") for side in plain.split("=")]
        for left, right in zip(sides, sides[1:], strict=False):
            if _NUMBER.search(left) and _NUMBER.search(right):
                found.append(equivalent(left, right, "formula"))
    return found


def is_subtle(step: str, edited: str, changed: int = 3) -> bool:
    """Whether an edit of a right step has broken an equation, with few words changed."""
    before, after = equations(step), equations(edited)
    if not before or not all(before) or len(after) != len(before) or all(after):
        return False
    old, new = (re.findall(r"\w+|[^\w\s]", text) for text in (step, edited))
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for kind, a, b, c, d in blocks if kind != "equal") <= changed


def by_rule(step: str, *names: object) -> Iterator[tuple[str, str]]:
    """Edits of a step with their kinds, in an order that is the same every time."""
    draw = chance("rise_edit", step, *names)
    places: list[tuple[str, int, int, str]] = []
    for kind, pattern, made in _RULES:
        places += [(kind, match.start(), match.end(), made(match)) for match in pattern.finditer(step)]
    draw.shuffle(places)
    for kind, start, end, new in places:
        yield kind, step[:start] + new + step[end:]


def _other(match: "re.Match[str]") -> str:
    """A number near this one."""
    return str(int(match[0]) + 1) if match[0].isdigit() else match[0][:-1] + str((int(match[0][-1]) + 1) % 10)


_RULES: tuple[tuple[str, re.Pattern[str], Callable[["re.Match[str]"], str]], ...] = (
    ("number", _NUMBER, _other),
    ("swap", _TERMS, lambda match: match[3] + match[2] + match[1]),
    ("drop", _DROPPED, lambda _: ""),
)


def _edits(attempt: Attempt, teacher: Teacher | None, tally: Tally, most: int, changed: int) -> Iterator[Item]:
    text, kind = attempt.text, attempt.run.header.task.get("answer_type", "auto")
    steps = [(a, b) for a, b in lines_of(text) if extract(text[a:b], kind) is None and equations(text[a:b])]
    draw = chance("rise_edit", attempt.run.header.run_id)
    for start, end in sorted(draw.sample(steps, min(most, len(steps)))):
        step = text[start:end]
        made: list[tuple[str, str]]
        if teacher is None:
            made = list(by_rule(step, attempt.run.header.run_id))
        else:
            way = draw.choice(sorted(KINDS))
            asked = _EDIT.format(how=KINDS[way], question=question_of(attempt.run), step=step)
            reply = teacher.ask("edit", asked, attempt.run, answer_type="text")
            if isinstance(reply, Ask):
                yield reply
                continue
            made = [(way, reply.answer)] if reply.answer is not None else []
        good = next(((way, new) for way, new in made if is_subtle(step, new, changed)), None)
        if good is None:
            tally.counts["steps_without_a_subtle_error"] += 1
        else:
            yield _edited(attempt, start, end, *good)


def _edited(attempt: Attempt, start: int, end: int, way: str, new: str) -> Pair:
    chosen, rejected = attempt.text[:end], attempt.text[:start] + new
    same = next(
        (i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), min(len(chosen), len(rejected))
    )
    meta = {"edit": way, "differs": {"chosen": [same, len(chosen)], "rejected": [same, len(rejected)]}}
    sides = [Reply({"role": "assistant", "content": text}) for text in (chosen, rejected)]
    return Pair(attempt.prompt, sides[0], sides[1], "edit", (attempt.run.header.run_id,), meta, unfinished=True)


def _samples(group: list[Attempt]) -> Iterator[Pair]:
    """A right and a wrong sample of one prompt."""
    for right in [attempt for attempt in group if attempt.right][:1]:
        for wrong in [attempt for attempt in group if not attempt.right and attempt.prompt == right.prompt][:1]:
            ids = (right.run.header.run_id, wrong.run.header.run_id)
            yield Pair(right.prompt, right.reply, wrong.reply, "samples", ids)
