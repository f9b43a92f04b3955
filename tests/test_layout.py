"""The house keeps its shape: rooms are linked, packages are declared, files stay small, docs name every room."""

import ast
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support import rooms

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("agents", "configs", "graphs", "memory", "tools")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

pytestmark = pytest.mark.skipif(not (ROOT / "maieutic").is_dir(), reason="runs in a checkout only")


def sources() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split()]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_linked_into_the_package(room: str) -> None:
    link = ROOT / "maieutic" / room
    assert link.is_symlink()
    assert link.readlink() == Path("..") / room
    assert PROJECT["tool"]["setuptools"]["package-dir"][f"maieutic.{room}"] == room


def test_every_package_is_declared() -> None:
    hall = {"maieutic", *(f"maieutic.{room}" for room in ROOMS)}
    for init in (ROOT / "maieutic").rglob("__init__.py"):
        if not any(parent.is_symlink() for parent in init.parents):
            hall.add(".".join(init.parent.relative_to(ROOT).parts))
    for room in ROOMS:
        for init in (ROOT / room).rglob("__init__.py"):
            hall.add(".".join(("maieutic", *init.parent.relative_to(ROOT).parts)))
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(hall)


def test_files_and_functions_stay_small() -> None:
    large = []
    for path in sources():
        text = path.read_text()
        limit = 600 if path.is_relative_to(ROOT / "tests") else 400
        if text.count("\n") > limit:
            large.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                if node.end_lineno - node.lineno >= 70:
                    large.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not large


def test_every_module_says_why_it_exists() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.parts[len(ROOT.parts)] not in ("tests",) and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_litellm_is_imported_in_one_file() -> None:
    importing = {
        str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "litellm" for alias in node.names)
    }
    assert {path for path in importing if not path.startswith(("tests/", "benchmarks/"))} == {
        "maieutic/llm/providers.py"
    }


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_a_rooms_readme_has_a_line_for_every_file(room: str) -> None:
    readme = (ROOT / room / "README.md").read_text()
    assert rooms.written(readme, ROOT / room) == readme, "run `make rooms`"


def test_the_agents_guide_is_short_and_the_changelog_is_open() -> None:
    assert (ROOT / "AGENTS.md").read_text().count("\n") < 100
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
