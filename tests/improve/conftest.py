"""A loop whose training takes no time: versions are scripted models, and a trainer that writes down what they say."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.improve.core import Improvement, improve
from maieutic.improve.plan import Plan
from maieutic.improve.version import Version
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.settings import load_settings
from tests.serving.conftest import fake_vllm, stage  # noqa: F401


def profile(folder: Path, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "profile.yaml"
    path.write_text(f"kind: scripted\nreplies: '{says}'\n")
    return path


@dataclass
class Script:
    """A trainer that makes version N say the N-th thing, and remembers what it was given."""

    says: list[str]
    format: str = "openai"
    takes: tuple[str, ...] = ("calls", "dialogues")
    recipe: str = "solved"
    calls: list[tuple[int, str, int]] = field(default_factory=list)
    rows: list[list[dict[str, Any]]] = field(default_factory=list)
    stops: asyncio.Event | None = None  # set in the middle of a training, which then would take for ever
    ended: list[int] = field(default_factory=list)

    def __repr__(self) -> str:
        return "Script"

    def check(self, version: Version) -> None: ...

    async def train(self, version: Version, rows: Path, out: Path, seed: int) -> dict[str, Any]:
        assert not out.exists()
        number = int(out.parent.name)
        if self.stops is not None:
            self.stops.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.append(number)
        self.calls.append((number, version.model, seed))
        self.rows.append([json.loads(line) for line in rows.read_text().splitlines()])
        profile(out, self.says[number - 1])
        return {"trained_tokens": 10 * len(self.rows[-1])}


@dataclass
class Profiles:
    """A shelf of scripted models."""

    base: Path
    up: set[int] = field(default_factory=set)
    weights: str = "first"
    broken: int | None = None  # the version that can't be published

    def first(self) -> Version:
        return Version(0, str(self.base), str(WEIGHTS), weights=self.weights)

    def version(self, number: int, folder: Path) -> Version:
        return Version(number, str(folder / "profile.yaml"), str(WEIGHTS))

    def publish(self, version: Version) -> None:
        if version.number == self.broken:
            raise UserError("The server is down: start it.")
        if version.number:
            self.up.add(version.number)

    def withdraw(self, version: Version) -> None:
        self.up.discard(version.number)


@dataclass
class World:
    """Task files by how many questions have which answer, and the loop over them."""

    folder: Path
    trainer: Script
    shelf: Profiles

    def tasks(self, name: str, **golds: int) -> str:
        numbers = {"seven": 7, "eight": 8, "nine": 9}
        lines = [
            {"id": f"{name}-{word}-{i}", "question": f"What is {word} of {name} at {i}?", "gold": str(numbers[word])}
            for word, n in golds.items()
            for i in range(n)
        ]
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return str(path)

    def plan(self, **changed: Any) -> Plan:
        """By default version 0, which says 7, is right on 4 of 20."""
        fields: dict[str, Any] = {
            "model": "scripted",
            "sources": (self.tasks("train", seven=4, eight=16),),
            "held_out": (self.tasks("held", seven=4, eight=16),),
            "rounds": 1,
            "samples": 2,
            "k": 2,
            "difficulty": False,
        }
        return Plan(**{**fields, **changed})

    async def run(self, plan: Plan, out: str = "out", **more: Any) -> Improvement:
        return await improve(plan, self.folder / out, self.trainer, self.shelf, settings=load_settings(), **more)


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    def make(*says: str) -> World:
        return World(tmp_path, Script(list(says)), Profiles(profile(tmp_path / "base", "Answer: 7")))

    return make
