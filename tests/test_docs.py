"""Every block of the README and of docs/ is executed: python and bash are run, yaml is read as what it says it is.

Blocks marked `text`, `json` and `mermaid` show what can't be run here (another machine's server) or what is printed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from maieutic.graphs.registry import load_graph
from maieutic.llm.profile import Profile
from maieutic.settings import parse_yaml

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN = {"text", "json", "mermaid"}


class Block(NamedTuple):
    place: str
    kind: str
    code: str


def blocks() -> list[Block]:
    found = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(f"{path.relative_to(ROOT)}:{line}", match[1], match[2]))
    return found


def test_every_kind_of_block_is_known() -> None:
    assert {b.kind for b in blocks()} <= {"python", "bash", "yaml", *SHOWN}


def pages(kind: str) -> list[tuple[str, str]]:
    """Each page with its blocks of one kind as one script, in which later blocks go on from earlier ones."""
    scripts: dict[str, list[str]] = {}
    for block in blocks():
        if block.kind == kind and "make demo" not in block.code:  # .ci/run itself runs make demo and make test
            scripts.setdefault(block.place.partition(":")[0], []).append(block.code)
    return [(page, "\n".join(parts)) for page, parts in scripts.items()]


def named(script: tuple[str, str]) -> str:
    return script[0]


@pytest.mark.slow
@pytest.mark.parametrize("script", pages("python"), ids=named)
def test_python_blocks_run(script: tuple[str, str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-P", "-c", script[1]], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("script", pages("bash"), ids=named)
def test_bash_blocks_run(script: tuple[str, str], tmp_path: Path) -> None:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", script[1]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [b for b in blocks() if b.kind == "yaml"], ids=lambda b: b.place)
def test_yaml_blocks_are_what_they_say(block: Block, tmp_path: Path) -> None:
    first = block.code.partition("\n")[0]
    if first == "# graph":
        (tmp_path / "graph.yaml").write_text(block.code)
        load_graph(str(tmp_path / "graph.yaml"))
        return
    assert first == "# profile", "a yaml block says in its first line what it is"
    parse_yaml(block.code, Profile, block.place)


def test_relative_links_lead_somewhere() -> None:
    broken = []
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "AGENTS.md"]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
            if not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)} -> {target}")
    assert not broken
