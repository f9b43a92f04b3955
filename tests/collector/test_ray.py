"""The engine `ray`, on one machine: every result once, also where actors are killed in the middle.

Skipped where Ray is not installed (`pip install 'maieutic[ray]'`).
"""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maieutic.cli.collection import in_words
from maieutic.collector import Progress, collect
from maieutic.collector.pace import share
from maieutic.errors import UnknownName, UserError
from maieutic.tasks.task import Task
from maieutic.trace.reader import TraceReader
from tests.support.collected import each_done_once
from tests.support.server import Answer, FakeServer

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'maieutic[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error", namespace="tests")
    yield
    ray.shutdown()


def tasks(n: int) -> list[Task]:
    return [Task(id=f"t{i}", question=f"What is {i} + 1?", gold=str(i + 1)) for i in range(n)]


def right(body: dict[str, Any]) -> Answer:
    number = int(re.findall(r"(\d+) \+ 1", body["messages"][-1]["content"])[-1])
    return Answer(f"Answer: {number + 1}", delay=0.02)


def keys(n: int, samples: int = 1) -> list[tuple[str, int]]:
    return [(f"t{i}", sample) for i in range(n) for sample in range(samples)]


async def test_many_servers_many_actors_each_result_once(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with FakeServer(right) as one, FakeServer(right) as two:
        model = f"vllm/m@{one.url},{two.url}"
        options: dict[str, Any] = {"out": tmp_path, "engine": "ray", "actors": 2, "model": model, "samples": 2}
        report = await collect(tasks(60), concurrency=16, on_progress=seen.append, **options)
        assert one.requests and two.requests
        assert max(one.peak, two.peak) <= 16
        again = await collect(tasks(64), **options)
    assert (report.done, report.total, report.new, report.failed, report.stopped) == (120, 120, 120, 0, None)
    assert report.summary.accuracy is not None and report.summary.accuracy.estimate == 1.0
    assert (again.done, again.new) == (128, 8)
    each_done_once(tmp_path, keys(64, 2))
    assert report.traces == tmp_path and list(tmp_path.glob("shard-*/results.jsonl"))
    assert (seen[-1].done, seen[-1].total, seen[-1].correct) == (120, 120, 120)


async def test_an_actor_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with FakeServer(right) as server:
        options: dict[str, Any] = {"out": tmp_path, "engine": "ray", "actors": 2, "model": f"vllm/m@{server.url}"}
        work = asyncio.create_task(collect(tasks(240), concurrency=8, **options))
        killed = 0
        while not work.done() and killed < 4:
            before = len(server.requests)
            await server.until(lambda before=before: len(server.requests) > before + 15, 60)  # type: ignore[misc]
            killed += await asyncio.to_thread(kill_one, killed)
        report = await work
    assert killed >= 2
    assert (report.done, report.failed, report.stopped) == (240, 0, None)
    each_done_once(tmp_path, keys(240))


def kill_one(turn: int) -> bool:
    """Kill -9 an actor's process; False where none could be asked for its number in time."""
    found = [one for one in ray.util.list_named_actors(all_namespaces=True) if one["name"].startswith("maieutic-")]
    if not found:
        return False
    one = found[turn % len(found)]
    try:
        pid = ray.get(ray.get_actor(one["name"], one["namespace"]).pid.remote(), timeout=20)
        os.kill(pid, signal.SIGKILL)
    except (ray.exceptions.RayError, ValueError, ProcessLookupError):
        return False
    return True


async def test_roles_have_models_of_their_own(tmp_path: Path) -> None:
    fine = Answer("Each step is right.\n\nFirst wrong step: none")
    with FakeServer(right) as one, FakeServer(fine, models=["c"]) as two:
        options: dict[str, Any] = {"out": tmp_path, "graph": "critique", "model": f"vllm/m@{one.url}", "concurrency": 8}
        options |= {"engine": "ray", "actors": 2}
        critic = f"vllm/c@{two.url}"
        with pytest.raises(UserError, match="critik"):
            await collect(tasks(24), models={"critik": critic}, **options)
        report = await collect(tasks(24), models={"critic": critic}, **options)
        assert {body["model"] for body in one.requests} == {"m"}
        assert {body["model"] for body in two.requests} == {"c"} and len(two.requests) >= 24
        again = await collect(tasks(24), models={"critic": critic}, **options)
        with pytest.raises(UserError, match="models critic="):
            await collect(tasks(24), **options)
    assert (report.done, report.failed, report.stopped, again.new) == (24, 0, None, 0)
    manifests = [json.loads(path.read_text()) for path in tmp_path.glob("shard-*/collect.json")]
    assert manifests and {tuple(one["models"]) for one in manifests} == {("critic",)}
    asked = {(False, manifests[0]["model"]), (True, manifests[0]["models"]["critic"])}
    rows = each_done_once(tmp_path, keys(24))
    with TraceReader(tmp_path) as reader:
        for row in rows:
            assert {(call.role == "critic", call.model) for call in reader.run(row.run_id).calls} == asked


async def test_behind_a_url_the_report_names_it(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/there"
    with FakeServer(right) as server:
        model = f"vllm/m@{server.url}"
        report = await collect(tasks(12), out=url, engine="ray", actors=1, model=model)
    assert (report.done, report.place) == (12, url)
    assert f"maieutic export {url} --recipe" in in_words(report)
    each_done_once(tmp_path / "there", keys(12))


async def test_a_stop_ends_all_actors_and_another_start_goes_on(tmp_path: Path) -> None:
    stop = asyncio.Event()
    with FakeServer(right) as server:
        options: dict[str, Any] = {"out": tmp_path, "engine": "ray", "actors": 2, "model": f"vllm/m@{server.url}"}
        work = asyncio.create_task(collect(tasks(200), concurrency=4, stop=stop, **options))
        assert await server.until(lambda: len(server.requests) > 20, 60)
        stop.set()
        report = await work
        assert report.stopped == f"Interrupted after {report.done} results; start the same command again to go on."
        assert 0 < report.done < 200
        assert (await collect(tasks(200), concurrency=16, **options)).done == 200
    each_done_once(tmp_path, keys(200))


async def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="asyncio, ray"):
        await collect(tasks(1), out=tmp_path / "out", model="in-box", engine="spark")
    with pytest.raises(UserError, match="makes shards of its own"):
        await collect(tasks(1), out=tmp_path / "out", model="in-box", engine="ray", shard="0/2")
    with pytest.raises(UserError, match="no model named 'nothing-like-it'"):
        await collect(tasks(1), out=tmp_path / "out", model="nothing-like-it", engine="ray", actors=1)


def test_the_runs_under_way_are_divided_among_actors() -> None:
    assert [share(64, 4), share("8-512", 4), share(2, 4), share("1-9", 2)] == ["16-16", "2-128", "1-1", "1-5"]
