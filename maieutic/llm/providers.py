"""Every other provider, through litellm: the only file that imports it, and only when such a model is used."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib.util import find_spec
from socket import gaierror
from typing import Any

from maieutic.errors import MissingExtra, ModelError
from maieutic.llm.model import OnDelta
from maieutic.llm.profile import Profile
from maieutic.llm.server.exchange import AttemptFailed
from maieutic.llm.server.net import Slots, retry_after, wait_before
from maieutic.llm.server.refusals import OVERLOADED, is_retryable
from maieutic.llm.server.stream import Listener
from maieutic.llm.server.wire import Json, read_completion, request_body
from maieutic.types import Completion, Request, Usage


def load_litellm() -> Any:
    """litellm, kept from fetching its price list, reading `.env` files and printing. Raises MissingExtra."""
    if find_spec("litellm") is None:
        raise MissingExtra("A model of another provider", "providers")
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm

    litellm.suppress_debug_info = True
    return litellm


def is_provider(name: str) -> bool:
    """Whether litellm knows the provider in `provider/name`. Raises MissingExtra."""
    litellm = load_litellm()
    return name.partition("/")[0] in {getattr(p, "value", p) for p in litellm.provider_list}


class ProviderModel:
    """A model that litellm reaches; keys come from the variables that litellm reads, or from the profile's own."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        api_key: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._profile = profile
        self._key = api_key
        self._sleep = sleep
        self._litellm = load_litellm()
        self._slots = Slots(profile.concurrency)
        self._supported = set(self._litellm.get_supported_openai_params(model=profile.model) or ())

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Ask the provider; streams only where `on_delta` is given. Raises ModelError, and what `on_delta` raises."""
        arguments = self._arguments(request, on_delta is not None)
        total = self._profile.timeouts.total
        deadline = asyncio.timeout(total)
        try:
            async with self._slots.one(), deadline:
                payload = await self._attempts(arguments, on_delta)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            text = f"{self.name} did not finish its answer within {total:g} s: raise timeouts.total in its profile."
            raise ModelError(text, kind="timeout", retryable=True) from error
        return self._priced(read_completion(payload, self._profile.model, self._profile.price))

    async def close(self) -> None:
        """Nothing to do: litellm's connections belong to the process."""

    async def _attempts(self, arguments: Json, on_delta: OnDelta | None) -> Json:
        """Try until the provider answers, the retries are used up, or a piece of the answer has been passed on."""
        attempt = 0
        while True:
            listener = Listener(on_delta) if on_delta else None
            try:
                return await self._attempt(arguments, listener)
            except AttemptFailed as failed:
                attempt += 1
                passed_on = listener is not None and listener.heard
                repeatable = failed.error.retryable and failed.error.kind != "timeout"
                if passed_on or not repeatable or attempt > self._profile.retries:
                    raise failed.error from failed.__cause__
                await self._sleep(wait_before(attempt, failed.wait))

    def _arguments(self, request: Request, stream: bool) -> Json:
        """The arguments of litellm's call; log-probabilities are left out where they aren't supported."""
        arguments = request_body(request, self._profile.model, stream=stream, token_ids=False)
        if "logprobs" not in self._supported:
            arguments.pop("logprobs", None)
        messages = [{k: v for k, v in m.items() if k != "reasoning"} for m in request.messages]
        if request.continue_final:
            del arguments["add_generation_prompt"], arguments["continue_final_message"]
            if not self._can_prefill():
                raise ModelError(
                    f"{self.name} can't go on from an open message: use a model on a vLLM server for this."
                )
            messages[-1]["prefix"] = True
        # litellm's own retries and time-out are put out of the way of ours; its MCP gateway, which tools would open,
        # needs a package that it doesn't install
        limits = {"num_retries": 0, "max_retries": 0, "timeout": self._profile.timeouts.first_byte or 86_400}
        return {
            **arguments,
            **limits,
            "_skip_mcp_handler": True,
            "messages": messages,
            "api_key": self._key,
            "api_base": self._profile.base_url,
        }

    async def _attempt(self, arguments: Json, listener: Listener | None) -> Json:
        times = self._profile.timeouts
        answer = await self._timed(self._litellm.acompletion(**arguments), times.first_byte, "begin to answer")
        if listener is None:
            payload: Json = answer.model_dump()
            return payload
        chunks = aiter(answer)
        while True:
            chunk = await self._timed(anext(chunks, None), times.between, "go on with its answer")
            if chunk is None:
                return listener.joiner.result()
            try:
                listener.hear(chunk.model_dump())
            except BaseException:
                await answer.aclose()
                raise

    async def _timed(self, work: Awaitable[Any], seconds: float | None, what: str) -> Any:
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                return await work
        except TimeoutError as error:
            if not deadline.expired():
                raise self._failed(error) from error
            text = f"{self.name} did not {what} within {seconds:g} s: raise the timeouts in its profile."
            raise AttemptFailed(ModelError(text, kind="timeout", retryable=True)) from error
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> AttemptFailed:
        """litellm's exceptions as ours; anything else that comes out of it counts as a refusal."""
        exceptions = self._litellm.exceptions
        status = getattr(error, "status_code", None)
        said = " ".join(str(error).split("Exception - ")[-1].split()).rstrip(".")[:500]
        if self._key:
            said = said.replace(self._key, "***")
        if isinstance(error, exceptions.MidStreamFallbackError):
            kind, text = "cut", f"broke off in the middle of its answer: {said}."
        elif isinstance(error, exceptions.Timeout):
            kind, text = "timeout", f"took too long: {said}."
        elif _not_connected(error):
            kind = "unreachable"
            text = f"can't be reached: {said}. Check the network and base_url, or give another --model."
        else:
            kind = "overloaded" if status in OVERLOADED else "refused"
            text = f"refused the request ({status or type(error).__name__}: {said})."
        retryable = kind != "refused" or (status is not None and is_retryable(status))
        headers = getattr(error, "litellm_response_headers", None)
        failure = ModelError(f"{self.name} {text}", kind=kind, retryable=retryable, status=status)
        return AttemptFailed(failure, wait=retry_after(headers) if headers else None)

    def _priced(self, completion: Completion) -> Completion:
        """With the cost by litellm's price list, unless the profile has a price or the list doesn't know the model."""
        usage = completion.usage
        if usage.cost is not None or "usage_missing" in completion.extra:
            return completion
        return replace(completion, usage=replace(usage, cost=self._cost(usage)))

    def _cost(self, usage: Usage) -> float | None:
        if self._profile.model not in self._litellm.model_cost and self._bare_name() not in self._litellm.model_cost:
            return None
        prompt, completion = self._litellm.cost_per_token(
            model=self._profile.model,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cache_read_input_tokens=usage.cached_tokens,
        )
        return float(prompt + completion)

    def _can_prefill(self) -> bool:
        try:
            return bool(self._litellm.get_model_info(self._profile.model).get("supports_assistant_prefill"))
        except Exception:  # litellm's own type, an untyped one in some versions: the model is not in its list
            return False

    def _bare_name(self) -> str:
        return self._profile.model.partition("/")[2]


def _not_connected(error: BaseException | None) -> bool:
    """Whether a failure to connect is at the root of litellm's exception, which reports it as a status 500."""
    while error is not None:
        if isinstance(error, ConnectionError | gaierror):
            return True
        error = error.__cause__ or error.__context__
    return False
