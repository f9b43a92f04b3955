"""Where rows are put: a JSONL file, a Parquet file, or a folder as the Hugging Face Hub takes it.

Whatever it is, it appears under its name whole or not at all.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path

from maieutic.errors import UnknownName, UserError
from maieutic.recipes.table import write_parquet

KINDS = ("jsonl", "parquet", "hf")
CARD = "card.json"
Cards = Callable[[str], tuple[str, str]]
"""The SHA-256 of the rows' file in hexadecimal digits to the card, as JSON and as Markdown."""
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


def store(lines: Path, out: Path, kind: str, cards: Cards) -> None:
    """Move the rows of a JSONL file to where they are to be, with the cards that `cards` makes of their SHA-256.

    All of it is written before the first of it has its name: where the disk is full, what was there stays as it was.
    MissingExtra where Parquet can't be written.
    """
    made = lines if kind == "jsonl" else beside(out, "rows")
    told: list[tuple[Path, Path]] = []
    try:
        rows = rows_in(made) if kind == "hf" else made
        if kind != "jsonl":
            rows.parent.mkdir(parents=True, exist_ok=True)
            write_parquet(lines, rows)
        with rows.open("rb") as file:
            texts = cards(file_digest(file, "sha256").hexdigest())
        for path, text in zip((card_of(out, kind), readable_card_of(out, kind)), texts, strict=True):
            temporary = made / path.name if kind == "hf" else beside(path)
            told.append((temporary, path))
            _write(temporary, text)
        if kind == "hf" and out.is_dir():
            shutil.rmtree(out)
        os.replace(made, out)
        for temporary, path in told if kind != "hf" else ():
            os.replace(temporary, path)
    finally:
        for temporary, _ in told:
            remove(temporary)
        if made != lines:
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


def readable_card_of(out: Path, kind: str) -> Path:
    """The card as Markdown: beside the file, or the folder's README."""
    return out / "README.md" if kind == "hf" else card_of(out, kind).with_suffix(".md")


def beside(path: Path, what: str = "") -> Path:
    """A name for what is not finished yet."""
    return path.with_name(f".{path.name}.{os.getpid()}{what}.tmp")


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
