"""What every test needs: a way to ask one question of a scripted model, recorded in a directory of its own."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from maieutic.llm.model import Model
from maieutic.runner import Result, arun
from maieutic.tasks.task import Task

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile("search", deadline=None)  # other examples every time: pytest --hypothesis-profile=search
settings.load_profile("repeatable")

Ask = Callable[..., Awaitable[Result]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    async def ask_(model: Model, graph: str = "direct", task: str | Task = "What is 4 + 3?", **options: Any) -> Result:
        options.setdefault("seed", 0)
        return await arun(task, graph, model=model, traces=tmp_path / "traces", **options)

    return ask_


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own settings and traces."""
    monkeypatch.setenv("MAIEUTIC_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MAIEUTIC_CONFIG", raising=False)
