"""What a server's profile says of weights and template is what it serves, or nothing."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.llm.registry import find_profile
from maieutic.serving import adapters
from maieutic.serving.checkpoint import find_checkpoint
from maieutic.serving.command import Launch, given
from maieutic.serving.control import Control
from maieutic.serving.files import digest, write_whole
from maieutic.serving.up import down, up
from maieutic.settings import Settings
from tests.serving.conftest import Stage
from tests.support.lora import write_lora


def checkpoint(folder: Path, weights: bytes = b"1") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_the_same_words_in_another_folder_are_another_model(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        checkpoint(tmp_path / name / "ckpt", name.encode())
    monkeypatch.chdir(tmp_path / "one")
    up(Launch("ckpt", find_checkpoint("ckpt"), cpu=True), stage.servers, tmp_path, env=stage.env)
    assert up(Launch("ckpt", find_checkpoint("./ckpt"), cpu=True), stage.servers, tmp_path, env=stage.env).already
    monkeypatch.chdir(tmp_path / "two")
    with pytest.raises(UserError, match="ckpt is up with another model"):
        up(Launch("ckpt", find_checkpoint("ckpt"), cpu=True), stage.servers, tmp_path, env=stage.env)


def test_weights_that_were_written_anew_while_they_were_loaded_are_not_known(stage: Stage, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "ckpt")
    launch = Launch("ckpt", find_checkpoint(str(folder)), cpu=True)

    def train(phase: str) -> None:
        if phase == "sampling a first token":
            checkpoint(folder, b"2")

    record = up(launch, stage.servers, tmp_path, env=stage.env, show=train).record
    assert record.weights is None
    assert find_profile("ckpt", Settings(models_dir=stage.servers.models_dir), {}).weights is None
    down(stage.servers, "ckpt")
    assert up(launch, stage.servers, tmp_path, env=stage.env).record.weights == find_checkpoint(str(folder)).weights()


@pytest.mark.parametrize(
    ("flags", "template"),
    [
        (("--chat_template", "one.jinja"), "of a file"),
        (("--chat-template=" + "{{ x }}" * 99,), "{{ x }}" * 99),
        (("--chat-template", "{{ y }}", "--chat-template", "{{ x }}"), "{{ x }}"),
        (("--tokenizer", "other/model"), None),
    ],
)
def test_the_template_is_the_one_in_force(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], template: str | None
) -> None:
    (tmp_path / "one.jinja").write_text("of a file")
    monkeypatch.chdir(tmp_path)
    record = stage.up(*flags).record
    assert record.template == (None if template is None else digest(template.encode()))


def test_a_server_that_is_taken_over_keeps_the_template_it_was_started_with(stage: Stage) -> None:
    record = stage.up("--chat-template", "{{ x }}").record
    stage.servers.save(replace(record, ready=False, weights=None, template=None))
    assert stage.up().record.template == digest(b"{{ x }}")


def test_the_last_of_several_flags_counts() -> None:
    assert given(["vllm", "--a-b", "1", "--a_b=2", "--c"], "--a-b") == "2"
    assert given(["vllm", "--c"], "--c") is None and given(["vllm"], "--a-b") is None


def test_what_the_hub_brought_at_the_start_is_what_is_hashed(tmp_path: Path) -> None:
    model = tmp_path / "models--a--b"
    for revision in ("old", "new"):
        checkpoint(model / "snapshots" / (revision[0] * 40), revision.encode())
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("o" * 40)
    script = """
from pathlib import Path
from maieutic.serving.checkpoint import find_checkpoint
found = find_checkpoint("a/b")
Path("models--a--b/refs/main").write_text("n" * 40)
print(found.folder.name[0], found.found().folder.name[0], found.found("o" * 40).folder.name[0])
"""
    env = {**os.environ, "HF_HUB_CACHE": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert said.stdout == "o n o\n", said.stderr


def test_adapters_named_for_a_server_that_is_up_are_loaded(stage: Stage, tmp_path: Path) -> None:
    lora = write_lora(tmp_path / "lora")
    stage.up()
    assert stage.up(adapters={"fine-v1": lora}).already
    assert [one.name for one in adapters.listed(servers=stage.servers) if one.loaded] == ["fine-v1"]
    plain = stage.up(name="plain", lora_rank=None).record
    with pytest.raises(UserError, match="plain is up and takes no adapters"):
        stage.up(name="plain", adapters={"fine-v2": lora})
    assert plain.session.alive()


def test_what_a_server_that_is_up_can_not_become_is_said(stage: Stage) -> None:
    record = stage.up("--seed", "7").record
    assert stage.up().already and stage.up("--seed", "7", port=int(record.url[:-3].rpartition(":")[2])).already
    with pytest.raises(UserError, match="small is up without --seed 8: take it down first"):
        stage.up("--seed", "8")
    with pytest.raises(UserError, match="up without --port 1"):
        stage.up(port=1)
    with pytest.raises(UserError, match="Set HF_TOKEN in the environment"):
        stage.up("--hf-token", "secret")
    assert record.session.alive()


def test_a_wrong_name_leaves_no_folder(stage: Stage) -> None:
    with pytest.raises(UserError, match="no server 'nope'"):
        down(stage.servers, "nope")
    assert not stage.servers.folder("nope").exists()


def test_an_adapter_is_stamped_with_the_base_that_is_there_once_it_is_its_turn(stage: Stage, tmp_path: Path) -> None:
    record = stage.up().record
    found: list[adapters.Adapter] = []
    lora = write_lora(tmp_path / "lora")
    load = threading.Thread(target=lambda: found.append(adapters.load("fine-v1", lora, "small", stage.servers)))
    with stage.servers.lock("small"):
        load.start()
        time.sleep(0.3)  # it has looked, and waits
        stage.servers.save(replace(record, weights="another"))
    load.join()
    assert found[0].weights == f"another+fine-v1:{found[0].hash}"


def test_an_adapter_that_came_from_elsewhere_is_not_taken_for_ours(stage: Stage, tmp_path: Path) -> None:
    with Control(stage.up().record) as control:
        control.load_adapter("fine-v1", str(tmp_path))
    with pytest.raises(UserError, match="small got a fine-v1 from elsewhere"):
        adapters.load("fine-v1", write_lora(tmp_path / "lora"), servers=stage.servers)
    assert not (stage.servers.models_dir / "fine-v1.yaml").exists()


def test_a_server_that_is_not_up_yet_gets_no_adapters(stage: Stage, tmp_path: Path) -> None:
    stage.servers.save(replace(stage.up().record, ready=False, weights=None))
    with pytest.raises(UserError, match="small is not up yet"):
        adapters.load("fine-v1", write_lora(tmp_path / "lora"), servers=stage.servers)


def test_a_vllm_that_can_not_be_run_is_named(stage: Stage, fake_vllm: Path) -> None:
    fake_vllm.write_text("#!/gone/python\n")
    with pytest.raises(UserError, match="bin/vllm can't be run"):
        stage.up()
    assert stage.servers.names() == []


def test_a_profile_that_is_not_utf_8_is_somebody_elses(stage: Stage) -> None:
    stage.up()
    (stage.servers.models_dir / "mine.yaml").write_bytes("# für mich\n".encode("latin-1"))
    down(stage.servers, "small")
    assert [path.name for path in stage.servers.models_dir.iterdir()] == ["mine.yaml"]


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "name", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
