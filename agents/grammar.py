"""The `Grammar` noun: how a model calls a tool in the middle of a thought, and how it is told what came of it."""

import re
from dataclasses import dataclass
from typing import NamedTuple

_FENCED = re.compile(r"\A[ \t]*```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a thought between two marks. `opens` and `closes` are patterns; `stop` is the text at which a server
    ends its generation."""

    opens: str
    closes: str
    stop: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """One system's way of writing tool calls into a thought.

    The content of an `action` block is the `argument` of the tool `tool`. A `final` block holds the answer; without one
    it is read as in any reply. What the tool brings, and every message of ours, stands between `before` and `after`.
    `form` tells the model all that, in its prompt. `invalid` answers a turn that neither acts nor answers, `last` is
    said when no calls are left.
    """

    name: str
    tool: str
    argument: str
    action: Block
    before: str
    after: str
    form: str
    invalid: str
    last: str
    final: Block | None = None
    spoken: bool = True
    """Whether an answer may also be given as in any other reply."""

    @property
    def stop(self) -> tuple[str, ...]:
        """Where a generation ends while calls are left."""
        return (self.action.stop, self.final.stop) if self.final else (self.action.stop,)

    def observation(self, text: str) -> str:
        """`text` as it is put into the thought. An end mark within it can't end it."""
        mark = self.after.strip()
        text = text.strip().replace(mark, f"{mark[0]} {mark[1:]}") if mark else text.strip()
        return f"{self.before}{text}{self.after}"


class Found(NamedTuple):
    """A block in a text: where it begins, its content without a fence around it, and whether it is closed."""

    start: int
    content: str
    closed: bool


def first_block(block: Block, text: str) -> Found | None:
    """The first block in `text`; None where there is none. One that a stop string has ended is not closed."""
    opened = re.search(block.opens, text, re.MULTILINE)
    if opened is None:
        return None
    closed = re.compile(block.closes, re.MULTILINE).search(text, opened.end())
    content = text[opened.end() : closed.start() if closed else len(text)]
    return Found(opened.start(), _unfenced(content), closed is not None)


def _unfenced(content: str) -> str:
    """The content of a fence around the whole of it; else without empty lines around it, its indentation kept."""
    fenced = _FENCED.match(content.strip())
    return (fenced[1] if fenced else content).strip("\n").rstrip()


def tag(name: str) -> Block:
    """The block `<name>…</name>`."""
    return Block(f"<{name}>", f"</{name}>", f"</{name}>")


FENCE = Grammar(
    name="fence",
    tool="python",
    argument="code",
    action=Block(r"^[ \t]*```(?:python|py)[0-9]?[ \t]*\n", r"^[ \t]*```[ \t]*$", "\n```\n"),
    before="\nCode Execution Results:\n```output\n",
    after="\n```\n\n",
    form="At any point you may run Python: write a block that begins with a line ```python and ends with a line ```. "
    "It is run at once, and what it prints is put in behind it, under Code Execution Results. End with a line that "
    "holds only the result:\nAnswer: <the result>",
    invalid="[Nothing was run. A block that is to be run begins with a line ```python and ends with a line ```; a "
    "final result stands in a line that begins with Answer:]",
    last="[No code is run from here on. Finish in words, and end with a line that begins with Answer:]",
)
"""A fenced block runs, as in R1-Code-Interpreter (Chen et al. 2025, arXiv 2505.21668)."""

ARTIST = Grammar(
    name="artist",
    tool="python",
    argument="code",
    action=tag("python"),
    before="\n<output>\n",
    after="\n</output>\n",
    form="At any point you may run Python: write it between <python> and </python>. It is run at once, and what it "
    "prints is put in behind it, between <output> and </output>. Give the final result between <answer> and </answer>.",
    invalid="[Nothing was run. Code that is to be run stands between <python> and </python>; a final result stands "
    "between <answer> and </answer>.]",
    last="[No code is run from here on. Give the final result between <answer> and </answer>.]",
    final=tag("answer"),
)
"""Every step has its own pair of tags, as in ARTIST (Singh et al. 2025, arXiv 2505.01441)."""

SQL = Grammar(
    name="sql",
    tool="sql",
    argument="query",
    action=tag("intermediate_sql"),
    before="\n<result>\n",
    after="\n</result>\n",
    form="At any point you may question the database: write one query between <intermediate_sql> and "
    "</intermediate_sql>. It is run at once, and the names of its columns and its first rows, or its error, are put in "
    "behind it, between <result> and </result>. Give the query that answers the question between <final_sql> and "
    "</final_sql>.",
    invalid="[Nothing was run. A query that is to be run stands between <intermediate_sql> and </intermediate_sql>; "
    "the query that answers the question stands between <final_sql> and </final_sql>.]",
    last="[No query is run from here on. Give the query that answers the question between <final_sql> and "
    "</final_sql>.]",
    final=tag("final_sql"),
    spoken=False,
)
"""Queries within a thought, as in ReEx-SQL (Dai et al. 2025, arXiv 2505.12768)."""

CODE_GRAMMARS = {"fence": FENCE, "artist": ARTIST}
