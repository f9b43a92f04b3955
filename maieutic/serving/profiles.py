"""The profiles through which every command finds a server that was started here, and its adapters."""

from pathlib import Path
from typing import Any

import yaml

from maieutic.errors import UserError
from maieutic.llm.in_box.weights import FIRST, SHIPPED
from maieutic.serving.command import KEEP_ALIVE
from maieutic.serving.files import write_whole
from maieutic.serving.records import Record, Servers


def check_free(servers: Servers, server: str, name: str) -> None:
    """Refuse a name that a profile of the user's or a shipped one has. Raises UserError."""
    path = _path(servers, name)
    if _is_shipped(name) or (path.exists() and not _written_for(path, server)):
        where = "is shipped" if _is_shipped(name) else f"stands in {path}"
        raise UserError(f"A model profile {name!r} {where}: give the server another name with --name.")


def write_profile(servers: Servers, record: Record, name: str, description: str, weights: str | None) -> Path:
    """Write the profile `name` for what this server serves under that name."""
    fields: dict[str, Any] = {"kind": "vllm", "description": description, "model": name, "base_url": record.url}
    fields |= {"weights": weights, "template": record.template, "api_key_env": record.key_env}
    fields["timeouts"] = {"idle": KEEP_ALIVE - 60}
    if record.model in SHIPPED:
        fields |= _as_in_box()
    text = yaml.safe_dump({k: v for k, v in fields.items() if v is not None}, sort_keys=False, allow_unicode=True)
    path = _path(servers, name)
    write_whole(path, f"{_mark(record.name)}\n{text}")
    return path


def remove_profile(servers: Servers, server: str, name: str) -> None:
    """Remove the profile `name` if it was written for this server."""
    path = _path(servers, name)
    if _written_for(path, server):
        path.unlink(missing_ok=True)


def remove_profiles(servers: Servers, server: str) -> None:
    """Remove every profile that was written for this server."""
    for path in servers.models_dir.glob("*.yaml"):
        remove_profile(servers, server, path.stem)


def _as_in_box() -> dict[str, Any]:
    """What the in-box models' own profiles say about how they are asked: the same."""
    from importlib.resources import files

    from maieutic.llm.profile import Profile
    from maieutic.settings import parse_yaml

    text = (files("maieutic.configs") / "models" / f"{FIRST}.yaml").read_text(encoding="utf-8")
    profile = parse_yaml(text, Profile, f"{FIRST}.yaml")
    return profile.model_dump(mode="json", include={"prompts", "conversation", "sampling"}, exclude_unset=True)


def _is_shipped(name: str) -> bool:
    from importlib.resources import files

    return (files("maieutic.configs") / "models" / f"{name}.yaml").is_file()


def _path(servers: Servers, name: str) -> Path:
    return servers.models_dir / f"{name}.yaml"


def _mark(server: str) -> str:
    return f"# Written by `maieutic model up` for the server {server}; `maieutic model down {server}` removes it."


def _written_for(path: Path, server: str) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\n") == _mark(server)
    except OSError:
        return False
