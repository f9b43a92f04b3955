"""A job: what is asked of a collection, apart from how it is carried out. It can be sent to another process."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maieutic.budget import Budget
from maieutic.collector.groups import GroupStop
from maieutic.collector.manifest import Manifest, fingerprints
from maieutic.collector.shard import Shard
from maieutic.errors import UserError
from maieutic.graphs.graph import Graph
from maieutic.graphs.registry import load_graph
from maieutic.llm.model import Model
from maieutic.runner import Runner, open_runner
from maieutic.settings import Settings
from maieutic.tasks.source import load_tasks
from maieutic.tasks.task import Task
from maieutic.tools.tool import Tool
from maieutic.tools.toolset import Toolset
from maieutic.types import Sampling


@dataclass(frozen=True, kw_only=True)
class Job:
    """The fields are those of `maieutic.collector.collect`. Raises UserError for numbers that can't be."""

    source: str | Path | Sequence[Task]
    graph: str = "direct"
    model: str | Model | None = None
    models: Mapping[str, str | Model] = field(default_factory=dict)
    samples: int = 1
    seed: int = 0
    tools: tuple[str | Tool | Toolset, ...] = ()
    budget: Budget | None = None
    sampling: Sampling = Sampling()
    graph_settings: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    settings: Settings | None = None
    sandbox: str | None = None
    unsafe_local: bool = False
    approve: tuple[str, ...] = ()
    oracle: bool = False
    shard: Shard | None = None
    group_stop: GroupStop = GroupStop()
    source_name: str | None = None  # where the tasks are given, and came from somewhere that has a name

    def __post_init__(self) -> None:
        for name in ("samples", "limit"):
            refuse_below_one(name, getattr(self, name))

    @classmethod
    def of(cls, **asked: Any) -> "Job":
        """The job of `collect`'s own arguments."""
        shard, approve = asked.get("shard"), asked.get("approve") or ()
        made: dict[str, Any] = {
            "tools": tuple(asked.get("tools") or ()),
            "approve": (approve,) if isinstance(approve, str) else tuple(approve),
            "models": dict(asked.get("models") or {}),
            "graph_settings": dict(asked.get("graph_settings") or {}),
            "shard": None if shard is None else Shard.parse(shard),
            "group_stop": GroupStop(asked.pop("stop_group_at", None), asked.pop("stop_group_agreed", None)),
        }
        return cls(**{**asked, **made})

    @property
    def named(self) -> str:
        return self.source_name or (str(self.source) if isinstance(self.source, str | Path) else "tasks")

    async def tasks(self) -> tuple[list[Task], list[str]]:
        """The tasks of this shard, and a sentence for each line of the task file that can't be used."""
        tasks, problems = await self._loaded()
        tasks = tasks[: self.limit]
        return (tasks if self.shard is None else self.shard.of_tasks(tasks)), problems

    def group(self) -> dict[str, Any] | None:
        """What every run's header says of its group of attempts, where such groups may end early."""
        stop = self.group_stop
        if not stop:
            return None
        return {"samples": self.samples, "stop_group_at": stop.correct, "stop_group_agreed": stop.agreeing}

    def load_graph(self) -> Graph:
        """The graph, compiled. Raises UserError for a name or setting that is wrong."""
        return load_graph(self.graph, self.graph_settings)

    def open_runner(self, graph: Graph, traces: Path) -> AbstractAsyncContextManager[Runner]:
        return open_runner(
            graph,
            model=self.model,
            models=self.models,
            tools=self.tools,
            budget=self.budget,
            sampling=self.sampling,
            settings=self.settings,
            traces=traces,
            sandbox=self.sandbox,
            unsafe_local=self.unsafe_local,
            approve=self.approve,
            oracle=self.oracle,
        )

    def manifest(self, runner: Runner, tasks: Sequence[Task]) -> Manifest:
        """What is written down of it, so that a later start can be told from another job."""
        return Manifest(
            source=self.named,
            tasks=fingerprints(tasks),
            graph=self.graph,
            graph_settings=runner.graph.settings.model_dump(mode="json"),
            model=runner.models[""].model.name,
            models={role: runner.models[role].model.name for role in sorted(self.models)},
            tools=[one if isinstance(one, str) else one.name for one in self.tools],
            sampling=asdict(self.sampling),
            budget=asdict(self.budget or Budget()),
            samples=self.samples,
            seed=self.seed,
            created=time.time(),
            oracle=self.oracle,
            shard=None if self.shard is None else str(self.shard),
            stop_group_at=self.group_stop.correct,
            stop_group_agreed=self.group_stop.agreeing,
        )

    async def _loaded(self) -> tuple[list[Task], list[str]]:
        if not isinstance(self.source, str | Path):
            return list(self.source), []
        tasks, problems = await asyncio.to_thread(load_tasks, str(self.source))
        return tasks, [str(problem) for problem in problems]


ARGUMENTS = {*Job.__dataclass_fields__, "stop_group_at", "stop_group_agreed"} - {"group_stop", "source_name"}


def refuse_below_one(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(f"{name} is {value}: give a number from 1.")
