"""Finding the answer in what a model wrote.

Only an explicit answer counts: `\\boxed{…}`, `<answer>…</answer>`, or a line that begins with "Answer:". The last one
wins, and what stands inside `<think>…</think>` is a thought and not an answer. Where there is none the result is None:
a missing answer is never guessed from the prose around it. Only a last line that says nothing but "I don't know" is an
answer without such a mark. All of it runs in time linear in the text.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from maieutic.tasks.abstention import ABSTENTION, ends_in_abstention
from maieutic.tasks.task import AnswerType

_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_BRACES = re.compile(r"\\(?:boxed|fbox)[ \t]*\{|\\.|[{}]", re.DOTALL)
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_LINE = re.compile(
    r"(?:^|(?<=[.!?;]\s))[ \t>#*_-]{0,9}"
    r"(?:the[ \t]{1,3})?(?:(?:final|correct)[ \t]{1,3})?answer(?:[ \t]{1,3}is)?"
    r"[ \t]{0,3}(?:\*{1,2}|_{1,2})?[ \t]{0,3}[:：][ \t]{0,3}(?:\*{1,2}|_{1,2})?",
    re.IGNORECASE | re.MULTILINE,
)
_COLON = re.compile("[:：]")
_BEFORE, _BEHIND = 48, 6  # characters of a mark on either side of its colon, at most
_FENCE = re.compile(r"\A```[\w+-]*\n(.*?)\n?```", re.DOTALL)
_WRAPPERS = (("**", "**"), ("__", "__"), ("`", "`"), ("*", "*"))
_SINGLE_LINE: frozenset[AnswerType] = frozenset({"number", "choice", "boolean"})


class _Span(NamedTuple):
    start: int
    end: int
    content: str


def extract(text: str, answer_type: AnswerType = "auto") -> str | None:
    """The last explicit answer in `text`, stripped of white space and emphasis; None where there is none or it's empty.

    A reply without one whose last line is an abstention gives `ABSTENTION`.

    `answer_type` decides only how much belongs to an answer that begins on the line after "Answer:": one line for
    numbers, choices and booleans, a paragraph or fenced block for everything else.
    """
    text = without_thoughts(text)
    boxes = _boxes(text)
    tags = [tag for tag in _tags(text) if not _inside(tag.start, boxes)]
    lines = [
        line for line in _lines(text, answer_type) if not _inside(line.start, boxes) and not _inside(line.start, tags)
    ]
    spans = boxes + tags + lines
    if not spans:
        return ABSTENTION if ends_in_abstention(text) else None
    return _unwrap(max(spans).content) or None


def without_thoughts(text: str) -> str:
    """`text` without its `<think>` blocks.

    A closing tag without an opening one ends a thought that the prompt opened, so all before it goes; an opening tag
    without a closing one is a thought that was cut off, so all after it goes.
    """
    kept: list[str] = []
    depth = at = 0
    for tag in _THINK.finditer(text):
        if tag[1]:
            if depth == 0:
                kept.clear()
            depth = max(0, depth - 1)
        else:
            if depth == 0:
                kept.append(text[at : tag.start()])
            depth += 1
        at = tag.end()
    if depth == 0:
        kept.append(text[at:])
    return "".join(kept)


def _boxes(text: str) -> list[_Span]:
    """The outermost closed boxes."""
    if "box" not in text:
        return []
    opened: list[tuple[int, int] | None] = []
    boxes: list[_Span] = []
    for token in _BRACES.finditer(text):
        mark = token[0]
        if mark == "{":
            opened.append(None)
        elif mark == "}":
            box = opened.pop() if opened else None
            if box is not None:
                while boxes and boxes[-1].start > box[0]:
                    boxes.pop()
                boxes.append(_Span(box[0], token.end(), text[box[1] : token.start()]))
        elif mark.endswith("{") and len(mark) > 2:
            opened.append((token.start(), token.end()))
    return boxes


def _tags(text: str) -> list[_Span]:
    """`<answer>` blocks; of several opening tags before a closing one, the last opens the block."""
    tags: list[_Span] = []
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened = tag
        elif opened is not None:
            tags.append(_Span(opened.start(), tag.end(), text[opened.end() : tag.start()]))
            opened = None
    return tags


def _lines(text: str, answer_type: AnswerType) -> list[_Span]:
    matches = list(_marks(text))
    ends = [*(match.start() for match in matches[1:]), len(text)] if matches else []
    return [
        _Span(match.start(), end, _after(text[match.end() : end], answer_type))
        for match, end in zip(matches, ends, strict=True)
    ]


def _marks(text: str) -> Iterator[re.Match[str]]:
    """What `_LINE.finditer` finds, looked for where it can be alone: each mark has one colon and ends with it."""
    at = 0
    for colon in _COLON.finditer(text):
        start = max(at, colon.start() - _BEFORE)
        if "answer" not in text[start : colon.start()].casefold():
            continue
        if mark := _LINE.search(text, start, colon.end() + _BEHIND):
            at = mark.end()
            yield mark


def _after(rest: str, answer_type: AnswerType) -> str:
    """What belongs to the answer, of all that follows "Answer:"."""
    line, _, more = rest.partition("\n")
    if line.strip(" \t\r*_"):
        return line if answer_type in _SINGLE_LINE else _structure(rest.lstrip()) or line
    block = more.lstrip()
    if fence := _FENCE.match(block):
        return fence[1]
    paragraph = re.split(r"\n[ \t\r]*\n", block, maxsplit=1)[0]
    return paragraph.partition("\n")[0] if answer_type in _SINGLE_LINE else paragraph


def _structure(rest: str) -> str | None:
    """The fenced block or JSON value that begins here, which may go on over several lines."""
    if fence := _FENCE.match(rest):
        return fence[1]
    if rest[:1] not in ("{", "["):
        return None
    try:
        return rest[: json.JSONDecoder().raw_decode(rest)[1]]
    except (ValueError, RecursionError):
        return None


def _inside(start: int, spans: list[_Span]) -> bool:
    """Whether `start` lies in one of `spans`, which are disjoint and in order."""
    before = bisect_left(spans, start, key=lambda span: span.start) - 1
    return before >= 0 and start < spans[before].end


def _unwrap(content: str) -> str:
    """Without surrounding white space, emphasis and a fence."""
    content = content.strip()
    if fence := _FENCE.match(content):
        content = fence[1].strip()
    for opening, closing in _WRAPPERS:
        if content.startswith(opening) and content.endswith(closing) and len(content) >= len(opening + closing):
            content = content[len(opening) : -len(closing)].strip()
    # emphasis that was opened before the answer, as in "**Answer: 5**"
    return content.removesuffix("**").rstrip() if content.count("**") == 1 else content
