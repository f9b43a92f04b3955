"""The providers known by name: how each is reached, whose key it takes, and what it does with a request."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from maieutic.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    `title` is what people call it, `route` litellm's name for its chat, `keys` the variables that may hold its key,
    first one first; `keyless` says that it needs none. `refuses` are sampling fields that it answers with an error, so
    that they are not sent. `prefill` says whether it goes on from an open message. `root` is where its API lies on a
    host, as litellm wants to be told.
    """

    title: str
    route: str
    keys: tuple[str, ...]
    refuses: frozenset[str] = frozenset()
    prefill: bool = False
    keyless: bool = False
    root: str = ""


PROVIDERS = {
    "openai": Provider("OpenAI", "openai", ("OPENAI_API_KEY",), frozenset({"top_k"}), root="/v1"),
    "anthropic": Provider("Anthropic", "anthropic", ("ANTHROPIC_API_KEY",), frozenset({"seed"})),
    "gemini": Provider("Google Gemini", "gemini", ("GEMINI_API_KEY", "GOOGLE_API_KEY"), root="/v1beta"),
    "ollama": Provider("Ollama", "ollama_chat", ("OLLAMA_API_KEY",), keyless=True),
    "mistral": Provider("Mistral", "mistral", ("MISTRAL_API_KEY",), frozenset({"top_k"}), prefill=True, root="/v1"),
}


def provider_of(model: str) -> Provider | None:
    """The provider in `provider/name`, where it is one of those known by name."""
    return PROVIDERS.get("ollama" if model.startswith("ollama_chat/") else model.partition("/")[0])


def routed(model: str) -> str:
    """The model's name as litellm wants it: Ollama's chat has a prefix of its own."""
    known, name = provider_of(model), model.partition("/")[2]
    return f"{known.route}/{name}" if known else model


def provider_key(name: str, model: str, own_server: bool, env: Mapping[str, str] = os.environ) -> str | None:
    """The key in the provider's own variable. Raises ConfigError, naming the variable, where it is needed and missing.

    A server of one's own (`own_server`) may need none; providers that are not known by name are left to litellm.
    """
    known = provider_of(model)
    if known is None:
        return None
    found = next((env[variable] for variable in known.keys if env.get(variable)), None)
    if found is None and not (known.keyless or own_server):
        raise ConfigError(f"The model {name!r} needs a key: set the environment variable {known.keys[0]}.")
    return found


def api_root(model: str, base_url: str | None) -> str | None:
    """The address of a server of one's own as litellm wants it, given with the API's root or without."""
    known = provider_of(model)
    if known is None or base_url is None:
        return base_url
    url = httpx.URL(base_url)
    path = url.path.rstrip("/")
    if not known.root:
        path = path.removesuffix("/v1")
    return str(url.copy_with(path=path or known.root)).rstrip("/")
