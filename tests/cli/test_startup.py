"""The command starts quickly: what it loads, and what it costs beside its one dependency."""

import json
import os
import resource
import statistics
import subprocess
import sys

import pytest

from maieutic.cli import main

HEAVY = {"aiohttp", "httpx", "langgraph", "litellm", "mcp", "numpy", "onnxruntime", "openai", "prompt_toolkit"}
HEAVY |= {"pydantic", "rich", "sympy", "torch", "yaml"}

LOADED = """
import json, sys
before = set(sys.modules)
from maieutic.cli import main
try:
    main(["--help"])
except SystemExit as ended:
    assert ended.code == 0
print(json.dumps(sorted(name.split(".")[0] for name in set(sys.modules) - before)))
"""


def test_help_loads_nothing_but_typer() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & HEAVY
    assert not loaded - sys.stdlib_module_names - {"maieutic", "typer", "shellingham", "annotated_doc"}


def cpu_seconds(*arguments: str) -> float:
    """What a run of Python with these arguments costs in CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="measures child processes")
def test_help_costs_at_most_twice_its_dependency() -> None:
    helps, bare = [], []
    for _ in range(5):
        helps.append(cpu_seconds("-m", "maieutic", "--help"))
        bare.append(cpu_seconds("-c", "import typer"))
    assert statistics.median(helps) <= 2 * statistics.median(bare)


@pytest.mark.parametrize(
    "command",
    [
        "ask",
        "chat",
        "collect",
        "demo",
        "envs",
        "export",
        "graphs",
        "graphs show",
        "index",
        "models",
        "probe",
        "recipes",
        "search",
        "teach",
        "tools",
        "trace",
    ],
)
def test_every_command_has_help(command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
