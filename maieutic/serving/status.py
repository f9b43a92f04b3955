"""How the servers are: health, what they serve, how busy they are, from two readings of their counters."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maieutic.errors import MaieuticError
from maieutic.serving.control import Control
from maieutic.serving.records import Record, Servers

State = Literal["up", "starting", "silent", "gone"]
BETWEEN = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """One server now. `state`: up; starting; silent (it runs and doesn't answer); gone (its process has ended).

    What can't be known is None: the rates of a server that doesn't answer, the hit rate before the first request.
    `left` is how many processes of one that is gone still run: an engine and workers may outlive a killed server.
    """

    name: str
    state: State
    model: str
    url: str
    pid: int
    seconds: float
    version: str | None
    cpu: bool
    weights: str | None
    template: str | None
    adapters: tuple[str, ...] | None = None
    running: int | None = None
    waiting: int | None = None
    prefix_hit_rate: float | None = None
    tokens_per_second: float | None = None
    left: int = 0


def statuses(servers: Servers, names: Sequence[str], between: float = BETWEEN) -> list[Status]:
    """The servers of these names; takes `between` seconds, in which tokens are counted. Raises UserError."""
    records = [servers.get(name) for name in names]
    before = [_reading(record) for record in records]
    if any(reading is not None for reading in before):
        time.sleep(between)
    return [_status(record, first) for record, first in zip(records, before, strict=True)]


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    adapters: tuple[str, ...]
    metrics: dict[str, float]


def _reading(record: Record) -> _Reading | None:
    """What the server says of itself; None where it doesn't answer."""
    if not record.session.alive():
        return None
    with Control(record) as control:
        try:
            if not control.healthy():
                return None
            adapters = tuple(model["id"] for model in control.models() if model.get("parent"))
            return _Reading(time.monotonic(), adapters, control.metrics())
        except MaieuticError:
            return None


def _status(record: Record, before: _Reading | None) -> Status:
    now = _reading(record)
    names = ("name", "model", "url", "pid", "version", "cpu", "weights", "template")
    fields = {name: getattr(record, name) for name in names}
    seconds = time.time() - record.began
    if now is None:
        state: State = "gone" if not record.session.alive() else "silent" if record.ready else "starting"
        left = len(record.session.members()) if state == "gone" else 0
        return Status(state=state, seconds=seconds, left=left, **fields)
    metrics = now.metrics
    queries = metrics.get("vllm:prefix_cache_queries_total")
    return Status(
        state="up" if record.ready else "starting",
        seconds=seconds,
        adapters=now.adapters,
        running=_count(metrics, "vllm:num_requests_running"),
        waiting=_count(metrics, "vllm:num_requests_waiting"),
        prefix_hit_rate=metrics.get("vllm:prefix_cache_hits_total", 0.0) / queries if queries else None,
        tokens_per_second=_rate(before, now),
        **fields,
    )


def _count(metrics: dict[str, float], name: str) -> int | None:
    return int(metrics[name]) if name in metrics else None


def _rate(before: _Reading | None, now: _Reading) -> float | None:
    name = "vllm:generation_tokens_total"
    if before is None or name not in before.metrics or name not in now.metrics or now.at <= before.at:
        return None
    return (now.metrics[name] - before.metrics[name]) / (now.at - before.at)
