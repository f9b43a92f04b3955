"""Branches side by side, a line each: who works on what, who is done, and how the vote stands."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from maieutic.events import Event
from maieutic.terminal import wording

State = Literal["works", "done", "stopped", "failed"]
_MARKS = {"done": ("✓", "green"), "stopped": ("–", "dim"), "failed": ("✗", "red")}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TAIL = 400
_KEPT = 16


@dataclass
class Row:
    """One branch: its newest words, and how it stands."""

    role: str = ""
    state: State = "works"
    words: str = ""
    reply: str = ""
    """The words of the call under way; a new call begins with none."""

    def hear(self, text: str) -> None:
        self.reply = (self.reply + text)[-_TAIL:]
        self.words = _last_line(self.reply) or self.words


@dataclass
class Board:
    """The branches of one node of the graph, in the order in which they began."""

    node: str
    rows: dict[str, Row] = field(default_factory=dict)
    vote: Mapping[str, Any] | None = None

    def handle(self, event: Event) -> None:
        row = self.rows.setdefault(event.branch, Row())
        row.role = event.role or row.role
        match event.kind:
            case "call_started":
                row.state, row.reply = "works", ""
            case "delta":
                row.hear(wording.printable(event.data["text"] or event.data["reasoning"]))
            case "call_finished":
                _finish(row, event.data)
            case "tool_started":
                source, _ = wording.call_of(event.data["tool"], event.data["arguments"])
                row.state, row.words = "works", f"{event.data['tool']}: {_last_line(source)}"
            case "tool_finished":
                row.words = f"{event.data['tool']} -> {_last_line(wording.printable(event.data['content']))}"
            case "verdict":
                row.words = wording.verdict(event.data)
            case "branch_failed":
                row.state, row.words = "failed", event.data["error"]

    def draw(self, height: int) -> Group:
        """As it stands now, in at most `height` lines: those at work first."""
        wanted = max(1, height - 2)
        ranked = sorted(self.rows, key=lambda name: self.rows[name].state != "works")
        chosen = set(islice(ranked, wanted))
        return self._table([name for name in self.rows if name in chosen])

    def summary(self) -> Group:
        """What is left to read when all is done."""
        return self._table(list(self.rows)[:_KEPT])

    def _table(self, names: list[str]) -> Group:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True, style="cyan")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for name in names:
            row = self.rows[name]
            mark, style = _MARKS.get(row.state) or (_SPINNER[int(time.monotonic() * 10) % len(_SPINNER)], "cyan")
            table.add_row(Text(mark, style), Text(name), Text(row.words, "dim" if row.state == "stopped" else ""))
        parts: list[Table | Text] = [table]
        if hidden := len(self.rows) - len(names):
            parts.append(Text(f"  … and {hidden} more, {self._count('done')} of {len(self.rows)} done", "dim"))
        if self.vote is not None:
            parts.append(Text.assemble(("  votes ", "bold"), wording.votes(self.vote)))
        return Group(*parts)

    def _count(self, state: State) -> int:
        return sum(row.state == state for row in self.rows.values())


def _finish(row: Row, data: Mapping[str, Any]) -> None:
    if data["error"] == "":
        row.state = "stopped"
        row.words = row.words or "no longer needed"
    elif data["error"] is not None:
        row.state, row.words = "failed", data["error"]
    else:
        row.state = "done"
        row.words = _last_line(wording.printable(data["text"])) or row.words


def _last_line(text: str) -> str:
    return text.rstrip().rsplit("\n", 1)[-1].strip()
