"""Reading what a person types: history on the arrow keys, completion of commands and names."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

PROMPT = "you> "

Reader = Callable[[], Awaitable[str]]
"""Waits for the next line; raises EOFError at the end and KeyboardInterrupt on Ctrl-C."""


class CommandCompleter(Completer):
    """Completes with what `words` gives for the text before the cursor."""

    def __init__(self, words: Callable[[str], Iterable[str]]) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        start = -len(text.rsplit(" ", 1)[-1])
        for word in self._words(text):
            yield Completion(word, start_position=start)


def open_prompt(history: Path, words: Callable[[str], Iterable[str]]) -> Reader:
    """A reader for the terminal at hand; where stdin is no terminal, one that reads its lines."""
    return open_terminal_prompt(history, words) if sys.stdin.isatty() else _read_line


def open_terminal_prompt(history: Path, words: Callable[[str], Iterable[str]]) -> Reader:
    """A prompt that keeps its history in `history` and completes with what `words` gives for the text so far."""
    session: PromptSession[str] = PromptSession(
        history=_open_history(history),
        completer=CommandCompleter(words),
        complete_in_thread=True,
        complete_while_typing=False,
    )

    async def read() -> str:
        return str(await session.prompt_async(PROMPT))

    return read


async def _read_line() -> str:
    line: str = await asyncio.to_thread(sys.stdin.readline)
    if not line:
        raise EOFError
    return line


def _open_history(path: Path) -> History:
    """The history in `path`; one that lasts as long as the program where it can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
