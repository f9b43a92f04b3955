"""Which URLs may be opened: read strictly, in one canonical form, before any name is looked up."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from maieutic.errors import ToolError, UserError

PORTS = {80, 443, 8080, 8443}
LONGEST = 4_000
_DEFAULT = {"http": 80, "https": 443}
_UNSEEN = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts of one's own that may be read although they are not public: `NAME` on all ports, `NAME:PORT` on one."""

    entries: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def of(cls, hosts: Iterable[str]) -> "Allowed":
        """Raises UserError for what isn't a host."""
        return cls(frozenset(_entry(host) for host in hosts))

    def has(self, host: str, port: int) -> bool:
        name = _bare(host)
        return (name, None) in self.entries or (name, port) in self.entries


def _entry(text: str) -> tuple[str, int | None]:
    try:
        url = httpx.URL(f"http://{text}/")
        if _UNSEEN.search(text) or url.userinfo or url.path != "/" or not url.host:
            raise ValueError
    except (httpx.InvalidURL, ValueError):
        raise UserError(f"allow_hosts has {text!r}: give a host, such as wiki.example or 10.0.0.5:8000.") from None
    port = int(text.rpartition(":")[2]) if re.search(r"[^:\]]:\d+$|\]:\d+$", text) else None
    return _bare(url.raw_host.decode("ascii")), port


def _bare(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def host_of(url: httpx.URL) -> str:
    """The host as it is asked for: in ASCII, without brackets."""
    return url.raw_host.decode("ascii").strip("[]")


def port_of(url: httpx.URL) -> int:
    return url.port or _DEFAULT[url.scheme]


def origin_of(url: httpx.URL) -> str:
    """Scheme, host and port."""
    host = host_of(url)
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{port_of(url)}"


def read_url(text: str, allowed: Allowed = Allowed()) -> httpx.URL:  # noqa: B008
    """The URL without its fragment. Raises ToolError for one that may not be opened, whatever it leads to."""
    text = text.strip()
    if len(text) > LONGEST:
        raise ToolError(f"This URL has {len(text):,} characters: give one of at most {LONGEST:,}.")
    if "://" not in text and re.match(r"[\w-]+(\.[\w-]+)+([:/?#]|$)", text):
        text = f"https://{text}"
    if _UNSEEN.search(text):
        raise ToolError("This URL holds a space, a backslash or an unseen character: write it percent-encoded.")
    try:
        url = httpx.URL(text).copy_with(fragment=None)
        host = host_of(url)
        port = url.port
    except (httpx.InvalidURL, UnicodeError, ValueError, TypeError):
        raise ToolError(f"{_shown(text)} is not a URL: give one such as https://example.org/page.") from None
    if url.scheme not in _DEFAULT:
        raise ToolError(f"Only http and https can be opened, not {_shown(url.scheme or text)}.")
    if not host:
        raise ToolError(f"{_shown(text)} names no host: give a URL such as https://example.org/page.")
    if url.userinfo:
        raise ToolError("This URL holds a user name or password: give it without.")
    if "%" in host or host.lower().startswith("v") and ":" in host:
        raise ToolError(f"The host {_shown(host)} is not one of the public web.")
    if port is not None and not 0 < port < 65536:
        raise ToolError(f"There is no port {port}.")
    if port_of(url) not in PORTS and not allowed.has(host, port_of(url)):
        raise ToolError(f"Port {port_of(url)} can't be opened: only {', '.join(map(str, sorted(PORTS)))} can.")
    return url


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:99]}…")
