"""The Dialogue noun: messages with what is learnt of them, and what they are made of.

Each role has one fixed system text and one way of quoting drafts; `agents/prompts/in_box/` says the same words, so that
what the agents ask at run time is what was trained.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Message = dict[str, Any]

SYSTEMS = {
    "solver": "Solve.",
    "critic": "Check.",
    "refiner": "Repair.",
    "debater": "Debate.",
    "judge": "Judge.",
    "verifier": "Verify.",
    "peer": "Think with peers.",
    "stepper": "Next step.",
    "valuer": "Value.",
}
OTHER_SYSTEMS = (
    None,
    None,
    "You are a helpful assistant.",
    "You are a helpful assistant. Think step by step and give the final answer.",
    "You are a careful solver. Work step by step.",
)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Messages in the OpenAI form and the names of the tools on offer; assistant messages are what is learnt."""

    kind: str
    messages: list[Message]
    tools: list[str] = field(default_factory=list)


def dialogue(kind: str, system: str | None, *turns: Message, tools: list[str] | None = None) -> Dialogue:
    """A dialogue of these turns, after a system message where there is one."""
    head = [{"role": "system", "content": system}] if system is not None else []
    return Dialogue(kind, [*head, *turns], tools or [])


def user(text: str) -> Message:
    """A user message."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """An assistant message, all of it learnt."""
    return {"role": "assistant", "content": text}


class Piece(NamedTuple):
    """A part of an assistant message, and whether it is learnt: what others put into its mouth is not."""

    text: str
    learnt: bool


def pieced(*pieces: Piece) -> Message:
    """An assistant message of which only some pieces are learnt."""
    return {"role": "assistant", "content": "".join(piece.text for piece in pieces), "pieces": pieces}


def tool_call(program: str) -> Message:
    """An assistant message that runs `program` with the python tool."""
    return call("python", code=program)


def call(tool: str, says: str = "", **arguments: Any) -> Message:
    """An assistant message that calls a tool, after what it `says`."""
    made = {"type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    return {"role": "assistant", "content": says, "tool_calls": [made]}


def result(output: str) -> Message:
    """A tool's reply."""
    return {"role": "tool", "content": output}


def any_system(rng: random.Random) -> str | None:
    """The solver's system message, or now and then what others would say there."""
    return SYSTEMS["solver"] if rng.random() < 0.85 else rng.choice(OTHER_SYSTEMS)
