"""A model profile: everything needed to reach one model and to sample from it as its makers advise."""

from typing import Any, Literal

from pydantic import Field, model_validator

from maieutic.llm.server.fields import complaint
from maieutic.settings import Strict
from maieutic.types import Sampling

Kind = Literal["in-box", "vllm", "openai-compatible", "litellm", "python", "scripted"]


class SamplingDefaults(Strict):
    """Used where a request leaves a field open. `extra` is added to every request body as it is."""

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = None
    max_tokens: int | None = Field(default=None, gt=0)
    stop: tuple[str, ...] = ()
    seed: int | None = None
    extra: dict[str, Any] = {}

    def fill(self, sampling: Sampling, seed: int | None = None) -> Sampling:
        """The sampling with its open fields filled, and with `seed` where that is given."""
        if seed is None:
            seed = self.seed if sampling.seed is None else sampling.seed
        return Sampling(
            temperature=self.temperature if sampling.temperature is None else sampling.temperature,
            top_p=self.top_p if sampling.top_p is None else sampling.top_p,
            top_k=self.top_k if sampling.top_k is None else sampling.top_k,
            max_tokens=self.max_tokens if sampling.max_tokens is None else sampling.max_tokens,
            stop=sampling.stop or self.stop,
            seed=seed,
            logprobs=sampling.logprobs,
            top_logprobs=sampling.top_logprobs,
            extra={**self.extra, **sampling.extra},
        )


class Timeouts(Strict):
    """Seconds for each phase of a call; null means no limit.

    `first_byte` runs from the request to the response's first byte (without streaming that is the whole generation),
    `between` from one received chunk to the next, `total` over the whole call with its retries. `idle` is how long a
    connection is kept that no call uses: less than the server keeps it (5 s on uvicorn, which vLLM is built on), so
    that it isn't closed at the moment in which it is used again.
    """

    connect: float | None = Field(default=10.0, gt=0)
    first_byte: float | None = Field(default=600.0, gt=0)
    between: float | None = Field(default=120.0, gt=0)
    total: float | None = Field(default=None, gt=0)
    idle: float = Field(default=3.0, gt=0)


class Price(Strict):
    """US dollars for a million tokens. `cached` is the price of prompt tokens read from a cache."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)

    def of(self, prompt: int, completion: int, cached: int = 0) -> float:
        """The cost in US dollars of a call with these numbers of tokens; `cached` are among the prompt's."""
        cached_price = self.prompt if self.cached is None else self.cached
        return ((prompt - cached) * self.prompt + cached * cached_price + completion * self.completion) / 1e6


class Profile(Strict):
    """One model. `prompts` names the folder of prompt files written for it; None means the ordinary ones.
    `conversation` is false for a model that knows single questions only: what was said before is then left out.
    `vision` says that it can see: images that tools make are then shown to it.

    `model` is the name at the server or provider; a vLLM or OpenAI-compatible profile without it takes the only model
    that the server serves, and without `base_url` the server of MAIEUTIC_BASE_URL. `base_urls` are several servers of
    the same model. `weights` and `template` name the weights version and the chat template's hash where a server does
    not say them. `unchecked` are names in `extra` that a vLLM server newer than 0.32 takes. `loop_guard` ends an answer
    that does nothing but repeat itself. `replies` is the script of a scripted model. Of kind python is a
    model of your own code: `model`, "package.module:function", is called with the name and returns a `Model`.
    """

    kind: Kind
    description: str = ""
    model: str = ""
    base_url: str | None = None
    base_urls: tuple[str, ...] = ()
    weights: str | None = None
    template: str | None = None
    api_key_env: str | None = None
    sampling: SamplingDefaults = SamplingDefaults()
    prompts: str | None = None
    conversation: bool = True
    vision: bool = False
    timeouts: Timeouts = Timeouts()
    retries: int = Field(default=4, ge=0)
    concurrency: int | None = Field(default=None, gt=0)
    price: Price | None = None
    unchecked: tuple[str, ...] = ()
    loop_guard: bool = True
    replies: str | list[str] | dict[str, str | list[str]] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Profile":
        for name, url in [("base_url", self.base_url), *(("base_urls", url) for url in self.base_urls)]:
            if url is not None and not url.startswith(("http://", "https://")):
                raise ValueError(f"{name} must start with http:// or https://, as in http://localhost:8000/v1")
            if url is not None and "@" in url:
                raise ValueError(
                    f"{name} holds a user name or password: put the key in a variable named by api_key_env"
                )
        if self.base_url is not None and self.base_urls:
            raise ValueError("base_url and base_urls are both given: list all servers in base_urls")
        if self.base_urls and self.kind not in ("vllm", "openai-compatible"):
            raise ValueError(f"base_urls is for servers (vllm, openai-compatible), not for a model of kind {self.kind}")
        if self.kind == "vllm" and (wrong := complaint(self.sampling.extra, self.unchecked)) is not None:
            raise ValueError(wrong.rstrip("."))
        if self.kind == "litellm" and not self.model:
            raise ValueError("a profile of kind litellm needs model, such as anthropic/NAME")
        if self.kind == "python" and ":" not in self.model:
            raise ValueError("a profile of kind python needs model, such as package.module:function")
        if self.kind == "scripted" and self.replies is None:
            raise ValueError("a profile of kind scripted needs replies")
        return self
