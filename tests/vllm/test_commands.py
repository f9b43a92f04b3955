"""The commands with a real server, as a user types them; every start here that fails, fails in vLLM itself."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.lora import write_lora
from tests.vllm.conftest import Home, Server

QUESTION = "State the final answer to the following arithmetic problem: 4 + 3 - 5 ="
GREEDY = ("--temperature", "0")
WITHIN = 300.0


def session_of(pid: int) -> list[int]:
    """The processes that run in the session of this process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if session == str(pid) and state != "Z":
                    found.append(int(entry.name))
    return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def assert_nothing_is_left(home: Home) -> None:
    assert json.loads(home.maieutic("model", "status", "--json").out) == []
    assert list((home.path / "models").glob("*")) == []
    mine = [p for p in Path("/proc").iterdir() if p.name.isdigit() and belongs(p, home)]
    assert mine == []


def belongs(process: Path, home: Home) -> bool:
    try:
        return f"MAIEUTIC_HOME={home.path}" in (process / "environ").read_text().split("\0")
    except OSError:
        return False


def test_the_server_outlives_the_command_that_started_it(vllm_server: Server) -> None:
    maieutic = vllm_server.home.maieutic
    (status,) = json.loads(maieutic("model", "status", "--json").out)
    assert (status["state"], status["cpu"], status["running"]) == ("up", True, 0)
    assert os.getsid(status["pid"]) == status["pid"] and len(session_of(status["pid"])) >= 3
    answer = json.loads(maieutic("ask", QUESTION, "--model", vllm_server.profile, "--json", *GREEDY).out)
    assert answer["answer"] == "2"
    again = maieutic("model", "up", "in-box", "--cpu")
    assert (again.code, f"{vllm_server.profile} is up already" in again.out) == (0, True)
    assert "Application startup complete" in maieutic("model", "logs", vllm_server.profile, "-n", "500").out
    assert f"{vllm_server.profile}  up for" in maieutic("model", "status").out


def test_a_server_that_was_killed_is_seen_and_cleared_away(home: Home, tmp_path: Path) -> None:
    lora = write_lora(tmp_path / "lora", seed=4)
    up = home.maieutic("model", "up", "in-box", "--cpu", "--name", "mine", "--lora", f"t-v1={lora}", "--json")
    assert up.code == 0, up.err
    pid = json.loads(up.out)["pid"]
    assert json.loads(home.maieutic("model", "status", "mine", "--json").out)[0]["adapters"] == ["t-v1"]
    assert home.maieutic("ask", QUESTION, "--model", "t-v1", "--json", "--max-tokens", "20").out.startswith("{")
    os.kill(pid, signal.SIGKILL)
    assert json.loads(home.maieutic("model", "status", "mine", "--json").out)[0]["state"] == "gone"
    assert "mine is down" in home.maieutic("model", "down", "mine").out
    assert session_of(pid) == []
    assert_nothing_is_left(home)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max-model-len", "999999"], "the model's context is 1024 tokens, shorter than 999999"),
        (["--", "--no-such-flag"], "this vLLM knows no flag --no-such-flag"),
        (["--", "--kv-cache-memory-bytes", "90000000000000"], "out of memory"),
    ],
    ids=["context", "flag", "memory"],
)
def test_a_start_that_vllm_refuses(home: Home, flags: list[str], said: str) -> None:
    ended = home.maieutic("model", "up", "in-box", "--cpu", "--name", "mine", *flags)
    assert (ended.code, ended.out) == (2, "")
    last = ended.err.splitlines()[-1]
    assert last.startswith("maieutic: The server mine did not start: ") and said in last, ended.err
    assert len(ended.err.splitlines()) > 3, "and vLLM's own last words before it"
    assert_nothing_is_left(home)


def test_a_start_that_takes_too_long(home: Home) -> None:
    ended = home.maieutic("model", "up", "in-box", "--cpu", "--name", "mine", "--timeout", "2")
    assert (ended.code, "was not up in time" in ended.err) == (2, True)
    assert_nothing_is_left(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_interrupted(home: Home, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "maieutic", "model", "up", "in-box", "--cpu", "--name", "mine"]
    log = home.path / "servers" / "mine" / "server.log"
    with subprocess.Popen(command, env=home.environment(), stderr=subprocess.PIPE, text=True) as started:
        end = time.monotonic() + WITHIN
        while not (log.exists() and "non-default args" in log.read_text()):
            assert started.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        started.send_signal(number)
        _, err = started.communicate(timeout=WITHIN)
    assert (started.returncode, "Interrupted" in err) == (130, True)
    assert_nothing_is_left(home)


def test_what_is_refused_before_anything_starts(home: Home, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = home.maieutic("model", "up", "in-box", "--cpu", "--port", str(taken.getsockname()[1]))
    assert (refused.code, "give another --port" in refused.err) == (2, True)
    (tmp_path / "empty").mkdir()
    for wanted, said in (("nonesuch", "There is no model"), (str(tmp_path / "empty"), "holds no config.json")):
        refused = home.maieutic("model", "up", wanted)
        assert (refused.code, said in refused.err) == (2, True)
    without = Home(home.path, {"MAIEUTIC_VLLM": str(tmp_path / "none")})
    refused = without.maieutic("model", "up", "in-box", "--cpu")
    assert (refused.code, "can't be run" in refused.err) == (2, True)
    assert_nothing_is_left(home)
