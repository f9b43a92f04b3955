"""What a sandbox holds: the interpreter, its C libraries and a few packages, read-only.

Nothing is bound by a whole prefix or site-packages: those of the host name its user and hold what else is installed.
"""

import os
import re
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from maieutic.tools.sandbox import worker
from maieutic.tools.sandbox.launch import host_python

PACKAGES = ("numpy", "sympy", "mpmath")
WELCOME = ("pandas", "scipy", "matplotlib", "pillow", "networkx")  # there where they are installed

_NAME = re.compile(r"[\w.-]+")

_PREFIX = Path("/python")
PYTHON, LIBRARIES, SITE, WORKER = "/python/bin/python3", "/python/lib", "/site", "/worker.py"


@cache
def file_system() -> tuple[str, ...]:
    """Bubblewrap's arguments for what the worker sees: empty folders, then read-only binds, then masks."""
    binds = dict(_binds())
    folders = sorted({str(parent) for inside in binds for parent in inside.parents if parent != Path("/")})
    arguments = [word for folder in folders for word in ("--perms", "0755", "--dir", folder)]
    for inside, outside in binds.items():
        arguments += ["--dev-bind" if inside == Path("/dev/null") else "--ro-bind", str(outside), str(inside)]
    stdlib = Path(sysconfig.get_path("stdlib"))
    for name in ("site-packages", "dist-packages"):
        if (stdlib / name).is_dir():
            mask = str(_inside(stdlib / name))
            arguments += ["--perms", "0755", "--size", "4096", "--tmpfs", mask, "--remount-ro", mask]
    return tuple(arguments)


def _binds() -> Iterator[tuple[Path, Path]]:
    """Pairs of the path inside and the host's path."""
    prefix, stdlib = Path(sys.base_prefix), Path(sysconfig.get_path("stdlib"))
    yield Path(PYTHON), Path(host_python())
    if prefix == Path("/usr"):  # its lib folder is the whole system's
        yield _inside(stdlib), stdlib
    else:
        yield Path(LIBRARIES), prefix / "lib"
    yield from ((path, path) for path in system_libraries())
    for name, place in packages().items():
        yield Path(SITE, name), place
    yield Path(WORKER), Path(worker.__file__)
    yield Path("/dev/null"), Path("/dev/null")


def system_libraries() -> list[Path]:
    """The folders of the C libraries."""
    multiarch = sysconfig.get_config_var("MULTIARCH")
    libraries = [Path("/lib", multiarch or "-"), Path("/usr/lib", multiarch or "-")]
    if not any(path.is_dir() for path in libraries):
        libraries = [Path("/lib"), Path("/usr/lib")]
    libraries += [Path("/lib64"), Path("/usr/lib64"), *Path("/lib").glob("ld-*.so*")]
    return [path for path in libraries if path.exists()]


def _inside(path: Path) -> Path:
    return _PREFIX / path.relative_to(sys.base_prefix)


@cache
def packages() -> dict[str, Path]:
    """The top-level files and folders of the packages that model-written code may import, by name."""
    found = {}
    for name in package_names():
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not top.endswith(".dist-info"):  # every mount costs time at every start
                found[top] = Path(str(distribution.locate_file(top)))
    return dict(sorted(found.items()))


def about_packages(folder: str) -> str:
    """What a model is told of a sandbox with these packages, whose only files are in `folder`."""
    *others, last = [name for name in ("numpy", "sympy", *WELCOME) if name in package_names()]
    return (
        f"{', '.join(others)} and {last} are there; there is no network, no other process, and no file but in {folder}."
    )


@cache
def package_names() -> tuple[str, ...]:
    """The distributions of `PACKAGES`, those of `WELCOME` that are installed, and all that they need."""
    names: dict[str, None] = {}
    wanted = [(name, name in PACKAGES) for name in (*PACKAGES, *WELCOME)]
    while wanted:
        name, needed = wanted.pop(0)
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            if needed:
                raise
            continue
        if name not in names:
            names[name] = None
            wanted += [(_NAME.match(r)[0], False) for r in requirements if "extra ==" not in r]  # type: ignore[index]
    return tuple(names)


def compile_packages() -> None:
    """Let Python write the packages' bytecode in the background where the installer left it out, as uv does.

    A worker can't, and without it importing sympy takes seconds in every session.
    """
    places = (packages()[name] for name in PACKAGES)
    names = [] if sys.dont_write_bytecode else uncompiled(places)
    if names:
        command = [sys.executable, "-c", f"import {', '.join(names)}"]
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        threading.Thread(target=subprocess.run, args=(command,), kwargs=quiet, daemon=True).start()


def uncompiled(places: Iterable[Path]) -> list[str]:
    """The names of those packages that have no bytecode, but could have it: their folders can be written."""
    return [
        place.name
        for place in places
        if os.access(place, os.W_OK) and not Path(cache_from_source(str(place / "__init__.py"))).exists()
    ]
