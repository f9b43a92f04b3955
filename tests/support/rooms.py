"""The tables of files in the READMEs, written from the modules' own first sentences by `make rooms`.

Each table stands between two marks; whatever is written outside of them stays as it is.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agents", "benchmarks", "examples", "graphs", "maieutic", "memory", "tools")
BEGIN, END = "<!-- files: written by `make rooms` -->", "<!-- end of files -->"


def first_sentence(path: Path) -> str:
    """What the module's docstring says first; the empty string where it says nothing."""
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    paragraph = " ".join(said.split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s+", paragraph)[0].rstrip(".:") if paragraph else ""


def table(room: Path) -> str:
    """A room's files, folder by folder, each with its first sentence."""
    parts: list[str] = []
    folders = [room, *(p for p in sorted(room.rglob("*")) if p.is_dir() and not _foreign(p, room))]
    for folder in folders:
        files = [p for p in sorted(folder.glob("*.py")) if p.name != "__init__.py"]
        if not files:
            continue
        if folder != room:
            init = folder / "__init__.py"
            parts.append(f"\n## {folder.relative_to(room)}\n{_sentence(init)}\n" if init.exists() else "")
        parts.append("| file | is |\n|---|---|")
        parts += [f"| `{p.relative_to(folder)}` | {first_sentence(p)} |" for p in files]
    return "\n".join(parts)


def written(readme: str, room: Path) -> str:
    """The README's text with its table brought up to date."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(room)}\n{END}{rest.partition(END)[2]}"


def _sentence(path: Path) -> str:
    return f"{first_sentence(path)}."


def _foreign(path: Path, room: Path) -> bool:
    inside = [path, *(p for p in path.parents if p.is_relative_to(room))]
    return any(p.is_symlink() or p.name in ("__pycache__", "results") for p in inside)


if __name__ == "__main__":
    for name in ROOMS:
        readme = ROOT / name / "README.md"
        readme.write_text(written(readme.read_text(), ROOT / name))
