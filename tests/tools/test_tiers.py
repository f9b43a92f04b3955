"""Which tier is in force, and tiers that exist elsewhere: what they are told, as far as that can be seen here."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import maieutic
from maieutic.cli import app
from maieutic.errors import ConfigError
from maieutic.llm.scripted import call_tool
from maieutic.settings import Settings
from maieutic.tools.options import ToolOptions
from maieutic.tools.sandbox import seatbelt, worker
from maieutic.tools.sandbox.container import IMAGE, Container
from maieutic.tools.sandbox.local import Local
from maieutic.tools.sandbox.tier import TIERS, UNSAFE, Limits, NoSandbox, UnknownTier, ensure_sandbox
from maieutic.trace.reader import TraceReader
from tests.tools.conftest import working_tier

FAKE = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
[ "$1" = run ] || exit 0
while [ "$1" != python3 ]; do shift; done
exec {python} -I -S -B -X utf8 {worker} piped
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called docker that runs the worker without a container, and the file that says what it was asked."""
    program = tmp_path / "docker"
    program.write_text(FAKE.format(python=sys.executable, worker=worker.__file__))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "asked"


async def test_a_tier_can_be_demanded() -> None:
    await working_tier("landlock")
    assert (await ensure_sandbox("landlock")).name == "landlock"
    with pytest.raises(UnknownTier, match="Did you mean 'bubblewrap'"):
        await ensure_sandbox("bublewrap")


async def test_what_is_demanded_is_not_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSandbox, match=r"\(tried podman: podman is not installed\)"):
        await ensure_sandbox("podman")


async def test_the_absence_of_a_tier_is_never_chosen() -> None:
    assert UNSAFE not in TIERS
    with pytest.raises(ConfigError, match="--unsafe-local each time"):
        ToolOptions(sandbox=UNSAFE).sandbox_name()
    with pytest.raises(ConfigError, match="both"):
        ToolOptions(sandbox="monty", unsafe_local=True).sandbox_name()
    assert ToolOptions(unsafe_local=True).sandbox_name() == UNSAFE


async def test_settings_can_demand_a_tier_but_not_its_absence(tmp_path: Path) -> None:
    model = maieutic.ScriptedModel(["Answer: 7"])
    with pytest.raises(ConfigError, match="--unsafe-local each time"):
        await maieutic.arun(
            "q", "tool_loop", model=model, tools=["python"], traces=tmp_path, settings=Settings(sandbox=UNSAFE)
        )
    with pytest.raises(UnknownTier):
        await maieutic.arun("q", model=model, tools=["python"], traces=tmp_path, settings=Settings(sandbox="nonsense"))
    assert model.requests == []


async def test_without_a_sandbox_code_may_do_what_its_user_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "s3cret")
    (tmp_path / "mine.txt").write_text("hello")
    worker = await Local().start(Limits())
    try:
        assert (await worker.run(f"open({str(tmp_path / 'mine.txt')!r}).read()")).output == "'hello'\n"
        assert (await worker.run("import subprocess; subprocess.run(['true']).returncode")).output == "0\n"
        assert (await worker.run("import os; 'API_KEY' in os.environ")).output == "False\n"
    finally:
        worker.kill()


def test_the_command_line_says_that_it_is_unsafe(tmp_path: Path) -> None:
    profile = tmp_path / "scripted.yaml"
    profile.write_text('kind: scripted\nreplies: ["Answer: 42"]\n')
    asked = ["ask", "q?", "--model", str(profile), "--tool", "python", "--traces", str(tmp_path / "traces")]
    done = CliRunner().invoke(app, [*asked, "--unsafe-local"])
    assert done.exit_code == 0, done.output
    assert "--unsafe-local: what the model writes runs without a sandbox" in done.stderr
    refused = CliRunner().invoke(app, [*asked, "--unsafe-local", "--sandbox", "monty"])
    assert "can't both be had" in str(refused.exception)


async def test_the_trace_says_that_it_was_unsafe(tmp_path: Path) -> None:
    model = maieutic.ScriptedModel([call_tool("python", code="6 * 7"), "Answer: 42"])
    result = await maieutic.arun("q", "tool_loop", model=model, tools=["python"], traces=tmp_path, unsafe_local=True)
    with TraceReader(tmp_path) as reader:
        (line,) = reader.run(result.run_id).events_of("tool_result")
    assert (line.fields["content"], line.fields["meta"]["tier"]) == ("42", "unsafe-local")


@pytest.mark.slow
async def test_a_container_gets_nothing_but_the_worker(docker: Path, tmp_path: Path) -> None:
    tier = Container("docker", {})
    worker = await tier.start(Limits(), binds={"/in": tmp_path})
    try:
        assert (await worker.run("x = 20\nprint('a')\nx + 1")).output == "a\n21\n"
        assert (await worker.run("x * 2")).output == "40\n"
        assert (await worker.run("1 / 0")).exit == "exception"
        assert "PermissionError" in (await worker.run("import os; os.fork()")).output  # its own filter holds anyhow
        big = await worker.run("print('a' + 'x' * 10**6 + 'z')")
        assert big.output.startswith("axx") and big.output.endswith("xxz\n") and len(big.output) < 11_000
        forged = await worker.run(
            "import os; os.write(3, bytes(17)); os.write(4, bytes(17)); import time; time.sleep(9)"
        )
        assert forged.exit in ("protocol", "died")
    finally:
        worker.kill()
    words = docker.read_text().split("\n")[0].split()
    asked = list(zip(words, words[1:], strict=False))
    for option in [
        ("--network", "none"), ("--cap-drop", "ALL"), ("--security-opt", "no-new-privileges"), ("--ipc", "none"),
        ("--user", "65534:65534"), ("--pids-limit", "64"), ("--memory", "1024m"), ("--memory-swap", "1024m"),
        ("--pull", "never"),
    ]:  # fmt: skip
        assert option in asked, option
    assert {"--rm", "--read-only", "--interactive", IMAGE} <= set(words)
    assert not {"--privileged", "-v", "--volume", "--env", "-e"} & set(words)
    assert [word for word in words if word.startswith("type=bind") and not word.endswith(",readonly")] == []
    assert f"type=bind,source={tmp_path},target=/in,readonly" in words


async def test_a_container_is_removed_with_its_worker(docker: Path) -> None:
    started = await Container("docker", {"MAIEUTIC_SANDBOX_IMAGE": "own:1"}).start(Limits())
    started.kill()
    name = docker.read_text().split("--name ")[1].split()[0]
    for _ in range(1000):
        if f"rm --force {name}" in docker.read_text():
            break
        await asyncio.sleep(0.02)
    assert f"rm --force {name}\n" in docker.read_text()
    assert " own:1 python3 " in docker.read_text()


async def test_a_container_without_a_daemon_is_no_tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker"
    program.write_text(
        "#!/bin/sh\necho 'Cannot connect to the Docker daemon.' >&2\necho >&2\necho \"Run 'docker run --help'\" >&2\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    reason = await Container("docker", {}).probe()
    assert reason == "The sandbox could not be started: Cannot connect to the Docker daemon."


def test_the_profile_for_macos_denies_what_it_does_not_name() -> None:
    text = seatbelt.profile([Path('/a "b"')], Path("/work"))
    lines = text.splitlines()
    assert lines[1] == "(deny default)"
    assert r'(subpath "/a \"b\"")' in text
    assert [line for line in lines if "file-write" in line] == [
        '(allow file-write* (subpath "/work") (literal "/dev/null"))'
    ]
    assert "network" not in text and "process-fork" not in text
