"""What is asked of a running server beside samples: is it healthy, what does it serve, its adapters, its counters."""

import os
import re
from collections.abc import Mapping
from typing import Any

import httpx

from maieutic.errors import MaieuticError
from maieutic.serving.records import Record

QUICK = 3.0
SLOW = 120.0
_SAMPLE = re.compile(r"^(vllm:\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


class Control:
    """The control side of one server; `timeout` is for plain questions, in seconds: a busy server takes its time."""

    def __init__(self, record: Record, env: Mapping[str, str] = os.environ, timeout: float = QUICK) -> None:
        key = env.get(record.key_env) if record.key_env else None
        headers = {"authorization": f"Bearer {key}"} if key else {}
        root = record.url.removesuffix("/v1")
        self._name = record.name
        self._client = httpx.Client(base_url=root, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def healthy(self) -> bool:
        """Whether it answers that it is healthy."""
        try:
            return self._client.get("/health").is_success
        except httpx.HTTPError:
            return False

    def models(self) -> list[dict[str, Any]]:
        """What it serves: the model and its adapters (those have a `parent`)."""
        data: list[dict[str, Any]] = self._ask("GET", "/v1/models").json()["data"]
        return data

    def warm(self, model: str) -> None:
        """Have one token sampled: what vLLM compiles at the first request is then compiled."""
        body = {"model": model, "prompt": "1", "max_tokens": 2, "temperature": 1.0, "top_p": 0.9, "logprobs": 1}
        self._ask("POST", "/v1/completions", body, 10 * SLOW)

    def load_adapter(self, name: str, path: str) -> None:
        self._ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}, SLOW)

    def unload_adapter(self, name: str) -> None:
        self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": name}, SLOW)

    def metrics(self) -> dict[str, float]:
        """vLLM's counters and gauges, summed over their labels."""
        sums: dict[str, float] = {}
        for name, value in _SAMPLE.findall(self._ask("GET", "/metrics").text):
            sums[name] = sums.get(name, 0.0) + float(value)
        return sums

    def idle(self) -> bool:
        """Whether it says that it works on no request, and that none waits."""
        try:
            metrics = self.metrics()
        except MaieuticError:
            return False
        return not any(metrics.get(f"vllm:num_requests_{state}", 1.0) for state in ("running", "waiting"))

    def _ask(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> httpx.Response:
        try:
            response = self._client.request(method, path, json=body, timeout=timeout or self._client.timeout)
        except httpx.HTTPError as error:
            raise MaieuticError(f"{self._name} does not answer: see `maieutic model logs {self._name}`.") from error
        if not response.is_success:
            from maieutic.llm.server.refusals import message_of

            said = message_of(response.text).rstrip(".")
            raise MaieuticError(f"{self._name} refused ({response.status_code}): {said}.")
        return response
