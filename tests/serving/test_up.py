"""Servers come up, are found again, and leave neither processes nor profiles where they don't."""

import json
import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from maieutic.errors import UserError
from maieutic.llm.registry import find_profile
from maieutic.serving.checkpoint import find_checkpoint
from maieutic.serving.command import Launch
from maieutic.serving.process import start
from maieutic.serving.up import StartFailed, down, up
from maieutic.settings import Settings
from tests.serving.conftest import Stage
from tests.support.lora import write_lora


def test_a_server_comes_up_and_has_a_profile(stage: Stage) -> None:
    done = stage.up()
    assert not done.already
    record = stage.servers.get("small")
    assert record == done.record and record.ready and record.session.alive()
    profile = find_profile("small", Settings(models_dir=stage.servers.models_dir), {})
    assert (profile.kind, profile.model, profile.base_url) == ("vllm", "small", record.url)
    assert (profile.prompts, profile.conversation) == ("in_box", False)
    assert (profile.weights, profile.template) == (record.weights, record.template)
    assert record.weights and record.template
    assert find_profile(f"vllm/small@{record.url}", Settings(models_dir=stage.servers.models_dir), {}).weights
    assert stage.phases[0] == "importing" and stage.phases[-2:] == ["sampling a first token", "hashing the weights"]


def test_it_runs_in_a_session_of_its_own_and_is_ended_with_its_children(stage: Stage) -> None:
    record = stage.up().record
    assert os.getsid(record.pid) == record.pid != os.getsid(0)
    assert len(stage.processes()) == 2
    down(stage.servers, "small")
    assert stage.processes() == []
    assert stage.servers.names() == [] and list(stage.servers.models_dir.iterdir()) == []
    with pytest.raises(UserError, match="no server 'small'"):
        down(stage.servers, "small")


def test_a_stubborn_server_is_killed(stage: Stage) -> None:
    session = stage.up("--fake", "stubborn").record.session
    session.stop(grace=0.2)
    assert stage.processes() == []


def test_a_second_start_finds_the_first(stage: Stage, tmp_path: Path) -> None:
    first = stage.up()
    again = stage.up()
    assert again.already and again.record == first.record
    launch = Launch("small", replace(find_checkpoint("in-box"), wanted="other/model", source="other/model"), cpu=True)
    with pytest.raises(UserError, match="small is up with another model, in-box"):
        up(launch, stage.servers, tmp_path, env=stage.env)


def test_a_server_whose_starter_was_killed_is_taken_over(stage: Stage) -> None:
    record = stage.up().record
    (stage.servers.models_dir / "small.yaml").unlink()
    stage.servers.save(replace(record, ready=False, weights=None))
    again = stage.up()
    assert again.already and again.record == record
    assert (stage.servers.models_dir / "small.yaml").exists()


def test_a_server_that_is_taken_over_and_never_up_is_ended(stage: Stage, tmp_path: Path) -> None:
    record = stage.up().record
    down(stage.servers, "small")
    mute = start([sys.executable, "-c", "import time; time.sleep(600)"], stage.env, tmp_path / "log")
    stage.servers.save(replace(record, ready=False, pid=mute.pid, ticks=mute.ticks, boot=mute.boot))
    with pytest.raises(StartFailed, match="not up in time"):
        stage.up(timeout=0.3)
    assert stage.processes() == [] and stage.servers.names() == []


def test_two_starts_of_one_name_don_t_meet(stage: Stage) -> None:
    with stage.servers.lock("small"), pytest.raises(UserError, match="starting or changing small"):
        stage.up()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("oom", "ran out of memory: give a smaller --max-model-len"),
        ("killed", "was killed, most likely because the machine ran out of memory"),
        ("context", "the model's context is 1024 tokens, shorter than 4096"),
        ("gated", "accept its licence there and set HF_TOKEN"),
        ("no-samples", r"did not answer its first request: small refused \(500\): The engine is dead \(its log"),
        ("odd", "it said 'RuntimeError: the tensors disagree'"),
    ],
)
def test_a_failed_start_says_why_and_leaves_nothing(stage: Stage, what: str, said: str) -> None:
    with pytest.raises(StartFailed, match=said) as failed:
        stage.up("--fake", what)
    assert failed.value.lines
    assert stage.processes() == []
    assert stage.servers.names() == [] and list(stage.servers.models_dir.glob("*")) == []
    assert stage.servers.log("small").exists(), "the log stays"


def test_a_start_that_takes_too_long_is_ended(stage: Stage) -> None:
    with pytest.raises(StartFailed, match="not up in time, it was still"):
        stage.up("--fake", "slow", timeout=0.3)
    assert stage.processes() == []


def test_ctrl_c_ends_what_was_started(stage: Stage) -> None:
    def press(phase: str) -> None:
        if phase == "loading weights":
            raise KeyboardInterrupt

    launch = Launch("small", find_checkpoint("in-box"), cpu=True, extra=("--fake", "slow"))
    with pytest.raises(KeyboardInterrupt):
        up(launch, stage.servers, stage.servers.root, env=stage.env, show=press)
    assert stage.processes() == [] and stage.servers.names() == []


def test_a_port_in_use_is_refused_before_anything_starts(stage: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} can't be used .*another --port"):
            stage.up(port=port)
    with pytest.raises(UserError, match="port 99999 can't be used"):
        stage.up(port=99999)
    assert stage.processes() == []


def test_a_dead_server_is_cleared_away_and_started_anew(stage: Stage) -> None:
    first = stage.up().record
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    assert not first.session.alive() and len(stage.processes()) == 1, "its engine is an orphan now"
    second = stage.up()
    assert not second.already and second.record.pid != first.pid
    assert len(stage.processes()) == 2


@pytest.mark.parametrize("change", [{"boot": "another"}, {"ticks": 1}])
def test_a_number_that_belongs_to_another_process_is_left_alone(stage: Stage, change: dict[str, object]) -> None:
    record = stage.up().record
    session = replace(record.session, **change)  # type: ignore[arg-type]
    assert not session.alive() and session.members() == []
    session.stop(grace=0)
    assert record.session.alive()


def test_a_profile_of_the_users_own_is_never_overwritten(stage: Stage) -> None:
    stage.servers.models_dir.mkdir(parents=True)
    own = stage.servers.models_dir / "small.yaml"
    own.write_text("kind: in-box\n")
    for name in ("small", "in-box"):
        with pytest.raises(UserError, match=f"profile '{name}'.*--name"):
            stage.up(name=name)
    assert own.read_text() == "kind: in-box\n"
    assert stage.processes() == []


@pytest.mark.parametrize("name", ["", "a/b", "../up", "-x"])
def test_a_name_must_be_one(stage: Stage, name: str) -> None:
    with pytest.raises(UserError, match="can't be a server's name"):
        stage.up(name=name)


def test_adapters_given_at_the_start_are_loaded_or_nothing_starts(stage: Stage, tmp_path: Path) -> None:
    lora = write_lora(tmp_path / "lora", rank=9)
    with pytest.raises(UserError, match="holds no LoRA adapter"):
        stage.up(adapters={"fine-v1": lora, "bad-v1": tmp_path})
    assert stage.processes() == []
    with pytest.raises(UserError, match="fine-v1 can't be loaded.*LoRA rank"):
        stage.up("--fake", "no-adapters", adapters={"fine-v1": lora})
    assert stage.processes() == [] and list(stage.servers.models_dir.glob("*")) == []
    record = stage.up(adapters={"fine-v1": lora}, lora_rank=None).record
    assert record.command[record.command.index("--max-lora-rank") + 1] == "16", "a rank that vLLM takes"
    assert yaml.safe_load((stage.servers.models_dir / "fine-v1.yaml").read_text())["model"] == "fine-v1"
    down(stage.servers, "small")
    assert list(stage.servers.models_dir.glob("*")) == []


def test_a_key_goes_by_the_environment(stage: Stage) -> None:
    stage.env["VLLM_API_KEY"] = "secret"
    record = stage.up().record
    assert record.key_env == "VLLM_API_KEY"
    assert "secret" not in json.dumps(record.command)
    profile = find_profile("small", Settings(models_dir=stage.servers.models_dir), {})
    assert profile.api_key_env == "VLLM_API_KEY"


def test_the_environment_is_made_for_vllm(stage: Stage) -> None:
    stage.env |= {"PYTHONDONTWRITEBYTECODE": "1", "VLLM_CPU_KVCACHE_SPACE": "4"}
    stage.up()
    line = next(x for x in stage.servers.log("small").read_text().splitlines() if x.startswith("environment: "))
    env = json.loads(line.removeprefix("environment: "))
    assert {"PYTHONDONTWRITEBYTECODE", "VLLM_CPU_KVCACHE_SPACE"}.isdisjoint(env)
    assert str(4 * 2**30) in stage.servers.get("small").command, "the flag has it"
    assert (env["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"], env["HF_HUB_OFFLINE"]) == ("300", "1")
    assert env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    profile = find_profile("small", Settings(models_dir=stage.servers.models_dir), {})
    assert 5 < profile.timeouts.idle < 300, "clients let go of a connection before the server does"


def test_starts_of_several_names_at_once_get_ports_of_their_own(stage: Stage) -> None:
    threads = [threading.Thread(target=stage.up, kwargs={"name": f"s{i}"}) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    urls = {stage.servers.get(f"s{i}").url for i in range(4)}
    assert len(urls) == 4
