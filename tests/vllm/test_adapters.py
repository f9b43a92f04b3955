"""Adapters of a real server: loaded, sampled, told apart, unloaded."""

import json
from pathlib import Path

import pytest

from maieutic.errors import ModelError, UserError
from maieutic.llm.registry import resolve_model
from maieutic.serving import adapters
from maieutic.serving.records import Servers
from maieutic.settings import Settings
from maieutic.types import Completion, Request, Sampling
from tests.support.lora import write_lora
from tests.vllm.conftest import Server

QUESTION = "State the final answer to the following arithmetic problem: 14 + 23 - 5 ="


@pytest.fixture
def servers(vllm_server: Server) -> Servers:
    home = vllm_server.home.path
    return Servers(home / "servers", home / "models")


async def said(name: str, servers: Servers) -> Completion:
    """The greedy answer of a model, found as `--model NAME` finds it."""
    model = resolve_model(name, Settings(models_dir=servers.models_dir), {}).model
    try:
        return await model.sample(
            Request(({"role": "user", "content": QUESTION},), Sampling(temperature=0.0, max_tokens=60))
        )
    finally:
        await model.close()


async def test_an_adapter_is_sampled_under_its_name_and_no_longer_after(
    vllm_server: Server, servers: Servers, tmp_path: Path
) -> None:
    base = await said(vllm_server.profile, servers)
    loaded = adapters.load("tuned-v1", write_lora(tmp_path / "one", seed=1), servers=servers)
    other = adapters.load("tuned-v2", write_lora(tmp_path / "two", seed=2), servers=servers)
    answers = {name: await said(name, servers) for name in ("tuned-v1", "tuned-v2")}
    assert len({base.token_ids, *(answer.token_ids for answer in answers.values())}) == 3
    assert answers["tuned-v1"].weights == loaded.weights == f"{base.weights}+tuned-v1:{loaded.hash}"
    assert (await said(f"vllm/tuned-v2@{vllm_server.url}", servers)).weights == other.weights
    assert (await said(vllm_server.profile, servers)).token_ids == base.token_ids, "the base is what it was"

    adapters.unload("tuned-v1", servers=servers)
    with pytest.raises(ModelError, match="has no model 'tuned-v1'; it serves: .*tuned-v2") as gone:
        await said(f"vllm/tuned-v1@{vllm_server.url}", servers)
    assert gone.value.status == 404
    with pytest.raises(UserError, match="has no adapter 'tuned-v1'"):
        adapters.unload("tuned-v1", servers=servers)
    with pytest.raises(UserError, match=r"other weights before .* tuned-v3\."):
        adapters.load("tuned-v1", write_lora(tmp_path / "three", seed=3), servers=servers)
    again = adapters.load("tuned-v1", tmp_path / "one", servers=servers)
    assert again == loaded
    assert (await said("tuned-v1", servers)).token_ids == answers["tuned-v1"].token_ids
    for name in ("tuned-v1", "tuned-v2"):
        adapters.unload(name, servers=servers)


def test_the_commands(vllm_server: Server, tmp_path: Path) -> None:
    maieutic = vllm_server.home.maieutic
    path = str(write_lora(tmp_path / "lora", seed=9))
    unversioned = maieutic("model", "adapter", "load", "mine", path)
    assert (unversioned.code, "mine-v1" in unversioned.err) == (2, True)
    assert maieutic("model", "adapter", "load", "mine-v1", path).code == 0
    (listed,) = [one for one in json.loads(maieutic("model", "adapter", "list", "--json").out) if "mine" in one["name"]]
    assert (listed["name"], listed["loaded"]) == ("mine-v1", True)
    (status,) = json.loads(maieutic("model", "status", vllm_server.profile, "--json").out)
    assert status["adapters"] == ["mine-v1"]
    assert maieutic("ask", QUESTION, "--model", "mine-v1", "--json", "--max-tokens", "40").out.startswith("{")
    assert maieutic("model", "adapter", "unload", "mine-v1").code == 0
    gone = maieutic("model", "adapter", "unload", "mine-v1")
    assert (gone.code, "has no adapter 'mine-v1'" in gone.err) == (2, True)
    assert not (vllm_server.home.path / "models" / "mine-v1.yaml").exists()


def test_a_rank_that_the_server_was_not_started_for_is_refused(
    vllm_server: Server, servers: Servers, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="wide-v1 can't be loaded.*rank"):
        adapters.load("wide-v1", write_lora(tmp_path / "lora", rank=64), servers=servers)
    assert "wide-v1" not in {one.name for one in adapters.listed(servers=servers)}
