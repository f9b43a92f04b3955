"""What is no longer wanted frees the server at once: a settled vote, Ctrl-C, a collection that is stopped."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from maieutic.budget import Budget
from maieutic.collector import collect
from maieutic.llm.profile import Profile
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.fleet import Fleet
from maieutic.runner import arun
from maieutic.tasks.task import Task
from tests.support.server import Answer, FakeServer

FOR_EVER = 600.0


class ThenSilent:
    """Answers so many requests, over all servers that share it, and lets the others wait."""

    def __init__(self, answers: int, text: str = "Answer: 7", stream: bool = False) -> None:
        self._numbers, self._answers, self._text, self._stream = count(1), answers, text, stream

    def __call__(self, body: dict[str, Any]) -> Answer:
        if next(self._numbers) <= self._answers:
            return Answer(self._text)
        return Answer("x" * 400, chunk_delay=FOR_EVER) if self._stream else Answer(delay=FOR_EVER)


def model_at(servers: Sequence[FakeServer]) -> OpenAICompatibleModel | Fleet:
    profile, urls = Profile(kind="vllm", model="m"), [server.url for server in servers]
    return OpenAICompatibleModel("one", profile, urls[0]) if len(urls) == 1 else Fleet.of("fleet", profile, urls)


async def all_free(servers: Sequence[FakeServer]) -> bool:
    return all([await server.until(lambda s=server: s.running == 0, 30) for server in servers])


@pytest.mark.parametrize("budget", [None, Budget(tokens=10**6)], ids=["plain", "streamed"])
@pytest.mark.parametrize("servers", [1, 2])
async def test_a_settled_vote_leaves_nothing_running(tmp_path: Path, servers: int, budget: Budget | None) -> None:
    script = ThenSilent(3, stream=budget is not None)
    with FakeServer(script) as a, FakeServer(script) as b:
        used = [a, b][:servers]
        model = model_at(used)
        settings = {"samples": 5, "schedule": "all"}
        result = await arun(
            "4 + 3?", "self_consistency", model=model, graph_settings=settings, traces=tmp_path, budget=budget
        )
        assert result.answer == "7"
        assert sum(len(server.requests) for server in used) == 5
        assert await all_free(used)
        assert sum(len(server.disconnects) for server in used) == 2
        await model.close()


async def test_a_stopped_or_cancelled_collection_leaves_nothing_running(tmp_path: Path) -> None:
    tasks = [Task(id=f"t{i}", question=f"Question {i}?") for i in range(40)]
    for how in ("stop", "cancel"):
        with FakeServer(ThenSilent(5)) as server:
            model, stop = model_at([server]), asyncio.Event()
            collecting = asyncio.create_task(collect(tasks, out=tmp_path / how, model=model, concurrency=8, stop=stop))
            assert await server.until(lambda s=server: s.running == 8, 30)
            if how == "stop":
                stop.set()
                assert (await collecting).done == 5
            else:
                collecting.cancel()
                await asyncio.gather(collecting, return_exceptions=True)
            assert await all_free([server])
            await model.close()


async def interrupted(arguments: list[str], servers: Sequence[FakeServer], running: int) -> int:
    """Run the command, press Ctrl-C once so many calls are under way, and see that all of them end; its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "maieutic", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )
    try:
        while sum(server.running for server in servers) < running:
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert await all_free(servers)
        await asyncio.to_thread(process.communicate, timeout=60)
        return process.returncode
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
async def test_ctrl_c_ends_the_calls_of_a_question() -> None:
    with FakeServer(Answer(chunk_delay=FOR_EVER)) as a, FakeServer(Answer(chunk_delay=FOR_EVER)) as b:
        arguments = ["ask", "4 + 3?", "--graph", "self_consistency", "--set", "schedule=all", "--set", "samples=16"]
        assert await interrupted([*arguments, "--model", f"vllm/m@{a.url},{b.url}"], [a, b], 16) == 130
    assert a.requests and b.requests


@pytest.mark.slow
async def test_ctrl_c_ends_the_calls_of_a_collection(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(json.dumps({"question": f"Question {i}?", "gold": "7"}) + "\n" for i in range(30)))
    with FakeServer(ThenSilent(6)) as server:
        arguments = ["collect", str(tasks), "--out", str(tmp_path / "out"), "--model", f"vllm/m@{server.url}"]
        assert await interrupted(arguments, [server], 8) == 130
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 6
