"""What a real server is left with: nothing running after an early stop, and prompts that begin alike in its cache."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.runner import arun
from maieutic.types import Request, Sampling
from tests.vllm.conftest import Server

WITHIN = 60.0
LONG = "State the final answer to the following arithmetic problem: 41 + 32 - 15 + 27 - 38 + 46 - 11 + 23 ="
EASY = "State the final answer to the following arithmetic problem: 4 + 3 - 5 ="


class Counters:
    """The server's counters as they are now."""

    def __init__(self, server: Server) -> None:
        self.text = httpx.get(f"{server.root}/metrics", trust_env=False, timeout=30).text

    def get(self, name: str) -> float:
        values = re.findall(rf"^vllm:{name}\{{[^}}]*\}} (\S+)$", self.text, re.MULTILINE)
        assert values, f"the server has no counter {name}"
        return sum(map(float, values))

    @property
    def busy(self) -> float:
        return self.get("num_requests_running") + self.get("num_requests_waiting")

    @property
    def finished(self) -> float:
        """Requests that came to their end; those whose client went away are not among them."""
        return self.get("request_success_total")


async def until(server: Server, holds: Callable[[Counters], bool]) -> Counters:
    """The counters once this holds of them; fails after a minute."""
    end = time.monotonic() + WITHIN
    while not holds(now := await asyncio.to_thread(Counters, server)):
        assert time.monotonic() < end, f"{now.busy:.0f} requests are still there"
        await asyncio.sleep(0.05)
    return now


@pytest.fixture
def home(vllm_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process find the server's profile."""
    monkeypatch.setenv("MAIEUTIC_HOME", str(vllm_server.home.path))


@pytest.fixture
async def model(vllm_server: Server) -> AsyncIterator[OpenAICompatibleModel]:
    made = OpenAICompatibleModel(vllm_server.profile, vllm_server.load_profile(), vllm_server.url)
    yield made
    await made.close()


async def test_cancelled_calls_leave_the_server(vllm_server: Server, model: OpenAICompatibleModel) -> None:
    before = Counters(vllm_server)
    long = Sampling(temperature=1.0, max_tokens=900, extra={"ignore_eos": True})
    started = 0

    async def keep_asking(streamed: bool) -> None:
        nonlocal started
        while True:  # one that has ended before the server was looked at is followed by another
            started += 1
            await model.sample(
                Request(({"role": "user", "content": LONG},), long), (lambda _: None) if streamed else None
            )

    calls = [asyncio.create_task(keep_asking(streamed=bool(i % 2))) for i in range(8)]
    await until(vllm_server, lambda now: now.get("num_requests_running") >= 2)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    after = await until(vllm_server, lambda now: now.busy == 0)
    assert after.finished - before.finished < started, "what was cancelled has not been answered to its end"


@pytest.mark.usefixtures("home")
async def test_a_settled_vote_leaves_nothing_running(vllm_server: Server, tmp_path: Path) -> None:
    before = Counters(vllm_server)
    result = await arun(
        EASY,
        "self_consistency",
        model=vllm_server.profile,
        graph_settings={"samples": 256, "schedule": "all"},
        seed=5,
        traces=tmp_path / "traces",
    )
    after = await until(vllm_server, lambda now: now.busy == 0)
    assert result.answer == "2"
    assert after.finished - before.finished < 256, "what the vote no longer needed was cancelled at the server"


@pytest.mark.usefixtures("home")
async def test_samples_of_one_question_share_its_prompt(vllm_server: Server, tmp_path: Path) -> None:
    before = Counters(vllm_server)
    settings = {"samples": 8, "early_stop": False}
    result = await arun(
        LONG,
        "self_consistency",
        model=vllm_server.profile,
        graph_settings=settings,
        seed=1,
        traces=tmp_path / "traces",
    )
    after = Counters(vllm_server)
    hits = after.get("prefix_cache_hits_total") - before.get("prefix_cache_hits_total")
    queries = after.get("prefix_cache_queries_total") - before.get("prefix_cache_queries_total")
    assert queries >= result.usage.prompt_tokens
    assert hits >= 32, "blocks of 32 tokens are shared"
    assert result.usage.cached_tokens == hits, "and the client is told how many"
