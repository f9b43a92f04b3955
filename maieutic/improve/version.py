"""The `Version` noun: weights under a number, and the shelves that make them models which every command can sample.

A version's name stands for one set of weights for good: the record of a run says by its name which ones spoke.
"""

import hashlib
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from maieutic.errors import UserError
from maieutic.llm.registry import IN_BOX, find_profile
from maieutic.serving import adapters
from maieutic.serving.records import Servers
from maieutic.settings import Settings

COPIED = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")  # the runtime's, byte for byte


@dataclass(frozen=True, slots=True)
class Version:
    """`model` is the name under which it is sampled, `checkpoint` where a trainer finds its weights (a folder, or a
    name on the Hub), `adapter` the folder of the adapter that goes on top, if any. Number 0 is what was there."""

    number: int
    model: str
    checkpoint: str
    adapter: str | None = None


class Shelf(Protocol):
    """`first` is the version that was there before any training. `publish` makes a trained folder a version: doing it
    again for the same folder changes nothing. `withdraw` takes down one that was not kept; its files stay."""

    def first(self) -> Version: ...

    def publish(self, number: int, folder: Path) -> Version: ...

    def withdraw(self, version: Version) -> None: ...


@dataclass(frozen=True, slots=True)
class InBoxShelf:
    """Folders of the in-box model's architecture, sampled in this process as `in-box@FOLDER`."""

    folder: Path

    def first(self) -> Version:
        # By its folder like all others, so that the rule that refuses questions tells no two versions apart.
        return Version(0, f"{IN_BOX}@{self.folder}", str(self.folder))

    def publish(self, number: int, folder: Path) -> Version:
        if not (folder / "model.onnx").exists():
            from maieutic.in_box.export import add_graph

            for name in COPIED:
                shutil.copyfile(self.folder / name, folder / name)
            add_graph(folder)
        return Version(number, f"{IN_BOX}@{folder}", str(folder))

    def withdraw(self, version: Version) -> None:
        """Nothing was put up."""


@dataclass(frozen=True, slots=True)
class AdapterShelf:
    """LoRA adapters at a vLLM server that `maieutic model up … --adapters` has started."""

    server: str
    checkpoint: str
    stem: str
    servers: Servers

    def first(self) -> Version:
        return Version(0, self.server, self.checkpoint)

    def publish(self, number: int, folder: Path) -> Version:
        loaded = adapters.load(f"{self.stem}-v{number}", folder, self.server, self.servers)
        return Version(number, loaded.name, self.checkpoint, str(folder))

    def withdraw(self, version: Version) -> None:
        with suppress(UserError):  # a server that is down has nothing loaded
            adapters.unload(version.model, self.server, self.servers)


def find_shelf(model: str, out: Path, lora: bool, settings: Settings) -> Shelf:
    """The shelf for a model by its name. Raises UserError where what is trained could not be served.

    `lora` says whether adapters are trained; `out` tells the adapters of one loop from those of another.
    """
    profile = find_profile(model, settings)
    if profile.kind == "in-box":
        if lora:
            raise UserError("The in-box model takes no adapters: train it without --lora.")
        from maieutic.llm.in_box.model import WEIGHTS

        return InBoxShelf(Path(profile.model).resolve() if profile.model else WEIGHTS)
    servers = Servers.own(settings)
    record = servers.find(model) if profile.kind == "vllm" and "/" not in model else None
    if record is None:
        raise UserError(f"{model} can't be given new weights: name in-box, or a server of `maieutic model status`.")
    if not lora:
        raise UserError(f"{model} is a running server, which takes adapters only: add --lora 16.")
    if not record.adapters:
        raise UserError(f"{model} takes no adapters: take it down and start it with --adapters.")
    told = hashlib.blake2b(str(out.resolve()).encode(), digest_size=2).hexdigest()
    return AdapterShelf(model, record.model, f"{model}-{told}", servers)
