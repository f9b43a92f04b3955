"""Servers in a directory of the test's own, started from a stand-in for vLLM; whatever still runs is ended."""

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from maieutic.serving.checkpoint import find_checkpoint
from maieutic.serving.command import Launch
from maieutic.serving.records import Servers
from maieutic.serving.up import Up, up

FAKE = Path(__file__).with_name("fake_vllm.py")


@dataclass
class Stage:
    """Where a test starts servers."""

    servers: Servers
    env: dict[str, str]
    phases: list[str] = field(default_factory=list)

    def up(self, *extra: str, name: str = "small", **options: object) -> Up:
        lora_rank = options.pop("lora_rank", 16)
        launch = Launch(name, find_checkpoint("in-box"), cpu=True, lora_rank=lora_rank, extra=extra)  # type: ignore[arg-type]
        installed = self.servers.root.parent / "vllm"
        return up(launch, self.servers, installed, env=self.env, show=self.phases.append, **options)  # type: ignore[arg-type]

    def processes(self) -> list[str]:
        """The command lines of everything that was started here and still runs."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and f"STAGE={self.env['STAGE']}" in (entry / "environ").read_text().split("\0"):
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                pass
        return [line for line in found if line]


@pytest.fixture
def fake_vllm(tmp_path: Path) -> Path:
    script = tmp_path / "bin" / "vllm"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\n{FAKE.read_text()}")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.fixture
def stage(tmp_path: Path, fake_vllm: Path) -> Iterator[Stage]:
    home = tmp_path / "home"
    env = {**os.environ, "MAIEUTIC_VLLM": str(fake_vllm), "STAGE": str(tmp_path), "MAIEUTIC_HOME": str(home)}
    env.pop("VLLM_API_KEY", None)
    made = Stage(Servers(home / "servers", home / "models"), env)
    yield made
    for name in made.servers.names():
        made.servers.get(name).session.stop(grace=0)
