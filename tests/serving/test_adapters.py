"""Adapters: versioned names, never one for two weights, copies that nobody writes to."""

import shutil
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.llm.registry import find_profile
from maieutic.serving import adapters
from maieutic.serving.up import down
from maieutic.settings import Settings
from tests.serving.conftest import Stage
from tests.support.lora import write_lora


def test_a_loaded_adapter_has_a_profile_that_names_its_weights(stage: Stage, tmp_path: Path) -> None:
    record = stage.up().record
    loaded = adapters.load("fine-v1", write_lora(tmp_path / "lora"), servers=stage.servers)
    assert loaded.weights == f"{record.weights}+fine-v1:{loaded.hash}"
    settings = Settings(models_dir=stage.servers.models_dir)
    for name in ("fine-v1", f"vllm/fine-v1@{record.url}"):
        profile = find_profile(name, settings, {})
        assert (profile.model, profile.base_url) == ("fine-v1", record.url)
        assert (profile.weights, profile.template) == (loaded.weights, record.template)
    assert find_profile("vllm/fine-v1@http://elsewhere:1/v1", settings, {}).weights is None
    assert adapters.listed(servers=stage.servers) == [loaded]
    assert adapters.load("fine-v1", tmp_path / "lora", servers=stage.servers) == loaded, "once more changes nothing"


def test_a_name_stands_for_one_set_of_weights_for_good(stage: Stage, tmp_path: Path) -> None:
    first, other = write_lora(tmp_path / "one", seed=1), write_lora(tmp_path / "two", seed=2)
    stage.up()
    loaded = adapters.load("fine-v7", first, servers=stage.servers)
    adapters.unload("fine-v7", servers=stage.servers)
    down(stage.servers, "small")
    stage.up()
    with pytest.raises(UserError, match=rf"fine-v7 was other weights before \({loaded.hash}\).* fine-v8\."):
        adapters.load("fine-v7", other, servers=stage.servers)
    (known,) = adapters.listed(servers=stage.servers)
    assert (known.name, known.loaded) == ("fine-v7", False)
    assert adapters.load("fine-v7", first, servers=stage.servers).hash == loaded.hash


def test_the_server_reads_a_copy(stage: Stage, tmp_path: Path) -> None:
    stage.up()
    loaded = adapters.load("fine-v1", write_lora(tmp_path / "lora"), servers=stage.servers)
    shutil.rmtree(tmp_path / "lora")
    assert adapters.listed(servers=stage.servers) == [loaded]
    copy = stage.servers.folder("small") / "adapters" / "fine-v1"
    assert {file.name for file in copy.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    adapters.unload("fine-v1", servers=stage.servers)
    assert copy.exists(), "requests are under way, which may still read it"


def test_the_copy_goes_once_nothing_can_read_it(stage: Stage, tmp_path: Path) -> None:
    stage.up("--fake", "idle")
    copies = stage.servers.folder("small") / "adapters"
    for name in ("fine-v1", "fine-v2"):
        adapters.load(name, write_lora(tmp_path / "lora"), servers=stage.servers)
    adapters.unload("fine-v1", servers=stage.servers)
    assert [copy.name for copy in copies.iterdir()] == ["fine-v2"]


def test_a_rank_above_the_servers_is_refused_here(stage: Stage, tmp_path: Path) -> None:
    stage.up()
    with pytest.raises(UserError, match="fine-v1 has rank 24: small takes ranks up to 16.*--max-lora-rank 32"):
        adapters.load("fine-v1", write_lora(tmp_path / "lora", rank=24), servers=stage.servers)
    stage.up("--max-lora-rank", "32", name="wide")
    assert adapters.load("fine-v1", tmp_path / "lora", "wide", stage.servers).loaded


@pytest.mark.parametrize(
    ("shape", "says"),
    [({"hidden": 64}, "q_proj has 128 inputs there, and 64 here"), ({"layers": 6}, r"there is no model\.layers\.4\.")],
)
def test_an_adapter_of_another_model_is_refused(stage: Stage, tmp_path: Path, shape: dict[str, int], says: str) -> None:
    stage.up()
    with pytest.raises(UserError, match=f"another model than small serves.*{says}"):
        adapters.load("fine-v1", write_lora(tmp_path / "lora", **shape), servers=stage.servers)
    assert adapters.load("fine-v1", write_lora(tmp_path / "few", layers=2), servers=stage.servers).loaded


def test_what_the_server_refuses_leaves_the_name_free(stage: Stage, tmp_path: Path) -> None:
    stage.up("--fake", "no-adapters")
    lora = write_lora(tmp_path / "lora")
    with pytest.raises(UserError, match="fine-v1 can't be loaded.*max_lora_rank 16"):
        adapters.load("fine-v1", lora, servers=stage.servers)
    assert adapters.listed(servers=stage.servers) == []
    assert list((stage.servers.folder("small") / "adapters").iterdir()) == []
    assert not (stage.servers.models_dir / "fine-v1.yaml").exists()


@pytest.mark.parametrize("name", ["fine", "fine-v", "fine-v1.2x", "-v1", "a/b-v1"])
def test_a_name_without_a_version_is_refused(stage: Stage, tmp_path: Path, name: str) -> None:
    stage.up()
    with pytest.raises(UserError, match="ends in its version"):
        adapters.load(name, write_lora(tmp_path / "lora"), servers=stage.servers)


def test_a_folder_that_holds_no_adapter_is_refused(stage: Stage, tmp_path: Path) -> None:
    stage.up()
    (write_lora(tmp_path / "bare") / "adapter_model.safetensors").unlink()
    (write_lora(tmp_path / "broken") / "adapter_config.json").write_text("{}")
    for folder in ("nowhere", "bare", "broken"):
        with pytest.raises(UserError, match=f"{folder} holds no LoRA adapter"):
            adapters.load("fine-v1", tmp_path / folder, servers=stage.servers)


def test_the_server_is_found_where_only_one_takes_adapters(stage: Stage, tmp_path: Path) -> None:
    lora = write_lora(tmp_path / "lora")
    with pytest.raises(UserError, match="No server that takes adapters is up"):
        adapters.load("fine-v1", lora, servers=stage.servers)
    stage.up(name="plain", lora_rank=None)
    with pytest.raises(UserError, match="plain takes no adapters.*--adapters"):
        adapters.load("fine-v1", lora, "plain", stage.servers)
    stage.up(name="one")
    assert adapters.load("fine-v1", lora, servers=stage.servers).server == "one"
    stage.up(name="two")
    with pytest.raises(UserError, match=r"name one with --server \(one, two\)"):
        adapters.load("fine-v2", lora, servers=stage.servers)
    with pytest.raises(UserError, match="fine-v1.*stands in"):
        adapters.load("fine-v1", lora, "two", stage.servers)
    with pytest.raises(UserError, match="no adapter 'fine-v9'; it has fine-v1"):
        adapters.unload("fine-v9", "one", stage.servers)
