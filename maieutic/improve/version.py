"""The `Version` noun: weights under a number, and the shelves that make them models which every command can sample.

A version's name stands for one set of weights for good: the record of a run says by its name which ones spoke.
"""

import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from maieutic.errors import MaieuticError, UserError
from maieutic.llm.profile import Profile
from maieutic.llm.registry import IN_BOX, find_profile
from maieutic.serving import adapters
from maieutic.serving.files import digest, write_whole
from maieutic.serving.records import Record, Servers
from maieutic.serving.served import largest_rank, trained_from
from maieutic.settings import Settings

GRAPH = "model.onnx"
STEM = "adapters.txt"
COPIED = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")  # the runtime's, byte for byte


@dataclass(frozen=True, slots=True)
class Version:
    """`model` is the name under which it is sampled, `checkpoint` where a trainer finds its weights (a folder, or a
    name on the Hub), `adapter` the folder of the adapter that goes on top, if any. `weights` is what its completions
    carry, None where that can't be told yet. Number 0 is what was there."""

    number: int
    model: str
    checkpoint: str
    adapter: str | None = None
    weights: str | None = None


class Shelf(Protocol):
    """`first` is the version that was there before any training, `version` what a trained folder will be. `publish` has
    a version sampled from then on: again changes nothing, or brings back what a server has lost since. `withdraw` takes
    down one that was not kept, if it is up; its files stay. Both raise MaieuticError where a server isn't as it was."""

    def first(self) -> Version: ...

    def version(self, number: int, folder: Path) -> Version: ...

    def publish(self, version: Version) -> None: ...

    def withdraw(self, version: Version) -> None: ...


@dataclass(frozen=True, slots=True)
class InBoxShelf:
    """Folders of the in-box model's architecture, sampled in this process as `in-box@FOLDER`."""

    folder: Path

    def first(self) -> Version:
        # By its folder like all others, so that the rule that refuses questions tells no two versions apart.
        return self.version(0, self.folder)

    def version(self, number: int, folder: Path) -> Version:
        graph = folder / GRAPH
        weights = digest(graph.read_bytes()) if graph.exists() else None
        return Version(number, f"{IN_BOX}@{folder}", str(folder), weights=weights)

    def publish(self, version: Version) -> None:
        folder = Path(version.checkpoint)
        if not (folder / GRAPH).exists():
            from maieutic.in_box.export import add_graph

            for name in COPIED:
                shutil.copyfile(self.folder / name, folder / name)
            add_graph(folder)

    def withdraw(self, version: Version) -> None:
        """Nothing was put up."""


@dataclass(frozen=True, slots=True)
class AdapterShelf:
    """LoRA adapters at a vLLM server that `maieutic model up … --adapters` has started; `out` is the loop's directory.

    `checkpoint` and `weights` are what the server serves; the `weights` must stay the same.
    """

    server: str
    checkpoint: str
    weights: str | None
    out: Path
    servers: Servers

    def first(self) -> Version:
        return Version(0, self.server, self.checkpoint, weights=self.weights)

    def version(self, number: int, folder: Path) -> Version:
        name = f"{self._stem()}-v{number}"
        weights = self.weights and adapters.weights_of(self.weights, name, folder)
        return Version(number, name, self.checkpoint, str(folder), weights)

    def publish(self, version: Version) -> None:
        self._record()
        if version.adapter is not None:
            adapters.load(version.model, version.adapter, self.server, self.servers)

    def withdraw(self, version: Version) -> None:
        with suppress(MaieuticError):  # it isn't loaded, or the server is down, and then nothing is
            adapters.unload(version.model, self.server, self.servers)

    def _record(self) -> Record:
        """The server as it is now. Raises UserError where it is down, or serves something else."""
        record = self.servers.find(self.server)
        if record is None or not record.session.alive():
            again = "" if record is None else f" {record.model} --name {self.server} --adapters"
            raise UserError(f"{self.server} is not up: start it as before with `maieutic model up{again}`.")
        if not record.ready:
            raise UserError(f"{self.server} is not up yet: `maieutic model up` waits until it is.")
        if record.weights != self.weights:
            raise UserError(
                f"{self.server} serves other weights ({record.weights}) than this loop began with ({self.weights}): "
                "start it with those again, or give another directory."
            )
        return record

    def _stem(self) -> str:
        """What this loop's adapters are called before their version. A name is given once: another loop has another
        one, also in the same directory."""
        mark = self.out / STEM
        if not mark.exists():
            write_whole(mark, f"{self.server}-{secrets.token_hex(3)}\n")
        return mark.read_text(encoding="utf-8").strip()


def find_shelf(model: str, out: Path, lora: int | None, settings: Settings) -> Shelf:
    """The shelf for a model by its name. Raises UserError where what is trained could not be served.

    `lora` is the rank of the adapters that are trained, None where all weights are; `out` is the loop's directory.
    """
    servers = Servers.own(settings)
    name = model.removeprefix("vllm/").partition("@")[0]
    if servers.is_name(name) and servers.find(name) is None and servers.log(name).exists():
        raise UserError(f"{name} is down: start it as before with `maieutic model up`.")
    profile = find_profile(model, settings)
    if profile.kind == "in-box":
        if lora is not None:
            raise UserError("The in-box model takes no adapters: train it without --lora.")
        from maieutic.llm.in_box.weights import folder_of

        return InBoxShelf(folder_of(profile.model).resolve())
    record = _own_server(model, profile, servers)
    if record is None:
        raise UserError(f"{model} can't be given new weights: name in-box, or a server of `maieutic model status`.")
    name = record.name
    if lora is None:
        raise UserError(f"{model} is a running server, which takes adapters only: add --lora 16.")
    if not record.adapters:
        raise UserError(f"{name} takes no adapters: take it down and start it with --adapters.")
    if lora > (most := largest_rank(record)):
        raise UserError(f"--lora {lora} is too large: {adapters.too_large(name, lora, most)}.")
    shelf = AdapterShelf(name, trained_from(record), record.weights, out.resolve(), servers)
    shelf.publish(shelf.first())
    return shelf


def _own_server(model: str, profile: Profile, servers: Servers) -> Record | None:
    """The server on this machine that is meant: by its name, or as `vllm/NAME` with or without its address."""
    name = profile.model if "/" in model else model
    if profile.kind != "vllm" or not servers.is_name(name) or (record := servers.find(name)) is None:
        return None
    return record if profile.base_url in (None, record.url) and not profile.base_urls else None
