"""Lessons: what was learnt from attempts that went wrong, found again where something like it is asked.

Verbal reflections kept in memory: Shinn et al. 2023, "Reflexion: Language Agents with Verbal Reinforcement Learning",
arXiv 2303.11366. Found again by the likeness of what they are about, k = 2 and at least 0.25: Yu et al. 2024, "ExACT:
Teaching AI Agents to Explore with Reflective-MCTS and Exploratory Learning", arXiv 2410.02052.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from maieutic.memory.journal import Journal
from maieutic.memory.similarity import Shelf
from maieutic.tools.retrieval.embedder import Embedder
from maieutic.tools.retrieval.hashed import Hashed
from maieutic.types import Message

K, THRESHOLD = 2, 0.25


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson, what it is about (a question, a state), and the call and the run that drew it, empty if unknown."""

    text: str
    about: str
    call_id: str
    run_id: str = ""


class Lessons:
    """Lessons in the JSONL file at `path`, which other processes may add to at the same time, or only in memory.

    Recalls the `k` lessons that are likest to what is asked, if they are at least `threshold` like it (a cosine). The
    same words are not recalled twice. Raises UserError where the file can't be read or written.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        k: int = K,
        threshold: float = THRESHOLD,
        embedder: Embedder | None = None,
    ) -> None:
        self.k, self.threshold = k, threshold
        self._journal = Journal(path)
        self._shelf = Shelf(self._journal, "about", embedder or Hashed())

    @property
    def damaged(self) -> int:
        """Lines of the file that could not be read."""
        return self._journal.damaged

    def __len__(self) -> int:
        return len(self._journal.entries())

    def add(self, lesson: Lesson) -> None:
        """Keep a lesson; it is on disk when this returns."""
        entry = {"text": lesson.text, "about": lesson.about, "call": lesson.call_id, "run": lesson.run_id}
        self._shelf.append([entry])

    def like(self, about: str) -> list[tuple[Lesson, float]]:
        """The lessons that are worth having before `about` is answered, the likest first, and how like it they are."""
        found: dict[str, tuple[Lesson, float]] = {}
        for entry, likeness in self._shelf.nearest(about, self.threshold):
            text = str(entry.get("text") or "")
            if text and text not in found:
                lesson = Lesson(text, entry["about"], str(entry.get("call", "")), str(entry.get("run", "")))
                found[text] = (lesson, likeness)
            if len(found) == self.k:
                break
        return list(found.values())

    async def recall(self, about: str) -> tuple[Message, ...]:
        """The lessons about something like `about` as one message; empty where there are none."""
        found = await asyncio.to_thread(self.like, about)
        return ({"role": "user", "content": listed([lesson.text for lesson, _ in found])},) if found else ()

    async def remember(self, messages: tuple[Message, ...]) -> None:
        """Take in what was said: the last message is the lesson, the first one what it is about."""
        texts = [str(message["content"]).strip() for message in messages if message["content"]]
        if len(texts) >= 2:
            await asyncio.to_thread(self.add, Lesson(texts[-1], texts[0], ""))


def listed(texts: list[str]) -> str:
    """Lessons as they are shown to a model: a line each."""
    return "\n".join(f"- {' '.join(text.split())}" for text in texts)
