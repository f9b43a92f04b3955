"""At a real terminal a person is asked about a tool call, and the run goes on with the word."""

import os
import sys

import pexpect
import pytest

QUESTION = "State the final answer to the following arithmetic problem: 4 + 3 - 5 ="


@pytest.mark.parametrize(("typed", "seen", "code"), [("y", "-> 2|2", 0), ("l", "waiting for approval", 3)])
def test_a_call_waits_for_the_word_of_who_sits_there(typed: str, seen: str, code: int) -> None:
    command = ["-m", "maieutic", "ask", QUESTION, "--model", "in-box", "--tool", "python", "--approve", "python"]
    child = pexpect.spawn(
        sys.executable,
        [*command, "--seed", "1"],
        env={**os.environ, "TERM": "xterm"},
        dimensions=(40, 100),
        encoding="utf-8",
        timeout=120,
    )
    child.expect("python waits for your approval")
    child.expect("allow")
    child.send(f"{typed}\r")
    child.expect(seen)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code
    assert "Traceback" not in str(child.before)
