"""What recipes put together themselves: the question as it was asked, the reply, and what stands between steps."""

from collections.abc import Iterable, Sequence
from typing import Literal

from maieutic.recipes.groups import Attempt
from maieutic.recipes.items import Turn
from maieutic.recipes.linearise import TreeNode
from maieutic.tasks.task import options
from maieutic.trace.record import CallRecord, RunRecord
from maieutic.types import Message

CAUTIOUS = "You answer questions with care. End with a line that holds only the result:\nAnswer: <the result>"
GO_ON = "Go on."

Asking = Literal["plain", "own"]
"""Under which prompt a row has its question: one that names no strategy, or the one that the attempt itself had."""


def question_of(run: RunRecord) -> str:
    """The question, and under it the options of a multiple choice where it doesn't name them itself."""
    task = run.header.task
    question, labelled = str(task.get("question", "")), options(task.get("inputs") or {})
    if all(text in question for text in labelled.values()):
        return question
    return "\n".join([question, "", *(f"{label}) {text}" for label, text in labelled.items())])


def asked(run: RunRecord, system: str = CAUTIOUS) -> tuple[Turn, ...]:
    """The question under a system prompt that names no strategy."""
    return (
        Turn({"role": "system", "content": system}, author="template"),
        Turn({"role": "user", "content": question_of(run)}, author="template"),
    )


def asked_as(attempt: Attempt, prompt: Asking) -> tuple[Turn, ...]:
    """An attempt's question as a row is to have it."""
    if prompt == "plain":
        return asked(attempt.run)
    return tuple(Turn(message, author="template") for message in attempt.prompt)


def said(text: str, learn: bool = True, author: str = "policy", continues: bool = False) -> Turn:
    return Turn({"role": "assistant", "content": text}, learn, author, continues=continues)


def messages_of(turns: Iterable[Turn]) -> tuple[Message, ...]:
    return tuple(turn.message for turn in turns)


def lines_of(text: str) -> list[tuple[int, int]]:
    """Where the steps of a solution stand in it: its lines that are not empty, as (from, to) without white space around
    them. A critic counts them in the same way."""
    found, at = [], 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            start = at + len(line) - len(line.lstrip())
            found.append((start, start + len(line.strip())))
        at += len(line)
    return found


def numbered(text: str) -> str:
    """The steps of a solution, a line each, numbered from 1."""
    return "\n".join(f"{i}. {text[start:end]}" for i, (start, end) in enumerate(lines_of(text), 1))


def step_turns(nodes: Sequence[TreeNode], calls: dict[str, CallRecord], learn: bool) -> list[Turn]:
    """Steps of a search as turns, each with what its tool said after it, or else a word that asks for the next one."""
    turns: list[Turn] = []
    for node in nodes:
        turns.append(_step(node, calls.get(node.call_id), learn))
        turns.append(_after(node))
    return turns


def go_on() -> Turn:
    return Turn({"role": "user", "content": GO_ON}, author="template")


def _step(node: TreeNode, call: CallRecord | None, learn: bool) -> Turn:
    if node.tool is None:
        return said(node.action, learn)
    shown = f"[Call of {node.tool['name']}]\n{node.tool['arguments']}"
    function = {"name": node.tool["name"], "arguments": node.tool["arguments"]}
    message: Message = {
        "role": "assistant",
        "content": node.action.removesuffix(shown).rstrip(),
        "tool_calls": [{"id": node.tool["id"], "type": "function", "function": function}],
    }
    return Turn(message, learn, call=call)  # the call, so that a format can show the tools it was offered


def _after(node: TreeNode) -> Turn:
    if node.tool is None or node.observation is None:
        return go_on()
    message: Message = {
        "role": "tool",
        "tool_call_id": node.tool["id"],
        "name": node.tool["name"],
        "content": node.observation,
    }
    return Turn(message, author="tool")
