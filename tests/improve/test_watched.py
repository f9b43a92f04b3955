"""A training ends with the process that started it."""

import subprocess
import sys

FOREVER = ("timeit", "-n", "1", "-r", "1", "print('begun', flush=True)", "__import__('time').sleep(600)")


def test_it_ends_when_its_starter_is_gone() -> None:
    command = [sys.executable, "-m", "maieutic.improve.watched", *FOREVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"begun\n"
        process.stdin.close()
        assert process.wait(timeout=30) == 1


def test_it_runs_the_module_with_its_arguments_and_ends_as_it_ends() -> None:
    command = [sys.executable, "-m", "maieutic.improve.watched", "calendar", "2026", "11"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "November 2026" in process.stdout.read()
        assert process.wait(timeout=30) == 0
