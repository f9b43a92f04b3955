"""What all views of one run share, and the small values that a view hands out."""

import itertools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from maieutic.budget import Account
from maieutic.events import EventStream
from maieutic.llm.model import Model
from maieutic.llm.registry import Resolved
from maieutic.tasks.oracle import Oracle
from maieutic.tasks.task import PublicTask
from maieutic.tools.approval import Approval
from maieutic.tools.tool import Session, Tool
from maieutic.tools.use import PastTools
from maieutic.trace.writer import RunTrace
from maieutic.types import Completion, Message, Request, Sampling


class Kept(Protocol):
    """Anything an agent produced; `call_id` is the model call it ended in."""

    @property
    def call_id(self) -> str: ...


class Past(PastTools, Protocol):
    """A run that this one goes on from: its model and tool calls that have ended are not made again."""

    def model(self, branch: str, turn: int, name: str, request: Request) -> Model | None:
        """What answers the request of the model `name` as it was answered then; None where it was not."""
        ...


Prompts = dict[tuple[str, str | None], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One completed model call: its id in the trace, what was said, and the conversation up to and including it.

    `before` is what stood already in the turn that the call went on with; `text` is the whole turn, while `completion`
    holds the new part alone. `acted` are the completions that called tools on the way to it, where there were any.
    """

    call_id: str
    completion: Completion
    messages: tuple[Message, ...]
    role: str
    request: Request
    before: str = ""
    acted: tuple[Completion, ...] = ()

    @property
    def text(self) -> str:
        return self.before + self.completion.text

    @property
    def logprobs(self) -> tuple[float, ...] | None:
        """The log-probability of every token sampled for it, tool calls included; None where any is not known."""
        found: list[float] = []
        for completion in (*self.acted, self.completion):
            if completion.logprobs is None:
                return None
            found += completion.logprobs
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Proposal:
    """An answer the run could return now. `answer` is None where none could be read from `text`."""

    answer: str | None
    text: str
    call_id: str | None = None


@dataclass(slots=True)
class RunState:
    """What all views of one run share; `oracle` is there only where it was asked for.

    `task` is the public part, without gold answer. `history` is what was said before the question in a conversation.
    `prompts` are those read so far by any run of the same runner, by role and family. `turns` counts the calls of each
    branch path, so that a path which is forked again does not draw the same seeds again.
    """

    run_id: str
    task: PublicTask
    models: Mapping[str, Resolved]
    tools: Mapping[str, Tool]
    trace: RunTrace
    events: EventStream
    seed: int
    sampling: Sampling = Sampling()
    prompt_folders: tuple[Path, ...] = ()
    history: tuple[Message, ...] = ()
    best: Proposal | None = None
    partial: str | None = None
    kept: dict[str, "Kept"] = field(default_factory=dict)
    prompts: Prompts = field(default_factory=dict)
    approval: Approval = field(default_factory=Approval)
    past: Past | None = None
    oracle: Oracle | None = None
    call_numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    turns: "defaultdict[str, itertools.count[int]]" = field(default_factory=lambda: defaultdict(itertools.count))


@dataclass(slots=True)
class Branch:
    """One line of work within a run: its path (empty for the trunk), budget node and tool session."""

    path: str
    account: Account
    session: Session
