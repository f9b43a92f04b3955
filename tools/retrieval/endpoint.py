"""The embedder behind a URL: any server with the OpenAI protocol's `/embeddings`."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from maieutic.errors import ModelError, UserError
from maieutic.tools.retrieval.embedder import Identity

if TYPE_CHECKING:
    import httpx

    from maieutic.tools.retrieval.embedder import Vectors

BATCH = 64
ATTEMPTS = 4
BUSY = {408, 409, 425, 429, 500, 502, 503, 504}


class Endpoint:
    """A model at a server; how many dimensions it has is asked at the start."""

    weight = 1.0

    def __init__(
        self, name: str, model: str, url: str, key: str | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Raises ModelError where the server can't be reached or refuses."""
        import httpx

        self._name, self._model, self._sleep = name, model, sleep
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(
            base_url=url.rstrip("/") + "/", headers=headers, timeout=httpx.Timeout(120, connect=10)
        )
        self.identity = Identity(name, len(self._ask(["size"])[0]))

    @classmethod
    def named(cls, name: str, env: Mapping[str, str] = os.environ) -> "Endpoint":
        """The embedder `openai-compatible/MODEL@URL`."""
        model, _, url = name.partition("/")[2].partition("@")
        if not model or not url.startswith(("http://", "https://")):
            raise UserError(f"The embedder {name!r} needs the form openai-compatible/NAME@https://HOST/v1.")
        if "@" in url:
            raise UserError("The address of the embedder holds a user name or password: use MAIEUTIC_API_KEY instead.")
        return cls(name, model, url, env.get("MAIEUTIC_API_KEY"))

    def documents(self, texts: Sequence[str]) -> "Vectors":
        import numpy as np

        batches = [self._ask(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
        rows = np.asarray([row for batch in batches for row in batch], dtype=np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)

    def query(self, text: str) -> "Vectors":
        return self.documents([text])[0]  # type: ignore[no-any-return]

    def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        import httpx

        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                response = self._client.post("embeddings", json=body)
            except httpx.TransportError as error:
                if last:
                    raise ModelError(f"{self._name} can't be reached: {error}.", kind="unreachable") from error
            else:
                if response.status_code not in BUSY or last:
                    return self._rows(response, len(texts))
            self._sleep(2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _rows(self, response: "httpx.Response", wanted: int) -> list[list[float]]:
        if response.status_code != 200:
            said = " ".join(response.text.split())[:200]
            raise ModelError(f"{self._name} answered {response.status_code}: {said}", status=response.status_code)
        try:
            data: list[Any] = sorted(response.json()["data"], key=lambda entry: entry["index"])
            rows = [[float(x) for x in entry["embedding"]] for entry in data]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{self._name} did not answer with embeddings.", kind="malformed") from error
        if len(rows) != wanted or not rows[0] or len({len(row) for row in rows}) != 1:
            raise ModelError(f"{self._name} gave {len(rows)} embeddings for {wanted} texts.", kind="malformed")
        return rows
