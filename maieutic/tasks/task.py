"""The Task noun: a question, what comes with it, and how its answer will be checked.

A task knows its gold answer because a verifier needs it; an agent must never see it. `Task.public()` is the only form
that goes into prompts and into graph state, and the gold is kept out of `repr` so that no log line shows it.
"""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from string import ascii_uppercase
from typing import Any, Literal, TypedDict, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

AnswerType = Literal["auto", "number", "choice", "set", "list", "boolean", "json", "formula", "text"]
ANSWER_TYPES: tuple[AnswerType, ...] = get_args(AnswerType)


class PublicTask(TypedDict):
    """What an agent may know of a task: plain JSON, without gold, verifier or metadata."""

    id: str
    question: str
    inputs: dict[str, Any]
    answer_type: AnswerType


class Task(BaseModel):
    """One question with its answer type, and optionally its gold answer and verifier.

    Fields, which are also the fields of a line in a task file:
      id           stable name; by default a hash of question, inputs and answer type (never of the gold)
      question     what is asked
      inputs       what comes with it, as JSON: `choices` for multiple choice, `files` (paths) for tools to read,
                   `database` (a path, or a URL without password) for the tool sql
      answer_type  how answers are compared (see `maieutic.tasks.answers`); "auto" compares numbers as numbers and
                   everything else as text; where only `verifier` names a type, that type
      gold         the right answer, as text or as JSON; None where it isn't known
      verifier     a registered name or "package.module:name"; None checks by answer type
      tolerance    relative tolerance for numbers; None compares exactly
      metadata     anything else; kept with the task, never shown to an agent
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = ""
    question: str = Field(min_length=1)
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    answer_type: AnswerType = "auto"
    gold: JsonValue = Field(default=None, repr=False)
    verifier: str | None = None
    tolerance: float | None = Field(default=None, gt=0, lt=1)
    metadata: dict[str, JsonValue] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _type_from_verifier(cls, data: Any) -> Any:
        if isinstance(data, dict) and "answer_type" not in data and data.get("verifier") in ANSWER_TYPES:
            return {**data, "answer_type": data["verifier"]}
        return data

    @model_validator(mode="after")
    def _default_id(self) -> "Task":
        if not self.id:
            content = json.dumps([self.question, self.inputs, self.answer_type], sort_keys=True, ensure_ascii=False)
            digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
            object.__setattr__(self, "id", digest)
        return self

    @property
    def checkable(self) -> bool:
        """Whether there is anything to check an answer against."""
        return self.gold is not None or self.verifier is not None

    def public(self) -> PublicTask:
        """The view without gold, for prompts and graph state."""
        return {
            "id": self.id,
            "question": self.question,
            "inputs": deepcopy(self.inputs),
            "answer_type": self.answer_type,
        }


def options(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Label to text, from `inputs["choices"]`, where a list is labelled A, B, C, …; empty where there are none."""
    match inputs.get("choices"):
        case list() as texts:
            return {label: str(text) for label, text in zip(ascii_uppercase, texts, strict=False)}
        case dict() as labelled:
            return {label.upper(): str(text) for label, text in labelled.items()}
        case _:
            return {}
