"""Context policies: what a loop's next call is shown of what was said and found before.

`full` shows all of it. `memory` shows the task, one memory that the model writes anew in every turn, and the last
action with its result: a prompt that does not grow (MEM1, Zhou et al. 2025, arXiv 2506.15841).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from maieutic.context import Context, Utterance
from maieutic.errors import ModelError
from maieutic.tasks.answers import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

LONGEST = 4_000  # characters of a memory
RULES = f"""
In every reply, before you call a tool, write your memory anew; everything else that you have said and seen will be gone
in the next turn. It holds what you know so far with its page numbers, and a line for each sub-question, open or
answered, whose number never changes, in at most {LONGEST:,} characters:
<memory>
Q1 [open]: <a sub-question>
Q2 [answered]: <a sub-question>: <its answer> [<page>]
<what else is needed>
</memory>"""
_MEMORY = re.compile(r"<memory>(.*?)</memory>", re.DOTALL | re.IGNORECASE)
_QUESTION = re.compile(r"^\W{0,6}(Q\d+)\s*\[(open|answered)\].*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is carried from turn to turn; `call_id` is the call that wrote it last."""

    call_id: str
    text: str


def read_memory(text: str) -> str | None:
    """The last memory in a reply; None where there is none."""
    found = _MEMORY.findall(without_thoughts(text))
    return found[-1].strip() or None if found else None


def without_memory(text: str) -> str:
    """A reply without the memory it carries."""
    return _MEMORY.sub("", text)


def open_questions(memory: str) -> dict[str, str]:
    """The lines of the sub-questions that are open, by their number."""
    lines = {match[1].upper(): (match[2].lower(), match[0].strip()) for match in _QUESTION.finditer(memory)}
    return {number: line for number, (state, line) in lines.items() if state == "open"}


def lost(before: str, after: str) -> dict[str, str]:
    """The sub-questions that were open and are not mentioned any more."""
    present = {match[1].upper() for match in _QUESTION.finditer(after)}
    return {number: line for number, line in open_questions(before).items() if number not in present}


async def rewritten(ctx: Context, role: str, said: Utterance, before: Memory, sampling: Sampling) -> Memory:
    """The memory after the turn `said`.

    One that is missing, too long or lacks an open sub-question is asked for once more. Then, what is lost is put back
    by rule, what is too long is cut behind the sub-questions, and a missing one is the one before.
    """
    memory, call_id = read_memory(said.text), said.call_id
    wrong = _wrong(before.text, memory)
    if wrong:
        again = await _asked_again(ctx, role, said, wrong, sampling)
        if again is not None and (second := read_memory(again.text)) is not None:
            memory, call_id = second, again.call_id
        ctx.record("note", call_id=call_id, memory=wrong, mended=not _wrong(before.text, memory))
    if memory is None:
        return replace(before, call_id=said.call_id)
    put_back = lost(before.text, memory)
    return Memory(call_id, _fitted("\n".join([*put_back.values(), memory])))


def carried(
    base: Sequence[Message], said: Utterance, memory: Memory, results: Sequence[Message], left: int
) -> tuple[Message, ...]:
    """The next prompt: the task, the memory with the last action, its results and how many turns are left."""
    turn = said.messages[-1].copy()
    turn["content"] = f"<memory>\n{memory.text}\n</memory>"
    turn.pop("reasoning", None)
    *others, last = results
    content = last["content"]
    hint = f"[{left} turn{'s are' if left != 1 else ' is'} left.]"
    hinted = last.copy()
    if isinstance(content, list):
        hinted["content"] = [*content, {"type": "text", "text": hint}]
    else:
        hinted["content"] = f"{content}\n\n{hint}"
    return (*base, turn, *others, hinted)


def _wrong(before: str, memory: str | None) -> str | None:
    if memory is None:
        return "it has no memory"
    missing = lost(before, memory)
    if missing:
        return f"its memory leaves out {', '.join(missing)}"
    return f"its memory has more than {LONGEST:,} characters" if len(memory) > LONGEST else None


async def _asked_again(ctx: Context, role: str, said: Utterance, wrong: str, sampling: Sampling) -> Utterance | None:
    reply = without_thoughts(said.text).strip() or "(nothing but a tool call)"
    asked = (
        f"Your reply to this was:\n{reply}\n\nBut {wrong}. Write the whole memory again, with every sub-question in "
        "it, and nothing else:\n<memory>…</memory>"
    )
    messages: tuple[Message, ...] = (*said.request.messages, {"role": "user", "content": asked})
    try:
        return await ctx.sample(role, messages, sampling=sampling, parents=(Parent(said.call_id, "retry"),))
    except ModelError:
        return None


def _fitted(memory: str) -> str:
    """At most LONGEST characters, the lines of the sub-questions first where something has to go."""
    if len(memory) <= LONGEST:
        return memory
    lines = memory.splitlines()
    questions = [line for line in lines if _QUESTION.match(line)]
    others = [line for line in lines if not _QUESTION.match(line)]
    return "\n".join([*questions, *others])[:LONGEST].rstrip()
