"""What is known of each server between commands: one folder a server, its record, its log, its adapters."""

import fcntl
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from maieutic.errors import ConfigError, UnknownName, UserError
from maieutic.serving.files import write_whole
from maieutic.serving.process import Session
from maieutic.settings import Settings, load_settings, state_dir

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Record:
    """One server as it was started. `ready` says that it has been up; `weights` and `template` are None until then, or
    where they can't be known; `adapters` says whether it takes adapters; `began` is a Unix time; `key_env` names the
    variable with its key."""

    name: str
    model: str
    url: str
    pid: int
    ticks: int
    boot: str
    began: float
    version: str | None
    cpu: bool
    adapters: bool
    command: tuple[str, ...]
    ready: bool = False
    weights: str | None = None
    template: str | None = None
    key_env: str | None = None

    @property
    def source(self) -> str:
        """What vLLM was told to serve: a folder, or a name at the hub."""
        return self.command[2]  # vllm serve SOURCE

    @property
    def session(self) -> Session:
        return Session(self.pid, self.ticks, self.boot)


class Servers:
    """A user's servers: `root` holds a folder for each, `models_dir` the profiles through which commands find them."""

    def __init__(self, root: Path, models_dir: Path) -> None:
        self.root = root
        self.models_dir = models_dir

    @classmethod
    def own(cls, settings: Settings | None = None) -> "Servers":
        """Those of whoever runs this, as the settings say."""
        settings = settings or load_settings()
        return cls(state_dir() / "servers", settings.models_dir)

    def is_name(self, name: str) -> bool:
        """Whether a server can be called so."""
        return _NAME.fullmatch(name) is not None

    def folder(self, name: str) -> Path:
        """Where everything about one server is kept. Raises UserError for a name that can't be one."""
        if not self.is_name(name):
            raise UserError(f"{name!r} can't be a server's name: use letters, digits, dots, dashes and underscores.")
        return self.root / name

    def log(self, name: str) -> Path:
        return self.folder(name) / "server.log"

    def names(self) -> list[str]:
        """The servers that were started and not taken down, whether they still run or not."""
        return sorted(path.parent.name for path in self.root.glob("*/server.json"))

    def find(self, name: str) -> Record | None:
        """The record of a server, None where there is none. Raises ConfigError for a damaged one."""
        path = self.folder(name) / "server.json"
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return Record(**{**fields, "command": tuple(fields["command"])})
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} can't be read: end its server by hand, then remove the file.") from error

    def get(self, name: str) -> Record:
        """The record of a server. Raises UserError, UnknownName where there are others."""
        found, names = self.find(name), self.names()
        if found is None and not names:
            raise UserError(f"There is no server {name!r}, nor any other: start one with `maieutic model up`.")
        if found is None:
            raise UnknownName("server", name, names)
        return found

    def save(self, record: Record) -> None:
        write_whole(self.folder(record.name) / "server.json", json.dumps(asdict(record), indent=2) + "\n")

    def forget(self, name: str) -> None:
        """Remove the record; log and the list of adapter names stay."""
        (self.folder(name) / "server.json").unlink(missing_ok=True)

    @contextmanager
    def lock(self, name: str, wait: float = 0.0) -> Iterator[None]:
        """One command at a time starts, stops or changes a server. Raises UserError where another does for `wait` s."""
        folder = self.folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + wait
        with (folder / "lock").open("a") as file:
            while not _locked(file):
                if time.monotonic() >= end:
                    raise UserError(
                        f"Another command is starting or changing {name} just now: wait for it (maieutic model status)."
                    )
                time.sleep(0.1)
            yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
