"""Asking a person at the terminal whether a tool call may be made."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from maieutic.terminal import wording

if TYPE_CHECKING:
    from maieutic.terminal.watch import View
    from maieutic.tools.approval import Answer, Pending

CHOICES = "allow? [y]es, [n]o or n REASON, [a]ll calls of this tool, [e]dit, [l]ater > "

Read = Callable[[str, str], Awaitable[str]]
"""Shows a prompt and waits for a line, which begins with the second text; EOFError or KeyboardInterrupt at its end."""


class TerminalApprover:
    """Asks about one call after the other. `view` gives the terminal away meanwhile, where one is shown.

    "Later", the end of input and Ctrl-C leave the call undecided: the run then ends, to be resumed.
    """

    def __init__(self, read: Read, write: Callable[[str], None], view: "View | None" = None) -> None:
        self.view = view
        self._read = read
        self._write = write
        self._one = asyncio.Lock()
        self._allowed: set[str] = set()

    async def __call__(self, pending: "Pending") -> "Answer":
        from maieutic.tools.approval import Decision

        async with self._one:
            if pending.tool in self._allowed:
                return Decision(True, by="terminal")
            for _ in range(3):  # what has happened before the call is shown first
                await asyncio.sleep(0)
            if self.view is None:
                return await self._ask(pending)
            with self.view.aside():
                return await self._ask(pending)

    async def _ask(self, pending: "Pending") -> "Answer":
        from maieutic.tools.approval import Decision

        self._write(f"\n{pending.tool} waits for your approval:")
        self._write(wording.call_of(pending.tool, pending.arguments)[0])
        try:
            while True:
                word, _, reason = (await self._read(CHOICES, "")).strip().partition(" ")
                match word.lower():
                    case "y" | "yes":
                        return Decision(True, by="terminal")
                    case "n" | "no":
                        return Decision(False, reason=reason, by="terminal")
                    case "a" | "all":
                        self._allowed.add(pending.tool)
                        return Decision(True, by="terminal")
                    case "e" | "edit":
                        edited = await self._read("arguments> ", pending.arguments)
                        return Decision(True, arguments=edited, by="terminal")
                    case "l" | "later":
                        return None
        except (EOFError, KeyboardInterrupt):
            return None


def terminal_approver(view: "View | None" = None) -> TerminalApprover | None:
    """An approver for the terminal at hand; None where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return TerminalApprover(_prompt, lambda line: print(line, file=sys.stderr, flush=True), view)


async def _prompt(message: str, default: str) -> str:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import create_output

    session: PromptSession[Any] = PromptSession(output=create_output(stdout=sys.stderr))
    return str(await session.prompt_async(message, default=default))
