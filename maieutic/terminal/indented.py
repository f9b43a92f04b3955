"""Something drawn a little to the right, without the blank lines and spaces that would be copied along with it."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

INDENT = 2


@dataclass(frozen=True, slots=True)
class Indented:
    """`what`, indented; blank lines around it and spaces at the ends of its lines are left out."""

    what: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        narrower = options.update(width=max(1, options.max_width - INDENT))
        lines = [_trimmed(line) for line in console.render_lines(self.what, narrower, pad=False)]
        first = next((i for i, line in enumerate(lines) if line), len(lines))
        last = len(lines) - next((i for i, line in enumerate(reversed(lines)) if line), 0)
        for line in lines[first:last]:
            if line:
                yield Segment(" " * INDENT)
                yield from line
            yield Segment.line()


def _trimmed(line: list[Segment]) -> list[Segment]:
    while line and not line[-1].text.strip():
        line = line[:-1]
    return [*line[:-1], line[-1]._replace(text=line[-1].text.rstrip())] if line else line
