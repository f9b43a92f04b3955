"""What a person asks of a run at the terminal, the same for one question, a conversation and a batch."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.budget import Budget
from maieutic.errors import UserError
from maieutic.types import Sampling

if TYPE_CHECKING:
    from maieutic.runner import Runner
    from maieutic.settings import Settings
    from maieutic.tools.approval import Approver


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Names and limits as they were given; None leaves a choice to the user's settings.

    `models` gives single roles a model of their own, `graph_settings` go to the graph, `seed` is the first run's.
    """

    graph: str | None = None
    model: str | None = None
    models: dict[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    budget: Budget | None = None
    sampling: Sampling = Sampling()
    seed: int | None = None
    graph_settings: dict[str, Any] = field(default_factory=dict)
    traces: Path | None = None
    sandbox: str | None = None
    unsafe_local: bool = False
    approve: tuple[str, ...] = ()
    web_cache: Path | None = None
    web_replay: bool = False
    oracle: bool = False

    def graph_name(self, settings: "Settings") -> str:
        return self.graph or settings.graph

    def model_name(self, settings: "Settings") -> str:
        return self.model or settings.model

    def with_web(self, settings: "Settings") -> "Settings":
        """The settings with the record of the web that is asked for. Raises UserError where none is named."""
        if self.web_replay and self.web_cache is None and settings.web.cache is None:
            raise UserError("What is to be replayed? Name the record of the web with --web-cache DIR.")
        web: dict[str, Any] = {"cache": self.web_cache.expanduser().absolute()} if self.web_cache is not None else {}
        web |= {"cache_mode": "replay"} if self.web_replay else {}
        return settings.model_copy(update={"web": settings.web.model_copy(update=web)})


def open_with(
    options: RunOptions, settings: "Settings", approver: "Approver | None" = None
) -> AbstractAsyncContextManager["Runner"]:
    """A runner as `options` ask for it; entering it raises UserError for whatever is wrong with them.

    `approver` is asked about the calls that wait for approval.
    """
    from maieutic.runner import open_runner

    return open_runner(
        options.graph_name(settings),
        model=options.model_name(settings),
        models=options.models,
        tools=options.tools,
        settings=options.with_web(settings),
        graph_settings=options.graph_settings,
        budget=options.budget,
        sampling=options.sampling,
        traces=options.traces,
        sandbox=options.sandbox,
        unsafe_local=options.unsafe_local,
        approve=options.approve,
        approver=approver,
        oracle=options.oracle,
    )
