"""`maieutic model` at the command line, on a stand-in for vLLM."""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import pexpect
import pytest

from maieutic.cli import main
from tests.serving.conftest import Stage

WITHIN = 60.0


@pytest.fixture
def maieutic(stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """The command in this process, with the stage's environment; returns (code, stdout, stderr)."""
    for name in ("MAIEUTIC_HOME", "MAIEUTIC_VLLM", "STAGE"):
        monkeypatch.setenv(name, stage.env[name])
    monkeypatch.delenv("VLLM_API_KEY", raising=False)

    def run(*arguments: str) -> tuple[object, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["model", *arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def test_from_up_to_down(maieutic, stage: Stage) -> None:  # type: ignore[no-untyped-def]
    code, out, err = maieutic("up", "in-box", "--cpu")
    assert code == 0 and out.startswith("in-box-vllm is up after ") and "--model in-box-vllm" in out
    assert "importing" in err and "sampling a first token" in err
    assert maieutic("up", "in-box")[1].startswith("in-box-vllm is up already")
    _, out, _ = maieutic("status", "--json")
    (status,) = json.loads(out)
    assert (status["state"], status["running"], status["waiting"]) == ("up", 2, 1)
    assert status["prefix_hit_rate"] == 0.25 and status["tokens_per_second"] > 0
    assert "2 running, 1 waiting" in maieutic("status", "in-box-vllm")[1]
    assert (
        maieutic("logs", "in-box-vllm", "-n", "1")[1]
        == "(APIServer pid=1) INFO Starting vLLM server on http://127.0.0.1\n"
    )
    assert maieutic("down", "in-box-vllm")[:2] == (0, "in-box-vllm is down.\n")
    assert stage.processes() == []
    assert maieutic("status")[1].startswith("No server is up")
    assert "Starting vLLM server" in maieutic("logs", "in-box-vllm")[1], "the log of one that has ended"


def test_up_for_programs(maieutic) -> None:  # type: ignore[no-untyped-def]
    code, out, err = maieutic("up", "in-box", "--cpu", "--name", "mine", "--json", "--quiet")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["name"] == "mine" and said["url"].startswith("http://127.0.0.1:") and said["weights"]


def test_a_failed_start_shows_the_servers_last_lines_and_one_sentence(maieutic, stage: Stage) -> None:  # type: ignore[no-untyped-def]
    code, out, err = maieutic("up", "in-box", "--cpu", "--quiet", "--", "--fake", "oom")
    assert (code, out) == (2, "")
    *lines, last = err.splitlines()
    assert any("torch.OutOfMemoryError" in line for line in lines), "also before a long traceback"
    assert not any("line 1, in start" in line or "Traceback" in line for line in lines)
    assert last.startswith("maieutic: The server in-box-vllm did not start: it ran out of memory")
    assert stage.processes() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "nonesuch"], "There is no model 'nonesuch'"),
        (["up", "in-box", "other"], "'other' is one too many"),
        (["up", "in-box", "--lora", "fine-v1"], "NAME-vN=PATH"),
        (["up", "in-box", "--cpu", "--", "--port", "1"], "Give --port before"),
        (["down"], "Name one server, or give --all"),
        (["down", "x"], "There is no server 'x', nor any other"),
        (["logs", "x"], "There is no server 'x'"),
        (["status", "x"], "There is no server 'x'"),
        (["adapter", "load", "x-v1", "."], "No server that takes adapters is up"),
    ],
)
def test_mistakes(maieutic, arguments: list[str], said: str) -> None:  # type: ignore[no-untyped-def]
    code, out, err = maieutic(*arguments)
    assert (code, out) == (2, "") and said in err


@pytest.mark.slow
def test_a_server_that_died_is_told_from_one_that_is_silent(maieutic, stage: Stage) -> None:  # type: ignore[no-untyped-def]
    stage.up(name="dead")
    stage.up(name="stopped")
    dead, stopped = stage.servers.get("dead").pid, stage.servers.get("stopped").pid
    os.kill(dead, signal.SIGKILL)
    os.kill(stopped, signal.SIGSTOP)
    found = {one["name"]: one for one in json.loads(maieutic("status", "--json")[1])}
    assert {name: one["state"] for name, one in found.items()} == {"dead": "gone", "stopped": "silent"}
    assert found["dead"]["left"] > 0 and found["stopped"]["left"] == 0
    said = maieutic("status", "dead")[1]
    assert "that it started still run" in said and "maieutic model down dead" in said
    os.kill(stopped, signal.SIGCONT)
    assert maieutic("down", "--all")[0] == 0
    assert stage.processes() == []


def test_logs_are_followed_until_the_server_ends(stage: Stage) -> None:
    record = stage.up().record
    arguments = ["-m", "maieutic", "model", "logs", "small", "--follow"]
    following = pexpect.spawn(sys.executable, arguments, env=stage.env, encoding="utf-8", timeout=WITHIN)
    following.expect("Starting vLLM server")
    with stage.servers.log("small").open("a") as log:
        log.write("one more line\n")
    following.expect("one more line")
    record.session.stop(grace=5)
    following.expect(pexpect.EOF)
    assert following.wait() == 0


@pytest.mark.parametrize("how", ["ctrl-c", "hang-up"])
def test_a_start_at_a_terminal_is_interrupted(stage: Stage, how: str) -> None:
    arguments = ["-m", "maieutic", "model", "up", "in-box", "--cpu", "--", "--fake", "slow"]
    terminal = pexpect.spawn(sys.executable, arguments, env=stage.env, encoding="utf-8", timeout=WITHIN)
    terminal.expect("loading weights")
    if how == "ctrl-c":
        terminal.sendintr()
        terminal.expect("Interrupted")
        terminal.wait()
    else:
        with contextlib.suppress(pexpect.ExceptionPexpect):  # it needs a moment to end the server first
            terminal.close(force=False)
    end = time.monotonic() + WITHIN
    while stage.processes():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert stage.servers.names() == []


def test_a_server_outlives_its_terminal(stage: Stage) -> None:
    arguments = ["-m", "maieutic", "model", "up", "in-box", "--cpu"]
    terminal = pexpect.spawn(sys.executable, arguments, env=stage.env, encoding="utf-8", timeout=WITHIN)
    terminal.expect("in-box-vllm is up after")
    terminal.close()
    assert stage.servers.get("in-box-vllm").session.alive()
    assert len(stage.processes()) == 2


def test_installing_over_something_else_is_refused(maieutic, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = maieutic("install", "--cpu", "--into", str(tmp_path))
    assert code == 2 and "holds something else" in err
