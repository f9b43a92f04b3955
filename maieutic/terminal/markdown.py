"""Markdown as it streams in: finished blocks are given out once, only the open one is drawn again.

Drawing everything again at each piece is quadratic in the length of a reply.
"""

import re
import textwrap

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)")
_LITERAL = re.compile(r"(`+[^`]*`+)|(<)(?=[A-Za-z/!?])|(?<=[\w)])(\*)(?=[\w(])")


class BlockStream:
    """Cuts a text that arrives in pieces into blocks: fenced code, or what stands between blank lines.

    Lines after a blank one that are indented belong to the block before (a list item's second paragraph).
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._partial = ""
        self._fence = ""

    def feed(self, text: str) -> list[str]:
        """Take a piece; returns the blocks that it finished."""
        *whole, self._partial = (self._partial + text).split("\n")
        finished: list[str] = []
        for line in whole:
            finished += self._take(line)
        if self._starts_anew(self._partial):
            finished += self._close()
        return finished

    def finish(self) -> list[str]:
        """The rest, as blocks; the stream is empty afterwards."""
        finished = self.feed("\n") if self._partial else []
        return finished + self._close()

    def open_block(self, height: int) -> str:
        """The end of the unfinished block, `height` lines of it, as a block of its own."""
        lines = [*self._lines, self._partial]
        tail = lines[-height:]
        if self._fence and len(lines) > height:
            tail = [lines[0], *tail]
        return "\n".join(tail)

    def _take(self, line: str) -> list[str]:
        if self._fence:
            self._lines.append(line)
            return self._close() if line.strip().startswith(self._fence) and not line.strip(" \t`~") else []
        opening = _FENCE.match(line)
        if opening and not (opening[1][0] == "`" and "`" in opening[2]):
            finished = self._close()
            self._fence = opening[1]
            self._lines.append(line)
            return finished
        finished = self._close() if self._starts_anew(line) else []
        if line.strip() or self._lines:
            self._lines.append(line)
        return finished

    def _starts_anew(self, line: str) -> bool:
        if self._fence or not self._lines or not line.strip():
            return False
        return not self._lines[-1].strip() and not line[0].isspace()

    def _close(self) -> list[str]:
        block = "\n".join(self._lines).rstrip()
        self._lines, self._fence = [], ""
        return [block] if block else []


def readable(block: str) -> str:
    """A block as Markdown that shows what a model meant: its line ends, tags and products are kept."""
    if _FENCE.match(block):
        return textwrap.dedent(block)
    return _LITERAL.sub(lambda m: m[1] or rf"\{m[0]}", block).replace("\n", "  \n")
