"""The loop of a conversation: read a line, answer it or do what it commands, go on whatever went wrong."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from maieutic.chat.commands import complete, run_command
from maieutic.chat.conversation import Conversation
from maieutic.chat.prompt import Reader, open_prompt
from maieutic.errors import MaieuticError
from maieutic.settings import load_settings, state_dir
from maieutic.terminal.interrupt import on_interrupt
from maieutic.terminal.live import CODE_THEME, LiveView
from maieutic.terminal.markdown import readable
from maieutic.terminal.options import RunOptions
from maieutic.terminal.plain import PlainView
from maieutic.terminal.watch import View
from maieutic.terminal.wording import printable


async def chat(options: RunOptions) -> None:
    """Talk until the end of the input. Raises UserError for settings that can't be read."""
    conversation = Conversation(options, load_settings())
    reader = open_prompt(state_dir() / "chat_history", lambda text: complete(text, conversation))
    await Chat(conversation, Console(), reader).run()


class Chat:
    """A conversation on a console, its lines read by `reader`."""

    def __init__(self, conversation: Conversation, console: Console, reader: Reader) -> None:
        self._conversation = conversation
        self._console = console
        self._read = reader

    async def run(self) -> None:
        """Until the reader raises EOFError, or /quit."""
        conversation = self._conversation
        self._tell(f"{conversation.graph} · {conversation.model} — /help lists the commands, Ctrl-D leaves.")
        conversation.prewarm()
        try:
            while True:
                await self._step()
        except EOFError:
            pass
        finally:
            await conversation.close()

    async def _step(self) -> None:
        try:
            line = (await self._read()).strip()
        except KeyboardInterrupt:
            self._tell("Ctrl-D leaves.")
            return
        if not line:
            return
        try:
            await self._guard(self._command(line) if line.startswith("/") else self._answer(line))
        except EOFError:
            raise
        except MaieuticError as error:
            self._complain(" ".join(str(error).split()))
        except Exception as error:  # an own graph or tool may raise anything
            if os.environ.get("MAIEUTIC_DEBUG"):
                raise
            self._complain(f"{type(error).__name__}: {error} (start with MAIEUTIC_DEBUG=1 to see where).")
        self._console.print()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`; Ctrl-C ends the answer under way, or else the work itself, and never the program."""
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()
        with on_interrupt(
            lambda: self._conversation.stop() or task.cancel(), lambda: loop.call_soon_threadsafe(task.cancel)
        ):
            await asyncio.wait({task})
        if task.cancelled():
            self._tell("Stopped.")
        else:
            task.result()

    async def _command(self, line: str) -> None:
        self._tell(await run_command(line, self._conversation))

    async def _answer(self, question: str) -> None:
        view = self._view()
        result = await self._conversation.ask(question, view)
        if result.text and not view.showed(result.text):
            self._console.print()
            if self._console.is_terminal:
                self._console.print(Markdown(readable(printable(result.text)), code_theme=CODE_THEME))
            else:
                self._console.print(result.text, markup=False, highlight=False, soft_wrap=True)

    def _view(self) -> View:
        if self._console.is_terminal:
            return LiveView(self._console)
        return PlainView(lambda line: self._console.print(line, markup=False, highlight=False, soft_wrap=True))

    def _complain(self, sentence: str) -> None:
        self._console.print(Text(sentence, "red"), soft_wrap=True)

    def _tell(self, text: str) -> None:
        self._console.print(Text(text, "dim"), soft_wrap=True)
