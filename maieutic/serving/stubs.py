"""Wheels that hold nothing but their metadata, standing in for packages that must not be installed.

vLLM's CPU build asks for packages whose builds on PyPI are for CUDA and break its import, and its command looks for a
distribution called `vllm`.
"""

import base64
import hashlib
import zipfile
from pathlib import Path


def write_stub(folder: Path, name: str, version: str) -> Path:
    """Write an empty wheel of this name and version; returns its path."""
    info = f"{name}-{version}.dist-info"
    texts = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        "Summary: Stands in for a package that vLLM's CPU build does without.\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: maieutic\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    listed = "".join(f"{path},sha256={_hash(text)},{len(text)}\n" for path, text in texts.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in {**texts, f"{info}/RECORD": f"{listed}{info}/RECORD,,\n"}.items():
            wheel.writestr(member, text)
    return path


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
