"""Adapters of a real server: loaded, sampled, told apart, unloaded."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from maieutic.errors import ModelError, UserError
from maieutic.llm.registry import resolve_model
from maieutic.serving import adapters
from maieutic.serving.command import MAX_CPU_LORAS
from maieutic.serving.control import SLOW, Control
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


async def test_they_come_and_go_while_requests_run(vllm_server: Server, servers: Servers, tmp_path: Path) -> None:
    """More adapters than vLLM keeps in memory are loaded and unloaded meanwhile; who was asked is who answers."""
    asked = {
        name: adapters.load(name, write_lora(tmp_path / name, seed=5), servers=servers)
        for name in ("stays-v1", "goes-v1")
    }
    alone = {name: await said(name, servers) for name in asked}
    models = {name: resolve_model(name, Settings(models_dir=servers.models_dir), {}).model for name in asked}
    request = Request(({"role": "user", "content": QUESTION},), Sampling(temperature=0.0, max_tokens=60))
    long = Request(request.messages, Sampling(temperature=0.0, max_tokens=160, extra={"ignore_eos": True}))
    try:
        under_way = [asyncio.create_task(model.sample(long)) for _ in range(8) for model in models.values()]
        await asyncio.to_thread(all_are_in, vllm_server, servers, len(under_way))
        await asyncio.to_thread(adapters.unload, "goes-v1", servers=servers)
        for number in range(MAX_CPU_LORAS + 2):
            name = f"other-v{number}"
            await asyncio.to_thread(adapters.load, name, write_lora(tmp_path / name, seed=number), servers=servers)
        said_then = await asyncio.gather(*under_way)
        after = await models["stays-v1"].sample(request)
    finally:
        for model in models.values():
            await model.close()
    for number in range(MAX_CPU_LORAS + 2):
        adapters.unload(f"other-v{number}", servers=servers)
    adapters.unload("stays-v1", servers=servers)
    for completion, name in zip(said_then, [*asked] * 8, strict=True):
        whole = alone[name].token_ids or ()
        assert completion.weights == asked[name].weights
        assert (completion.token_ids or ())[: len(whole)] == whole
    assert after.token_ids == alone["stays-v1"].token_ids


def all_are_in(server: Server, servers: Servers, requests: int) -> None:
    """Wait until the server works on so many requests, or holds them in its queue."""
    end = time.monotonic() + 120
    with Control(servers.get(server.profile), timeout=SLOW) as control:
        while True:
            metrics = control.metrics()
            if sum(metrics[f"vllm:num_requests_{state}"] for state in ("running", "waiting")) >= requests:
                return
            assert time.monotonic() < end
            time.sleep(0.05)


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
    with pytest.raises(UserError, match="wide-v1 has rank 64: in-box-vllm takes ranks up to 16"):
        adapters.load("wide-v1", write_lora(tmp_path / "lora", rank=64), servers=servers)
    assert "wide-v1" not in {one.name for one in adapters.listed(servers=servers)}
