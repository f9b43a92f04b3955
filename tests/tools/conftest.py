"""Workers and pools for the sandbox's tests, ended after each test.

`start` starts workers in the mode that the caller's own uid gives; `start_isolated` repeats a test in each mode.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from maieutic.tools.sandbox.bubblewrap import Bubblewrap
from maieutic.tools.sandbox.pool import Pool
from maieutic.tools.sandbox.tier import Limits
from maieutic.tools.sandbox.worker_process import WorkerProcess

AMPLE = Limits(seconds=30)
Start = Callable[..., Awaitable[WorkerProcess]]

_reasons: dict[bool, str | None] = {}


async def working_tier(drop_root: bool) -> Bubblewrap:
    tier = Bubblewrap(drop_root)
    if drop_root not in _reasons:
        _reasons[drop_root] = await tier.probe()
    reason = _reasons[drop_root]
    if reason is not None:
        pytest.skip(f"the bubblewrap sandbox does not work here: {reason}")
    return tier


@pytest.fixture(params=["user namespace", "root dropped"])
async def tier(request: pytest.FixtureRequest) -> Bubblewrap:
    """The tier in each of the modes that the caller's own uid allows."""
    drop_root = request.param == "root dropped"
    if drop_root and os.geteuid() != 0:
        pytest.skip("only root has a root to drop")
    return await working_tier(drop_root)


async def _starting(tier: Bubblewrap) -> AsyncIterator[Start]:
    started: list[WorkerProcess] = []

    async def start_(limits: Limits = AMPLE, preload: tuple[str, ...] = ()) -> WorkerProcess:
        started.append(await tier.start(limits, preload))
        return started[-1]

    yield start_
    for worker in started:
        worker.kill()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async for start_ in _starting(await working_tier(os.geteuid() == 0)):
        yield start_


@pytest.fixture
async def start_isolated(tier: Bubblewrap) -> AsyncIterator[Start]:
    async for start_ in _starting(tier):
        yield start_


@pytest.fixture
async def make_pool() -> AsyncIterator[Callable[..., Pool]]:
    tier, pools = await working_tier(os.geteuid() == 0), []

    def make(limits: Limits = AMPLE, **options: int) -> Pool:
        pools.append(Pool(tier, limits, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
