"""LoRA adapters of a server: named by version, loaded and unloaded while it runs, never one name for two weights.

What a name stood for is kept beside the server's record for good, also when the server is started anew, and the server
reads a copy that nobody writes to: a completion's weights, `BASE+x-v3:HASH`, name exactly what sampled it.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maieutic.errors import MaieuticError, UserError
from maieutic.serving.control import SLOW, Control
from maieutic.serving.files import digest_of_files, write_whole
from maieutic.serving.profiles import check_free, remove_profile, write_profile
from maieutic.serving.records import Record, Servers
from maieutic.serving.served import folder_of, largest_rank
from maieutic.serving.tensors import misfit

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # those that vLLM can be started for
LOCK_SECONDS = 120.0
CONFIG = "adapter_config.json"
_VERSIONED = re.compile(r"[A-Za-z0-9][\w.-]*-v(\d+)")


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter of a server: `hash` of its files, and the `weights` version that its completions carry."""

    name: str
    server: str
    hash: str
    weights: str
    loaded: bool


def load(name: str, path: Path | str, server: str | None = None, servers: Servers | None = None) -> Adapter:
    """Load an adapter into a running server (the only one that takes adapters, where none is named).

    Then `--model NAME` samples it. Loading the same weights again under their name changes nothing. Raises UserError
    for a name without version or with other weights, and for a folder that holds no adapter of the server's model, or
    one of too large a rank.
    """
    servers = servers or Servers.own()
    found = _server(servers, server).name
    check_free(servers, found, name)
    with servers.lock(found, LOCK_SECONDS):  # what is known of it may have changed until now
        return load_locked(servers, _server(servers, found), name, Path(path))


def load_locked(servers: Servers, record: Record, name: str, path: Path) -> Adapter:
    """`load` for whoever holds the server's lock already."""
    _check_fits(record, name, path)
    if not record.ready:
        raise UserError(f"{record.name} is not up yet: `maieutic model up` waits until it is.")
    if name == record.name:
        raise UserError(f"{name} is the server itself: give the adapter another name.")
    copy = _copies(servers, record.name) / name
    staged = copy.with_name(f".{name}")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for file in _files(path):
        shutil.copyfile(file, staged / file.name)
    known = _known(servers, record.name)
    found = digest_of_files(staged.iterdir())
    if known.get(name, found) != found:
        shutil.rmtree(staged)
        raise UserError(
            f"{name} was other weights before ({known[name]}): give these a new name, {_next(name, known)}."
        )
    with _control(record) as control:
        _tidy(servers, record, control)
        if name in {model["id"] for model in control.models()}:
            shutil.rmtree(staged)
            if name not in known:
                raise UserError(f"{record.name} got a {name} from elsewhere: give this one another name.")
        else:
            shutil.rmtree(copy, ignore_errors=True)
            staged.rename(copy)
            _remember(servers, record.name, {**known, name: found})
            try:
                control.load_adapter(name, str(copy))
            except MaieuticError as error:
                shutil.rmtree(copy)
                _remember(servers, record.name, known)
                raise UserError(f"{name} can't be loaded. {error}") from error
    adapter = _adapter(record, name, found, loaded=True)
    write_profile(servers, record, name, f"An adapter of {record.name}.", adapter.weights)
    return adapter


def unload(name: str, server: str | None = None, servers: Servers | None = None) -> None:
    """Unload an adapter; its name stays taken. Raises UserError where it is not loaded."""
    servers = servers or Servers.own()
    found = _server(servers, server).name
    with servers.lock(found, LOCK_SECONDS), _control(record := _server(servers, found)) as control:
        loaded = [model["id"] for model in control.models() if model.get("parent")]
        if name not in loaded:
            raise UserError(f"{record.name} has no adapter {name!r}; it has {', '.join(loaded) or 'none'}.")
        remove_profile(servers, record.name, name)
        control.unload_adapter(name)
        _tidy(servers, record, control)


def listed(server: str | None = None, servers: Servers | None = None) -> list[Adapter]:
    """Every adapter that a server has or once had, by name."""
    servers = servers or Servers.own()
    record = _server(servers, server)
    with _control(record) as control:
        loaded = {model["id"] for model in control.models() if model.get("parent")}
    return [_adapter(record, name, hash_, name in loaded) for name, hash_ in _known(servers, record.name).items()]


def rank_for(adapters: Mapping[str, Path], wanted: int | None) -> int | None:
    """The rank that a server with these adapters is started for; None where it takes none. Raises UserError."""
    ranks = [rank_of(name, path) for name, path in adapters.items()]
    largest = max([*ranks, wanted or 0])
    if not largest:
        return None
    fitting = next((rank for rank in RANKS if rank >= largest), None)
    if fitting is None:
        raise UserError(f"An adapter of rank {largest} is too large: vLLM takes ranks up to {RANKS[-1]}.")
    return fitting


def too_large(server: str, rank: int, most: int) -> str:
    """What to do about a rank above a server's, as the end of a sentence."""
    fitting = next((one for one in RANKS if one >= rank), None)
    larger = f", or start it with `-- --max-lora-rank {fitting}`" if fitting else ""
    return f"{server} takes ranks up to {most}, so train a smaller one{larger}"


def rank_of(name: str, path: Path) -> int:
    """The rank of the adapter in this folder. Raises UserError if the name has no version or it is no adapter."""
    if not _VERSIONED.fullmatch(name):
        raise UserError(f"An adapter's name ends in its version: {name!r} could be {re.sub(r'-v$', '', name)}-v1.")
    try:
        rank = json.loads((path / CONFIG).read_text(encoding="utf-8"))["r"]
        if isinstance(rank, int) and rank > 0 and len(_files(path)) > 1:
            return rank
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{path} holds no LoRA adapter: it needs {CONFIG} with a rank r, and adapter_model.safetensors.")


def weights_of(base: str, name: str, path: Path) -> str:
    """The weights version that completions of the adapter in this folder carry once loaded; `base` is its server's."""
    return _weights(base, name, digest_of_files(_files(path)))


def remove_copies(servers: Servers, server: str) -> None:
    """Remove what a server that has ended read its adapters from."""
    shutil.rmtree(_copies(servers, server), ignore_errors=True)


def _server(servers: Servers, name: str | None) -> Record:
    if name is not None:
        record = servers.get(name)
        if not record.session.alive():
            raise UserError(f"{name} is not up: start it with `maieutic model up`.")
        if not record.adapters:
            raise UserError(f"{name} takes no adapters: take it down and start it with --adapters.")
        return record
    found = [r for n in servers.names() if (r := servers.get(n)).adapters and r.session.alive()]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"Several servers take adapters: name one with --server ({', '.join(r.name for r in found)}).")
    raise UserError("No server that takes adapters is up: start one with `maieutic model up … --adapters`.")


def _check_fits(record: Record, name: str, path: Path) -> None:
    """Refuse an adapter that the server can't take, or that is none of its model. Raises UserError."""
    rank, most = rank_of(name, path), largest_rank(record)
    if rank > most:
        raise UserError(f"{name} has rank {rank}: {too_large(record.name, rank, most)}.")
    folder = folder_of(record)
    if folder and (why := misfit(path.glob("adapter_model*.safetensors"), folder.glob("*.safetensors"))):
        raise UserError(f"{path} holds an adapter of another model than {record.name} serves ({folder}): {why}.")


def _tidy(servers: Servers, record: Record, control: Control) -> None:
    """Remove the copies of what was unloaded. Not while there are requests: one that waits for an adapter that vLLM has
    not in memory reads it then, and vLLM ends where it finds none."""
    if control.idle():
        loaded = {model["id"] for model in control.models()}
        for copy in _copies(servers, record.name).glob("[!.]*"):
            if copy.name not in loaded:
                shutil.rmtree(copy, ignore_errors=True)


def _control(record: Record) -> Control:
    return Control(record, timeout=SLOW)


def _files(path: Path) -> list[Path]:
    return [*path.glob(CONFIG), *path.glob("adapter_model*.safetensors"), *path.glob("new_embeddings.safetensors")]


def _copies(servers: Servers, server: str) -> Path:
    return servers.folder(server) / "adapters"


def _known(servers: Servers, server: str) -> dict[str, str]:
    path = servers.folder(server) / "adapters.json"
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return known


def _remember(servers: Servers, server: str, known: Mapping[str, str]) -> None:
    write_whole(servers.folder(server) / "adapters.json", json.dumps(known, indent=2) + "\n")


def _adapter(record: Record, name: str, hash_: str, loaded: bool) -> Adapter:
    return Adapter(name, record.name, hash_, _weights(record.weights or record.model, name, hash_), loaded)


def _weights(base: str, name: str, hash_: str) -> str:
    return f"{base}+{name}:{hash_}"


def _next(name: str, known: Mapping[str, str]) -> str:
    """The first version of this name that was never used."""
    stem = name.rpartition("-v")[0]
    used = [
        int(found[1]) for other in known if other.startswith(f"{stem}-v") and (found := _VERSIONED.fullmatch(other))
    ]
    return f"{stem}-v{max(used, default=0) + 1}"
