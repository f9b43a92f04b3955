"""Teachers as programs, named by profiles of kind python."""

import re
from collections.abc import Callable
from pathlib import Path

from maieutic.llm.scripted import ScriptedModel
from maieutic.types import Request

asked: list[str] = []
"""What teachers have been asked, prompts whole; a test clears it."""
on_ask: list[Callable[[], None]] = []
"""Called at each question; a test clears it."""


def right(name: str) -> ScriptedModel:
    """Finds the error in the first step, and knows that every answer is the number which the question spells."""
    return ScriptedModel(lambda request: _said(request, {"seven": 7, "eight": 8, "nine": 9}), name)


def wrong(name: str) -> ScriptedModel:
    """Finds the error in the first step, and goes on to another wrong answer."""
    return ScriptedModel(lambda request: _said(request, {"seven": 70, "eight": 80, "nine": 90}), name)


def lost(name: str) -> ScriptedModel:
    """Finds no step and no answer."""
    return ScriptedModel(lambda request: _said(request, None), name)


def _said(request: Request, answers: dict[str, int] | None) -> str:
    prompt = "\n".join(str(message["content"]) for message in request.messages)
    asked.append(prompt)
    for call in on_ask:
        call()
    if answers is None:
        return "I can't tell."
    if "Find the first" in prompt:
        return "It is the first.\nAnswer: 1; calculation"
    word = re.search(r"What is (\w+) of", prompt)
    assert word is not None
    return f"By the word it is so.\nAnswer: {answers[word[1]]}"


def named(folder: Path, teacher: str) -> str:
    """The profile of one of them, by its file."""
    path = folder / f"{teacher}.yaml"
    path.write_text(f"kind: python\nmodel: tests.improve.teachers:{teacher}\n")
    return str(path)
