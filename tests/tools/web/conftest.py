"""What the tests of the web read: real servers on this machine, reached by names that a resolver of their own gives."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from maieutic.tools.web.fetching import Fetcher, Limits
from maieutic.tools.web.urls import Allowed


@pytest.fixture(scope="session")
def _server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as server:
        yield server


@pytest.fixture
def site(_server: HTTPServer) -> HTTPServer:
    """A site on a port of this machine, empty but for what a test puts there."""
    _server.clear()
    return _server


@pytest.fixture
def fetcher(site: HTTPServer) -> Fetcher:
    return fetcher_for(site)


def fetcher_for(site: HTTPServer, robots: bool = False, limits: Limits = Limits(), **options: object) -> Fetcher:  # noqa: B008
    allowed = Allowed.of([f"127.0.0.1:{site.port}"])
    return Fetcher(allowed=allowed, robots=robots, limits=limits, **options)  # type: ignore[arg-type]


def article(words: str = "Nine herons stood in the shallow water and waited for the tide to turn. ") -> str:
    """A page with a menu around its text."""
    return (
        "<html><head><title>Herons &amp; tides</title></head><body><nav><a href='/'>Home</a></nav>"
        f"<article><h1>Herons</h1><p>{words * 5}</p><p>{words * 5}</p></article></body></html>"
    )


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of right.example, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("NOT CHECKED: names in certificates, because there is no openssl to make one")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=right.example -keyout {key} -out {certificate}"
    extension = ["-addext", "subjectAltName=DNS:right.example"]
    subprocess.run([openssl, *command.split(), *extension], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


@pytest.fixture
def tls_site(certificate: Path) -> Iterator[tuple[HTTPServer, ssl.SSLContext]]:
    """A site that proves to be right.example, and what trusts it."""
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=str(certificate))
    with HTTPServer(host="127.0.0.1", port=0, ssl_context=served, threaded=True) as server:
        yield server, trust
