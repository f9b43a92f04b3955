"""Workers and pools for the sandbox's tests, ended after each test.

`start_isolated` starts workers in every tier that runs CPython here, bubblewrap in each mode that the caller's own uid
allows; `start` in one of each kind; `make_pool` makes pools over the best. What doesn't work here is skipped by name.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from maieutic.tools.sandbox.bubblewrap import Bubblewrap
from maieutic.tools.sandbox.confined import Confined
from maieutic.tools.sandbox.pool import Pool
from maieutic.tools.sandbox.tier import Limits, Tier
from maieutic.tools.sandbox.worker_process import WorkerProcess

AMPLE = Limits(seconds=30)
Start = Callable[..., Awaitable[WorkerProcess]]

_MAKE: dict[str, Callable[[], Bubblewrap | Confined]] = {
    "bubblewrap": Bubblewrap,
    "user namespace": lambda: Bubblewrap(drop_root=False),
    "root dropped": lambda: Bubblewrap(drop_root=True),
    "landlock": Confined,
}
_reasons: dict[str, str | None] = {}


async def working_tier(kind: str) -> Bubblewrap | Confined:
    if kind == "root dropped" and os.geteuid() != 0:
        pytest.skip("only root has a root to drop")
    tier = _MAKE[kind]()
    if kind not in _reasons:
        _reasons[kind] = await tier.probe()
    reason = _reasons[kind]
    if reason is not None:
        pytest.skip(f"NOT CHECKED: whether {tier.name} ({kind}) holds, because it does not work here: {reason}")
    return tier


_NOT_OURS = [pytest.mark.slow] if os.geteuid() == 0 else []  # what an ordinary user's workers do


@pytest.fixture(params=[pytest.param("user namespace", marks=_NOT_OURS), "root dropped", "landlock"])
async def tier(request: pytest.FixtureRequest) -> Bubblewrap | Confined:
    return await working_tier(request.param)


@pytest.fixture(params=["bubblewrap", pytest.param("landlock", marks=pytest.mark.slow)])
async def own_tier(request: pytest.FixtureRequest) -> Bubblewrap | Confined:
    return await working_tier(request.param)


async def _starting(tier: Bubblewrap | Confined) -> AsyncIterator[Start]:
    started: list[WorkerProcess] = []

    async def start_(limits: Limits = AMPLE, preload: tuple[str, ...] = ()) -> WorkerProcess:
        started.append(await tier.start(limits, preload))
        return started[-1]

    yield start_
    for worker in started:
        worker.kill()


@pytest.fixture
async def start(own_tier: Bubblewrap | Confined) -> AsyncIterator[Start]:
    async for start_ in _starting(own_tier):
        yield start_


@pytest.fixture
async def start_isolated(tier: Bubblewrap | Confined) -> AsyncIterator[Start]:
    async for start_ in _starting(tier):
        yield start_


async def best_tier() -> Tier:
    bubblewrap = Bubblewrap()
    if "bubblewrap" not in _reasons:
        _reasons["bubblewrap"] = await bubblewrap.probe()
    return bubblewrap if _reasons["bubblewrap"] is None else await working_tier("landlock")


@pytest.fixture
async def make_pool() -> AsyncIterator[Callable[..., Pool]]:
    tier, pools = await best_tier(), []

    def make(limits: Limits = AMPLE, **options: int) -> Pool:
        pools.append(Pool(tier, limits, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
