"""Ray Data's side of `collect.py`: an async function over batches in actors, run by a Python that has `ray[data]`.

    python benchmarks/collect_ray_data.py URL ROLLOUTS IN_FLIGHT

Two actors, batches of eight rollouts, as many batches at once as the rollouts in flight allow; results are written as
they come. Prints the seconds from the first row asked for to the last one written; the rows lie ready by then.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import ray

ACTORS, BATCH = 2, 8


class Ask:
    """Asks the server for each row of a batch, all at once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        answers = await asyncio.gather(*(self._one(int(number)) for number in batch["id"]))
        yield {"id": batch["id"], "completion": answers}

    async def _one(self, number: int) -> str:
        assert self._session is not None
        messages = [{"role": "system", "content": "You solve tasks."}]
        messages.append({"role": "user", "content": f"Rollout {number}: what is 4 + 3?"})
        body = {"model": "m", "messages": messages, "seed": number, "logprobs": True, "return_token_ids": True}
        async with self._session.post(f"{self._url}/chat/completions", json=body) as response:
            return json.dumps(await response.json())


def main() -> None:
    url, rollouts, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")  # pyright: ignore[reportArgumentType]
    at_once = max(1, width // (ACTORS * BATCH))
    strategy = ray.data.ActorPoolStrategy(size=ACTORS, max_tasks_in_flight_per_actor=at_once)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.range(rollouts, override_num_blocks=max(1, rollouts // BATCH)).materialize()
    answered = rows.map_batches(
        Ask,
        fn_constructor_args=(url,),
        batch_size=BATCH,
        compute=strategy,
        num_cpus=0.25,
        max_concurrency=at_once,
    )
    started, done = time.perf_counter(), 0
    with tempfile.NamedTemporaryFile("w", dir=".") as file:
        for row in answered.iter_rows():
            file.write(json.dumps({"task": int(row["id"]), "completion": row["completion"]}) + "\n")
            done += 1
    assert done == rollouts
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
