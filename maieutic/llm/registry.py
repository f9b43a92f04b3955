"""Names to models: what `--model NAME` means.

    in-box                              a profile: shipped, or NAME.yaml in the user's models directory
    in-box@FOLDER                       the in-box model with other weights, such as `maieutic improve` trains
    ./my-model.yaml                     a profile in a file
    vllm/qwen3                          a model at the vLLM server of MAIEUTIC_BASE_URL or http://localhost:8000/v1
    vllm/qwen3@http://gpu1:8000/v1      ... at this server; without a name (vllm@http://gpu1:8000/v1) its only model
    vllm/qwen3@http://a:8000,http://b:8000    ... at several servers of the same model
    openai-compatible/name@https://…    any other server that speaks the OpenAI protocol
    anthropic/name, ollama/name, …      everything else, through litellm

The key sent to a server named by its URL is MAIEUTIC_API_KEY; a profile says its own with `api_key_env`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from maieutic.errors import ConfigError, UnknownName
from maieutic.llm.model import Model
from maieutic.llm.profile import Kind, Profile
from maieutic.settings import Settings, load_yaml, parse_yaml

DEFAULT_URL = "http://localhost:8000/v1"
SERVERS: tuple[Kind, ...] = ("vllm", "openai-compatible")
IN_BOX = "in-box"
FORMS = ("in-box@FOLDER", "vllm/NAME@URL", "openai-compatible/NAME@URL", "PROVIDER/NAME (through litellm)", "FILE.yaml")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model ready to sample, with its profile (sampling defaults, prompts folder, concurrency)."""

    model: Model
    profile: Profile


def resolve_model(name: str, settings: Settings, env: Mapping[str, str] = os.environ) -> Resolved:
    """The model of this name. Raises UnknownName, ConfigError or MissingExtra; contacts no server."""
    profile = find_profile(name, settings, env)
    return Resolved(_build(name, profile, settings, env), profile)


def find_profile(name: str, settings: Settings, env: Mapping[str, str] = os.environ) -> Profile:
    """The profile of this name, without building the model. Raises UnknownName or ConfigError."""
    if name.endswith((".yaml", ".yml")):
        return load_yaml(Path(name).expanduser(), Profile)
    own = settings.models_dir / f"{name}.yaml"
    if "/" not in name and own.exists():
        return load_yaml(own, Profile)
    shipped = files("maieutic.configs") / "models" / f"{name}.yaml"
    if "/" not in name and shipped.is_file():
        return parse_yaml(shipped.read_text(encoding="utf-8"), Profile, f"{name}.yaml")
    return _from_form(name, settings, env)


def model_names(settings: Settings) -> list[str]:
    """The names of all profiles, shipped and own, sorted."""
    shipped = [entry.name for entry in (files("maieutic.configs") / "models").iterdir()]
    own = [entry.name for entry in settings.models_dir.iterdir()] if settings.models_dir.is_dir() else []
    return sorted({name.removesuffix(".yaml") for name in shipped + own if name.endswith(".yaml")})


def _from_form(name: str, settings: Settings, env: Mapping[str, str]) -> Profile:
    head, at, url = name.partition("@")
    if head == IN_BOX and at:
        return _in_box_at(url, settings)
    kind, slash, model = head.partition("/")
    if kind in SERVERS and (at or slash):
        urls = _split(url)
        if at and not (urls and all(url.startswith(("http://", "https://")) for url in urls)):
            raise ConfigError(f"The model {name!r} needs an address after the @, as in {head}@{DEFAULT_URL}.")
        if "@" in url:
            raise ConfigError(f"The address after {head}@ holds a user name or password: use MAIEUTIC_API_KEY instead.")
        key = "MAIEUTIC_API_KEY" if env.get("MAIEUTIC_API_KEY") else None
        if len(urls) > 1:
            return Profile(kind=kind, model=model, base_urls=urls, api_key_env=key)
        profile = Profile(kind=kind, model=model, base_url=urls[0] if urls else None, api_key_env=key)
        return _with_versions(profile, settings)
    if slash and kind and model:
        return Profile(kind="litellm", model=name)
    raise UnknownName("model", name, [*model_names(settings), *FORMS])


def _in_box_at(folder: str, settings: Settings) -> Profile:
    """The in-box model's own profile, with the folder of its weights as `model`."""
    path = Path(folder).expanduser()
    if not folder or not (path / "model.onnx").is_file():
        raise ConfigError(f"{folder or 'Nothing'} is no folder with weights of the in-box model: it needs model.onnx.")
    return find_profile(IN_BOX, settings).model_copy(update={"model": str(path)})


def _with_versions(profile: Profile, settings: Settings) -> Profile:
    """With the weights and template that the user's profile for the same model at the same server names, if any."""
    path = settings.models_dir / f"{profile.model}.yaml"
    if not profile.base_url or "/" in profile.model or not path.exists():
        return profile
    own = load_yaml(path, Profile)
    if (own.model, own.base_url) != (profile.model, profile.base_url):
        return profile
    return profile.model_copy(update={"weights": own.weights, "template": own.template})


def _build(name: str, profile: Profile, settings: Settings, env: Mapping[str, str]) -> Model:
    if profile.kind == "in-box":
        from maieutic.llm.in_box.model import InBoxModel
        from maieutic.llm.in_box.weights import SHIPPED, folder_of

        # weights of other training may know other questions, so that no rule speaks for them
        shipped = not profile.model or profile.model in SHIPPED
        return InBoxModel(folder_of(profile.model), check_scope=shipped, name=name)
    if profile.kind == "scripted":
        from maieutic.llm.scripted import ScriptedModel

        return ScriptedModel("" if profile.replies is None else profile.replies, name=name)
    if profile.kind == "python":
        return _own(name, profile.model)
    key = _key(name, profile, env)
    if profile.kind == "litellm":
        from maieutic.llm.providers import ProviderModel, is_provider

        if not is_provider(profile.model):
            raise UnknownName("model", name, [*model_names(settings), *FORMS])
        return ProviderModel(name, profile, key, env=env)
    return _at_servers(name, profile, _addresses(name, profile, env), key)


def _own(name: str, place: str) -> Model:
    """The model that a function at `package.module:function` makes."""
    module, _, function = place.partition(":")
    try:
        made = getattr(import_module(module), function)(name)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"The model {name!r} can't be made by {place}: {error}.") from error
    if not isinstance(made, Model):
        raise ConfigError(
            f"The model {name!r} can't be made by {place}: what it returns has no name, sample and close."
        )
    return made


def _at_servers(name: str, profile: Profile, urls: tuple[str, ...], key: str | None) -> Model:
    url, *others = urls
    if others:
        from maieutic.llm.server.fleet import Fleet

        return Fleet.of(name, profile, urls, key)
    from maieutic.llm.server.client import OpenAICompatibleModel

    return OpenAICompatibleModel(name, profile, url, key)


def _addresses(name: str, profile: Profile, env: Mapping[str, str]) -> tuple[str, ...]:
    urls = profile.base_urls or _split(profile.base_url or env.get("MAIEUTIC_BASE_URL", ""))
    if not urls and profile.kind != "vllm":
        raise ConfigError(f"The model {name!r} needs its server's address: add @URL or set MAIEUTIC_BASE_URL.")
    if any(not url.startswith(("http://", "https://")) for url in urls):
        raise ConfigError(f"MAIEUTIC_BASE_URL must hold addresses such as {DEFAULT_URL}, with commas between them.")
    return urls or (DEFAULT_URL,)


def _split(addresses: str) -> tuple[str, ...]:
    """Addresses with commas between them, each once."""
    return tuple(dict.fromkeys(url for part in addresses.split(",") if (url := part.strip())))


def _key(name: str, profile: Profile, env: Mapping[str, str]) -> str | None:
    if profile.api_key_env is None:
        return None
    key = env.get(profile.api_key_env)
    if not key:
        raise ConfigError(f"The model {name!r} needs a key: set the environment variable {profile.api_key_env}.")
    return key
