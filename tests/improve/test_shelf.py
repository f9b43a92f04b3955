"""The shelf of adapters, at a stand-in for vLLM: names given once, what a server has lost, and what is refused."""

import shutil
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.improve.version import AdapterShelf, find_shelf
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.llm.registry import find_profile
from maieutic.serving import adapters
from maieutic.serving.checkpoint import find_checkpoint
from maieutic.serving.command import Launch
from maieutic.serving.up import down, up
from maieutic.settings import Settings
from tests.serving.conftest import Stage
from tests.support.lora import write_lora


@pytest.fixture
def settings(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MAIEUTIC_HOME", stage.env["MAIEUTIC_HOME"])
    return Settings(models_dir=stage.servers.models_dir)


def shelf(settings: Settings, out: Path, model: str = "small", lora: int | None = 8) -> AdapterShelf:
    found = find_shelf(model, out, lora, settings)
    assert isinstance(found, AdapterShelf)
    return found


def loaded(stage: Stage) -> list[str]:
    return [one.name for one in adapters.listed(servers=stage.servers) if one.loaded]


def test_a_server_is_found_by_its_name_with_the_checkpoint_that_it_serves(
    stage: Stage, settings: Settings, tmp_path: Path
) -> None:
    record = stage.up().record
    for name in ("small", "vllm/small", f"vllm/small@{record.url}"):
        first = shelf(settings, tmp_path / "out", name).first()
        assert (first.model, first.checkpoint, first.weights) == ("small", str(WEIGHTS), record.weights)
    with pytest.raises(UserError, match="can't be given new weights"):
        shelf(settings, tmp_path / "out", "vllm/small@http://elsewhere:1/v1")


def test_a_version_is_put_up_again_at_a_server_that_has_lost_it(
    stage: Stage, settings: Settings, tmp_path: Path
) -> None:
    stage.up()
    here = shelf(settings, tmp_path / "out")
    version = here.version(3, write_lora(tmp_path / "lora"))
    assert version.model.startswith("small-") and version.model.endswith("-v3")
    here.publish(version)
    here.publish(version)
    assert loaded(stage) == [version.model]
    assert find_profile(version.model, settings, {}).weights == version.weights
    down(stage.servers, "small")
    with pytest.raises(UserError, match="small is not up: start it as before"):
        here.publish(version)
    here.withdraw(version)  # nothing is loaded at a server that is down
    stage.up()
    assert loaded(stage) == []
    again = shelf(settings, tmp_path / "out")
    again.publish(again.version(3, tmp_path / "lora"))
    assert loaded(stage) == [version.model]
    again.withdraw(version)
    again.withdraw(version)
    assert loaded(stage) == []


def test_another_loop_in_the_same_directory_has_other_names(stage: Stage, settings: Settings, tmp_path: Path) -> None:
    stage.up()
    out = tmp_path / "out"
    first = shelf(settings, out).version(1, write_lora(tmp_path / "one", seed=1))
    shelf(settings, out).publish(first)
    shutil.rmtree(out)
    second = shelf(settings, out).version(1, write_lora(tmp_path / "two", seed=2))
    shelf(settings, out).publish(second)
    assert len({first.model, second.model, *loaded(stage)}) == 2


def test_a_server_that_now_serves_other_weights_is_refused(stage: Stage, settings: Settings, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(WEIGHTS, checkpoint)
    served(stage, checkpoint)
    here = shelf(settings, tmp_path / "out")
    tensors = (checkpoint / "model.safetensors").read_bytes()
    (checkpoint / "model.safetensors").write_bytes(tensors[:-1] + bytes([tensors[-1] ^ 1]))
    with pytest.raises(UserError, match="holds other weights than small was started with"):
        shelf(settings, tmp_path / "out")
    down(stage.servers, "small")
    served(stage, checkpoint)
    with pytest.raises(UserError, match=f"serves other weights .* than this loop began with .{here.weights}"):
        here.publish(here.first())


def served(stage: Stage, checkpoint: Path, *extra: str) -> None:
    launch = Launch("small", find_checkpoint(str(checkpoint)), cpu=True, lora_rank=16, extra=extra)
    up(launch, stage.servers, stage.servers.root.parent / "vllm", env=stage.env)


@pytest.mark.parametrize(
    ("extra", "rank", "lora", "says"),
    [
        ((), 16, None, "takes adapters only: add --lora"),
        ((), None, 8, "takes no adapters: take it down and start it with --adapters"),
        ((), 16, 32, "--lora 32 is too large: small takes ranks up to 16.*--max-lora-rank 32"),
        (("--tokenizer", "other"), 16, 8, "started with the tokenizer other"),
    ],
    ids=["all weights", "no adapters", "rank", "tokenizer"],
)
def test_what_the_server_could_not_take_is_refused_before_anything_runs(
    stage: Stage,
    settings: Settings,
    tmp_path: Path,
    extra: tuple[str, ...],
    rank: int | None,
    lora: int | None,
    says: str,
) -> None:
    stage.up(*extra, lora_rank=rank)
    with pytest.raises(UserError, match=says):
        shelf(settings, tmp_path / "out", lora=lora)


def test_a_server_that_is_down_or_gone_is_to_be_started(stage: Stage, settings: Settings, tmp_path: Path) -> None:
    record = stage.up().record
    record.session.stop(grace=0)
    with pytest.raises(UserError, match="small is not up: .*`maieutic model up in-box --name small --adapters`"):
        shelf(settings, tmp_path / "out")
    down(stage.servers, "small")
    for name in ("small", "vllm/small"):
        with pytest.raises(UserError, match="small is down: start it as before"):
            shelf(settings, tmp_path / "out", name)
