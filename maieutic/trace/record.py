"""What a trace holds: one header a run, one record a model call, and events beside them.

These are the values that the gateway writes and that recipes read; how they lie on disk is `codec` and `segment`.
"""

import time
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from maieutic.types import Completion, Outcome, Request

FORMAT_VERSION = 1

ParentType = Literal["continuation", "critique", "reflection", "peer", "debate", "judge", "retry", "splice"]
EventKind = Literal[
    "tool_result",
    "approval_requested",
    "reward",
    "label",
    "vote",
    "verdict",
    "confidence",
    "gate",
    "tree",
    "lesson",
    "note",
    "error",
]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)


@dataclass(frozen=True, slots=True)
class Parent:
    """An earlier call that this one builds on, and how."""

    call_id: str
    type: ParentType


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What was asked, of whom, under which conditions; the first line of a run.

    `task` is the public part of the task (never its gold answer). `models` names every model in play, the main one
    first. `group_id` is shared by runs of the same prompt under the same policy. `parent` is the run this one was
    started from. `oracle` marks a run whose loop may have seen gold. `started` is seconds since the epoch. `asked` is
    what else was asked for, as far as it can be written down, so that the run can be resumed.
    """

    run_id: str
    task_key: str
    sample: int = 0
    attempt: int = 0
    graph: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    seed: int | None = None
    task: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    budget: dict[str, Any] = field(default_factory=dict)
    parent: str | None = None
    group_id: str | None = None
    oracle: bool = False
    started: float = field(default_factory=time.time)
    asked: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One model call, whole: what was sent, what came back, who spoke where in the graph.

    `completion` is None when nothing came back; a call cut off by an error or a cancellation may carry what had
    arrived. `model` is the name the model was asked for; what the server calls itself is `completion.model`.
    `t0` and `t1` are seconds since the epoch.
    """

    run_id: str
    call_id: str
    model: str
    request: Request
    completion: Completion | None
    t0: float
    t1: float
    parents: tuple[Parent, ...] = ()
    node: str = ""
    role: str = ""
    branch: str = ""
    turn: int = 0
    gold_in_context: bool = False
    error: str | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Anything in a run that is not a model call: `fields` is what was given to `RunTrace.write`."""

    kind: str
    time: float
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What can be known of a run without reading it. None means that the run has not said (yet).

    `models` is the header's, joined by commas. `outcome` and `score` are the last that were given, by the closing line
    or by a verdict about the whole run. `calls` counts the recorded calls, failed ones included. `group_samples` is how
    many attempts its group was to have, where that may end before it has them all (`asked.group` in the header).
    """

    run_id: str
    task_key: str
    sample: int
    attempt: int
    graph: str
    models: str
    group_id: str | None
    oracle: bool
    started: float
    finished: float | None
    outcome: Outcome | None
    score: float | None
    partial: bool | None
    calls: int
    prompt_tokens: int | None
    completion_tokens: int | None
    group_samples: int | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run read back whole. `finish` is None when the run never ended (its process was killed, or still runs)."""

    header: RunHeader
    calls: tuple[CallRecord, ...]
    events: tuple[RunEvent, ...]
    finish: RunEvent | None

    def events_of(self, kind: EventKind) -> tuple[RunEvent, ...]:
        return tuple(event for event in self.events if event.kind == kind)
