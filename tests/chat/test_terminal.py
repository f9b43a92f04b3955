"""A chat at a real terminal, as a person meets it."""

import os
import sys
import time
from collections.abc import Iterator

import pexpect
import pytest

from tests.support import slow_graph

PROMPT = "you>"


@pytest.fixture
def chat() -> "Iterator[pexpect.spawn[str]]":
    env = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "maieutic", "chat", "--model", "yes"],
        env=env,
        dimensions=(40, 120),
        encoding="utf-8",
        timeout=60,
    )
    yield child
    child.close(force=True)


def test_a_conversation(chat: "pexpect.spawn[str]") -> None:
    chat.expect(PROMPT)
    chat.send("What is six times seven?\r")
    chat.expect("Answer: 42")
    chat.expect(PROMPT)
    chat.send(f"/graph {slow_graph.PATH}\r")
    chat.expect("graph: ")
    chat.expect(PROMPT)
    chat.send("And now?\r")
    chat.expect("Answer: 42")
    time.sleep(0.2)
    chat.sendintr()
    chat.expect("partial: Interrupted. This is the best answer so far.")
    chat.expect(PROMPT)
    chat.send("/graph nope\r")
    chat.expect("There is no graph named 'nope'")
    chat.expect(PROMPT)
    chat.sendintr()
    chat.expect("Ctrl-D leaves")
    chat.expect(PROMPT)
    chat.send("\x1b[A\r")  # the last line again
    chat.expect("There is no graph named 'nope'")
    chat.expect(PROMPT)
    chat.sendeof()
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0
