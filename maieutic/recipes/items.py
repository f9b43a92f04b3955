"""What a recipe makes of runs, before a format writes rows: recorded calls, dialogues, pairs, judgements, prompts.

An `Episode` holds recorded calls, and a format can write their very token ids. The others hold texts that a recipe has
put together (a splice, a pair, a question for a verifier); where one of their texts is a recorded reply, it names its
call, so that ids need not be made anew.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from maieutic.tasks.task import AnswerType
from maieutic.trace.record import CallRecord, RunRecord
from maieutic.types import Message


@dataclass(frozen=True, slots=True)
class Episode:
    """The calls of one run that are to be learnt from, in the order they were made."""

    run: RunRecord
    calls: tuple[CallRecord, ...]
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a dialogue. `learn` says whether it is trained on: only what a policy should say is.

    `author` is who wrote it: policy, tool, env, critic, teacher or template. `call` is the recorded call whose whole
    reply the message is, where it is one. One that `continues` is the rest of the message before it, which is the
    beginning of the same turn: so a beginning can be shown and not learnt.
    """

    message: Message
    learn: bool = False
    author: str = "policy"
    call: CallRecord | None = None
    continues: bool = False


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation to be learnt from, turn by turn. `runs` are the ids of the runs it was made of."""

    turns: tuple[Turn, ...]
    runs: tuple[str, ...]
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """One side of a pair: a single assistant turn."""

    message: Message
    call: CallRecord | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two replies to one conversation, the better one first. `kind` says where the pair comes from.

    `unfinished` replies stop in mid-turn: that a turn ends there is nothing to learn.
    """

    prompt: tuple[Message, ...]
    chosen: Reply
    rejected: Reply
    kind: str
    runs: tuple[str, ...]
    meta: dict[str, Any] = field(default_factory=dict)
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A reply to a conversation, and whether it is wanted."""

    prompt: tuple[Message, ...]
    reply: Reply
    good: bool
    runs: tuple[str, ...]
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question for reinforcement learning: what is asked, and how an answer is checked.

    `task` has the fields of `Task`, gold and verifier included where they are known.
    """

    messages: tuple[Message, ...]
    task: dict[str, Any]
    runs: tuple[str, ...]
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spans:
    """A reply with labelled parts: `spans` are (from, to, weight) in characters of its text, weights in [-1, 1]."""

    prompt: tuple[Message, ...]
    reply: Reply
    spans: tuple[tuple[int, int, float], ...]
    runs: tuple[str, ...]
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a recipe has to be told before it can go on, as a question for a teacher (or for the student itself, `who`).

    Its reply ends with an answer of `answer_type`. `about` is the id of the task whose gold answer the reply is checked
    against, None where there is nothing to check. The reply comes back as a run of its own, which the recipe finds by
    `id`; `maieutic teach` sees to that.
    """

    id: str
    question: str
    answer_type: AnswerType
    who: Literal["teacher", "student"]
    about: str | None
    runs: tuple[str, ...]
    meta: dict[str, Any] = field(default_factory=dict)


Item = Episode | Dialogue | Pair | Judged | Prompt | Spans | Ask
