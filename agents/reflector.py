"""The reflector: draws a lesson from an attempt that failed, in words, for the attempts to come.

After Shinn et al. 2023, "Reflexion: Language Agents with Verbal Reinforcement Learning", arXiv 2303.11366.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.agents.prompts import opening
from maieutic.agents.reply import ask
from maieutic.agents.speech import Solution
from maieutic.context import Context
from maieutic.tasks.extraction import without_thoughts
from maieutic.trace.record import Parent
from maieutic.types import Message, Sampling

_LESSON = re.compile(r"^[ \t>#*_-]*lesson[*_ \t]*:[*_ \t]*(\S.*(?:\n[^\n]*\S.*)*)", re.IGNORECASE | re.MULTILINE)
LONGEST = 150  # words of a lesson that are kept
FORM = "Lesson: <what to do differently, in at most 100 words>"


@dataclass(frozen=True, slots=True)
class Reflection:
    """What a reflector said. `lesson` is None where none could be read."""

    lesson: str | None
    call_id: str


@dataclass(frozen=True, slots=True)
class Reflector:
    """Reads an attempt with what the environment said of it, and says what to do differently."""

    role: str = "reflector"
    sampling: Sampling = Sampling()

    async def __call__(self, ctx: Context, attempt: Solution, feedback: str) -> Reflection:
        messages = opening(ctx, self.role, attempt=transcript(attempt), feedback=feedback)
        parents = (Parent(attempt.call_id, "reflection"),)
        reply = await ask(ctx, self.role, messages, read_lesson, FORM, sampling=self.sampling, parents=parents)
        return Reflection(reply.value, reply.call_id)


def read_lesson(text: str) -> str | None:
    """The last lesson in `text` on one line; None where there is none."""
    found = _LESSON.findall(without_thoughts(text))
    words = found[-1].split() if found else []
    return " ".join(words[:LONGEST]) or None


def first_line(text: str) -> str | None:
    """The first lesson in `text`, of one line; None where there is none."""
    found = _LESSON.search(without_thoughts(text))
    return " ".join(found.group(1).split("\n")[0].split()[:LONGEST]) if found else None


def transcript(attempt: Solution) -> str:
    """An attempt as a text: what its author wrote, which tools were called and what came back."""
    turns = _turns(attempt.messages)
    return "\n\n".join(part for message in turns for part in _shown(message)) or attempt.text.strip()


def _turns(messages: Sequence[Message]) -> Sequence[Message]:
    """What follows the last question."""
    asked = [i for i, message in enumerate(messages) if message["role"] == "user"]
    return messages[asked[-1] + 1 :] if asked else messages


def _shown(message: Message) -> list[str]:
    content = message["content"]
    text = content.strip() if isinstance(content, str) else ""
    if message["role"] == "tool":
        return [f"[Result of {message.get('name', 'the tool')}]\n{text}"]
    calls = [call["function"] for call in message.get("tool_calls", [])]
    return [*([text] if text else []), *(f"[Call of {call['name']}]\n{call['arguments']}" for call in calls)]
