"""Markdown that streams in: the blocks are the same however the text is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.terminal.markdown import BlockStream, readable

REPLY = """First we add:
3 + 4 = 7

## Then

1. one

   still one
2. two
```python
a = 1

b = 2
```
The end.

Answer: 7"""

BLOCKS = [
    "First we add:\n3 + 4 = 7",
    "## Then",
    "1. one\n\n   still one\n2. two",
    "```python\na = 1\n\nb = 2\n```",
    "The end.",
    "Answer: 7",
]


def blocks_of(pieces: list[str]) -> list[str]:
    stream = BlockStream()
    return [block for piece in pieces for block in stream.feed(piece)] + stream.finish()


@given(st.lists(st.integers(0, len(REPLY)), max_size=30))
def test_the_blocks_do_not_depend_on_the_pieces(cuts: list[int]) -> None:
    marks = [0, *sorted(cuts), len(REPLY)]
    assert blocks_of([REPLY[a:b] for a, b in zip(marks, marks[1:], strict=False)]) == BLOCKS


@given(st.text(alphabet="ab`~ \n#*-", max_size=60), st.integers(1, 5))
def test_nothing_but_blank_space_is_lost(text: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert "".join("".join(blocks_of(pieces)).split()) == "".join(text.split())


def test_a_finished_block_is_given_out_before_the_end() -> None:
    stream = BlockStream()
    assert stream.feed("one\n\n") == []
    assert stream.feed("t") == ["one"]
    assert stream.open_block(10) == "t"
    assert stream.finish() == ["t"]
    assert stream.finish() == []


def test_of_a_long_open_block_the_end_is_drawn_with_its_fence() -> None:
    stream = BlockStream()
    stream.feed("```python\n" + "".join(f"x{i}\n" for i in range(50)) + "last")
    assert stream.open_block(3) == "```python\nx48\nx49\nlast"


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        ("3 + 4 = 7\n7 + 5 = 12", "3 + 4 = 7  \n7 + 5 = 12"),
        ("2*3*4 = 24", r"2\*3\*4 = 24"),
        ("(a)*(b)", r"(a)\*(b)"),
        ("*really* and **so**", "*really* and **so**"),
        ("`a*b*c` is a*b", r"`a*b*c` is a\*b"),
        ("<answer>7</answer>", r"\<answer>7\</answer>"),
        ("3 < 4", "3 < 4"),
        ("  ```\n  a*b*c\n  ```", "```\na*b*c\n```"),
    ],
)
def test_what_a_model_meant_is_kept(block: str, shown: str) -> None:
    assert readable(block) == shown
