"""One real vLLM server for all tests here, started as a user would: `maieutic model up in-box --cpu`.

It runs where `make test-vllm` has installed vLLM and set MAIEUTIC_TEST_VLLM; elsewhere everything here is skipped.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from maieutic.llm.profile import Profile
from maieutic.settings import load_yaml

HERE = Path(__file__).parent
REASON = "vLLM is not started here: `make test-vllm` runs these against a real server"
PROCESSORS = ("maieutic_logits:ReflectionPenalty", "maieutic_script:ScriptedTokens")  # the second is for tests alone


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(600))
            if not os.environ.get("MAIEUTIC_TEST_VLLM"):
                item.add_marker(pytest.mark.skip(reason=REASON))


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Home:
    """A directory with settings, profiles and servers of its own, and the command that uses it."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.env, "MAIEUTIC_HOME": str(self.path)}

    def maieutic(self, *arguments: str, timeout: float = 500.0) -> Ended:
        command = [sys.executable, "-m", "maieutic", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment(), timeout=timeout)
        return Ended(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Server:
    """The server: `url` ends in /v1, `model` is the name it serves, `profile` the name for --model in `home`.

    It serves the in-box checkpoint in float32, takes adapters, and has the logits processors of Maieutic, the one that
    makes it say what a test wants (`vllm_xargs: {"script_tokens": [ids]}`) among them.
    """

    url: str
    model: str
    profile: str
    home: Home

    @property
    def root(self) -> str:
        """The address without /v1, where /health and /metrics are."""
        return self.url.removesuffix("/v1")

    def load_profile(self) -> Profile:
        return load_yaml(self.home.path / "models" / f"{self.profile}.yaml", Profile)


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = Home(tmp_path_factory.mktemp("vllm") / "home")
    try:
        up = ("model", "up", "in-box", "--cpu", "--adapters", "--json", "--timeout", "450")
        started = home.maieutic(*up, "--", "--logits-processors", *PROCESSORS)
        assert started.code == 0, started.err
        said = json.loads(started.out)
        yield Server(said["url"], said["name"], said["name"], home)
    finally:
        home.maieutic("model", "down", "--all")
