"""Which database is meant: a file, a folder of files, data frames, or a URL, told apart before anything is opened.

A URL may carry a password. It is in `url` alone, which no error, description or trace shows; `label` is for them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from maieutic.errors import UserError

Kind = Literal["file", "files", "frames", "postgresql", "url"]
Named = str | Path | Mapping[str, Any]
"""A path, a URL, or data frames by the names that their tables shall have."""

READERS = {
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".parquet": "read_parquet",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
}
MOST_FILES = 200
_SCHEME = re.compile(r"([A-Za-z][\w+.-]*)://")
_PASSWORD = re.compile(r"(?<=[?&\s])(password|passwd|pwd)=('[^']*'|[^&\s]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Database:
    """A database by its kind: `path` for a file, `files` (by table name), `frames`, or `url`."""

    kind: Kind
    label: str
    path: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    frames: Mapping[str, Any] = field(default_factory=dict, repr=False)
    url: str = field(default="", repr=False)

    @cached_property
    def key(self) -> object:
        """Equal for two databases that are the same."""
        return id(self) if self.kind == "frames" else (self.kind, self.path, tuple(self.files.items()), self.url)

    def redact(self, text: str) -> str:
        """The text without the password, however it is written."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    @cached_property
    def _secrets(self) -> list[str]:
        raw = secrets_of(self.url)
        return sorted({*raw, *map(unquote, raw)}, key=len, reverse=True)


def secrets_of(url: str) -> list[str]:
    """The passwords in a URL, as they are written there; none in what isn't a URL."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return []
    rest = url[scheme.end() :]
    before = rest.rpartition("@")[0] if "@" in rest else ""
    password = before.partition(":")[2]
    return [secret for secret in (password, *(match[2] for match in _PASSWORD.finditer(url))) if secret]


def openly(named: str) -> str:
    """A path or URL that will be seen and recorded. Raises UserError where it shows a password."""
    if secrets_of(named):
        raise UserError(
            "A database's password would be recorded with every run: leave it out of the URL, and set PGPASSWORD or "
            "write a ~/.pgpass file."
        )
    return named


def database_of(named: Named) -> Database:
    """The database that is meant. Raises UserError where there is none such, without showing a password."""
    if isinstance(named, Mapping):
        if not named:
            raise UserError("There are no data frames: give at least one, under the name of its table.")
        return Database("frames", ", ".join(named), frames={table_name(name): value for name, value in named.items()})
    if not isinstance(named, str | Path):
        return Database("frames", "data", frames={"data": named})
    text = str(named)
    if isinstance(named, str) and (scheme := _SCHEME.match(text)):
        return _from_url(text, scheme[1].lower())
    return _from_path(Path(text).expanduser())


def _from_url(url: str, scheme: str) -> Database:
    dialect = scheme.partition("+")[0]
    if dialect in ("sqlite", "duckdb", "file"):
        place = url.partition("://")[2].partition("?")[0]
        return _from_path(Path(unquote(place.removeprefix("/"))))
    label = _label(url)
    if dialect in ("postgresql", "postgres"):
        return Database("postgresql", label, url="postgresql" + url[len(scheme) :])
    return Database("url", label, url=url)


def _label(url: str) -> str:
    """The URL without user, password and options."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url.partition("://")[0] + "://…"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _from_path(path: Path) -> Database:
    if path.is_dir():
        return _from_folder(path)
    if not path.exists():
        raise UserError(f"There is no database {path}: give the path of a file or folder, or a URL.")
    if not path.is_file():
        raise UserError(f"{path} is neither a file nor a folder: give the path of a database.")
    if _reader(path):
        return Database("files", path.name, files={table_name(path): path.absolute()})
    return Database("file", path.name, path=path.absolute())


def _from_folder(folder: Path) -> Database:
    """Each file in it that can be read as a table, under its own name."""
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"The folder {folder} can't be read: {error.strerror}.") from error
    found = [path for path in inside if path.is_file() and _reader(path)]
    if not found:
        raise UserError(f"The folder {folder} holds no CSV, TSV, JSON or Parquet file: put some there.")
    if len(found) > MOST_FILES:
        raise UserError(f"The folder {folder} holds {len(found)} files; {MOST_FILES} at most can be tables.")
    files: dict[str, Path] = {}
    for path in found:
        name, number = table_name(path), 2
        while name.casefold() in {taken.casefold() for taken in files}:
            name, number = f"{table_name(path)}_{number}", number + 1
        files[name] = path.absolute()
    return Database("files", folder.name or str(folder), files=files)


def reader_of(path: Path) -> str:
    """The DuckDB function that reads such a file."""
    return READERS[_reader(path) or ".csv"]


def _reader(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in READERS if name.endswith(suffix)), None)


def table_name(named: str | Path) -> str:
    """A name that needs no quotes, from a file's or any other."""
    stem = named.name.partition(".")[0] if isinstance(named, Path) else named
    name = re.sub(r"\W+", "_", stem).strip("_") or "data"
    return f"t_{name}" if name[0].isdigit() else name
