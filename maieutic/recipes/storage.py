"""Where rows are put: a JSONL file, a Parquet file, or a folder as the Hugging Face Hub takes it.

Whatever it is, it appears under its name whole or not at all.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from maieutic.errors import UnknownName, UserError
from maieutic.recipes.table import write_parquet

KINDS = ("jsonl", "parquet", "hf")
CARD = "card.json"
# What the Hub reads of a card.
HUB_HEAD = "---\nconfigs:\n- config_name: default\n  data_files: data/*.parquet\n---\n\n"


def kind_of(out: Path, asked: str | None) -> str:
    """What `out` is to be: as asked, or by its ending. UnknownName for another word, UserError for a folder that is
    there and was not made here."""
    if asked is not None and asked not in KINDS:
        raise UnknownName("way of keeping rows", asked, KINDS)
    kind = asked or ("parquet" if out.suffix == ".parquet" else "jsonl")
    if kind == "hf" and out.exists() and not (out / CARD).is_file():
        raise UserError(f"{out} is there already, and no dataset of an earlier export: give another folder.")
    return kind


def store(lines: Path, out: Path, kind: str) -> None:
    """Move the rows of a JSONL file to where they are to be. MissingExtra where Parquet can't be written."""
    if kind == "jsonl":
        os.replace(lines, out)
        return
    made = beside(out, "rows")
    try:
        if kind == "hf":
            rows_in(made).parent.mkdir(parents=True)
        write_parquet(lines, rows_in(made) if kind == "hf" else made)
        if kind == "hf" and out.is_dir():
            shutil.rmtree(out)
        os.replace(made, out)
    finally:
        remove(made)


def rows_in(folder: Path) -> Path:
    return folder / "data" / "train-00000-of-00001.parquet"


def rows_of(path: Path) -> Iterator[bytes]:
    """The lines of a JSONL file, without their ends and without empty ones; none where there is no file."""
    if path.exists():
        with path.open("rb") as lines:
            yield from stripped(lines)


def stripped(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (row for line in lines if (row := line.rstrip(b"\r\n")).strip())


def card_of(out: Path, kind: str) -> Path:
    return out / CARD if kind == "hf" else out.with_name(out.name + ".card.json")


def beside(path: Path, what: str = "") -> Path:
    """A name for what is not finished yet."""
    return path.with_name(f".{path.name}.{os.getpid()}{what}.tmp")


def replace(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    temporary = beside(path)
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
