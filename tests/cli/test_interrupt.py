"""Ctrl-C in real processes: the best answer so far, and a way out when that takes too long."""

import json
import os
import signal
import subprocess
import sys

import pexpect

from tests.support import slow_graph


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "maieutic", "ask", "What?", "--model", "yes", "--graph", str(slow_graph.PATH)]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("solver:"):
            return process
    raise AssertionError("the run did not start")


def test_ctrl_c_prints_the_best_answer_so_far() -> None:
    process = start("--json")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    said = json.loads(out)
    assert (process.returncode, said["answer"], said["partial"]) == (130, "41", True)
    assert "partial: Interrupted. This is the best answer so far." in err


def test_on_a_terminal_the_cursor_and_the_keys_come_back() -> None:
    command = ["-m", "maieutic", "ask", "What?", "--model", "yes", "--graph", str(slow_graph.PATH)]
    child = pexpect.spawn(
        sys.executable, command, env={**os.environ, "TERM": "xterm"}, dimensions=(24, 80), encoding="utf-8", timeout=60
    )
    child.expect("Answer: 42")
    assert not child.getecho()
    child.sendintr()
    child.expect("best answer so far")
    assert child.getecho()
    child.expect("41")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
