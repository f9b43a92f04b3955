"""What a server's refusal means: an HTTP status and a body become one sentence that says what to do."""

import json
from typing import Any

import httpx

from maieutic.errors import ConfigError, ModelError

RETRIED = {408, 409, 425, 429}
OVERLOADED = {429, 502, 503, 504, 529}


def is_retryable(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in RETRIED or status >= 500


def refusal(url: str, status: int, body: str, secret: str | None) -> ModelError:
    """The error for an answer with this status; the key is taken out of whatever the server says."""
    said = message_of(without_key(body, secret)).rstrip(".")
    kind = "overloaded" if status in OVERLOADED else "refused"
    if status in (401, 403):
        text = f"The server at {url} does not accept the key ({status}: {said}): check the variable that the profile's "
        text += "api_key_env names, or MAIEUTIC_API_KEY for a server given by its URL."
    elif status == 404:
        text = f"There is no chat endpoint at {url} (404: {said}): check the address, which usually ends in /v1."
    elif kind == "overloaded":
        text = f"The server at {url} is overloaded ({status}: {said}): try again later or lower the concurrency."
    else:
        text = f"The server at {url} refused the request ({status}: {said})."
    return ModelError(text, kind=kind, retryable=is_retryable(status), status=status)


def without_key(text: str, secret: str | None) -> str:
    """A text with the key taken out: before it is shortened, so that no part of the key stays."""
    return text.replace(secret, "***") if secret else text


def unknown_model(url: str, model: str, served: list[str]) -> ModelError:
    """The error for a model that the server does not serve."""
    names = ", ".join(served) or "nothing"
    return ModelError(f"The server at {url} has no model {model!r}; it serves: {names}.", status=404)


def error_in(payload: Any) -> tuple[int, str] | None:
    """Status and message of an error object that came with status 200, as happens inside streams; None without one."""
    error = payload.get("error") if isinstance(payload, dict) else None
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    return (code if isinstance(code, int) else 500), json.dumps(payload)


def message_of(body: str) -> str:
    """The human part of an error body in any of the usual forms, at most 500 characters."""
    try:
        found: Any = json.loads(body)
    except ValueError:
        found = body.strip() or "no reason given"
    while isinstance(found, dict):
        found = found.get("error") or found.get("message") or found.get("detail") or json.dumps(found)
    return (found if isinstance(found, str) else json.dumps(found))[:500]


def shown(url: httpx.URL) -> str:
    """A URL as it may be printed: without user, password and query."""
    return str(url.copy_with(username=None, password=None, query=None)).rstrip("/")


def root_url(text: str) -> httpx.URL:
    """The API's root: without a trailing slash or endpoint, and with `/v1` where only a host is given.

    Raises ConfigError for what is no address.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ConfigError(f"{text} is no address ({error}): write it as http://localhost:8000/v1.") from error
    if not url.host:
        raise ConfigError(f"{text} names no host: write it as http://localhost:8000/v1.")
    path = url.path.rstrip("/").removesuffix("/chat/completions")
    return url.copy_with(path=path or "/v1")
