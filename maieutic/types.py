"""The small values that every room passes around: messages, samples, tool results, verdicts.

They are plain frozen dataclasses because a run creates thousands of them; what a user writes by hand (tasks,
settings) is validated where it is read.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NotRequired, TypedDict

Role = Literal["system", "user", "assistant", "tool"]
ToolStatus = Literal["ok", "error", "timeout"]
ToolChoice = Literal["auto", "none", "required"]


class Message(TypedDict):
    """One chat message in the OpenAI wire shape; fields Maieutic does not know travel untouched."""

    role: Role
    content: str | list[dict[str, Any]] | None
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]
    reasoning: NotRequired[str]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asked for. `arguments` is the raw JSON text: it may be malformed, and is then reported."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came back from a tool: `meta` holds e.g. the sandbox tier."""

    call_id: str
    name: str
    content: str
    status: ToolStatus
    seconds: float
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. None leaves the choice to the model's own default. `extra` goes to the server as it is.

    `top_logprobs` asks for that many alternatives at every token, most probable first.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: bool = True
    top_logprobs: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent. `cost` is in US dollars, None where no price is known; `seconds` is wall-clock."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        cost = self.cost if other.cost is None else other.cost + (self.cost or 0.0)
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            cost,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One model call. `continue_final` asks the model to go on from the last message instead of opening a new one.

    `tool_choice` says whether the model may call a tool (None and auto), must (required), or must not (none): then it
    still reads of them, so that a conversation keeps its prefix. `schema` is a JSON schema that the reply must have.
    With `prompt_ids` the model goes on after exactly these token ids, and no template is applied; `messages` then only
    tell a reader of the trace what they stand for.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    tools: tuple[ToolSpec, ...] = ()
    continue_final: bool = False
    schema: dict[str, Any] | None = None
    prompt_ids: tuple[int, ...] | None = None
    tool_choice: ToolChoice | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the last message is left open: the completion is the rest of it."""
        return self.continue_final or self.prompt_ids is not None


@dataclass(frozen=True, slots=True)
class Delta:
    """A streamed piece. `tokens` is how many completion tokens it carries (1 where the server doesn't say), `ids` and
    `logprobs` are theirs. A call's first piece also says what its prompt has: `prompt_tokens` tokens, `prompt_ids`.
    None is what the server doesn't say, or doesn't say yet."""

    text: str = ""
    reasoning: str = ""
    tokens: int = 1
    prompt_tokens: int | None = None
    prompt_ids: tuple[int, ...] | None = None
    ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, as exactly as the server tells it.

    `prompt_token_ids` and `token_ids` are None where the server does not return ids; `logprobs`, one float per
    completion token (natural log), likewise. `top_logprobs` has the alternatives that were asked for, a tuple of
    (text, log-probability) for each completion token, the sampled one among them. `finish_reason` is the server's own
    word (stop, length, tool_calls, …), or why a listener found it was enough (repetition).
    `weights` names the weights version, `template` the chat template's hash; `extra` keeps unknown response fields.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None
    finish_reason: str | None = None
    prompt_token_ids: tuple[int, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[tuple[tuple[str, float], ...], ...] | None = None
    usage: Usage = Usage()
    model: str = ""
    weights: str | None = None
    template: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def message(self) -> Message:
        """The assistant message that continues the conversation."""
        message: Message = {"role": "assistant", "content": self.text}
        if self.reasoning:
            message["reasoning"] = self.reasoning
        if self.tool_calls:
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in self.tool_calls
            ]
        return message


class Outcome(StrEnum):
    """How an answer fared against its verifier. `abstained`: the model said that it does not know; it has no score."""

    CORRECT = "correct"
    WRONG = "wrong"
    ABSTAINED = "abstained"
    UNPARSED = "unparsed"
    FORMAT_ERROR = "format_error"
    TIMEOUT = "timeout"
    TOOL_ERROR = "tool_error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verifier's word: `score` in [0, 1], or None where nothing could be scored; `answer` is what was compared."""

    outcome: Outcome
    score: float | None
    answer: str | None = None
    reason: str = ""
    verifier: str = ""
