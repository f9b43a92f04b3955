"""Every other provider, through litellm: the only file that imports it, and only when such a model is used."""

import asyncio
import logging
import os
import re
import warnings
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from socket import gaierror
from typing import Any

import httpx

from maieutic.errors import ConfigError, MissingExtra, ModelError
from maieutic.llm.model import Enough, OnDelta
from maieutic.llm.profile import Profile
from maieutic.llm.providers_answer import read_answer
from maieutic.llm.providers_failures import Failures
from maieutic.llm.providers_request import Thoughts, arguments, not_sent, unable
from maieutic.llm.providers_table import api_root, provider_key, provider_of, routed
from maieutic.llm.providers_wire import WITNESS, WatchedTransport, Witness
from maieutic.llm.server.exchange import AttemptFailed
from maieutic.llm.server.net import Slots, retry_after, wait_before
from maieutic.llm.server.stream import Listener
from maieutic.llm.server.wire import Json
from maieutic.types import Completion, Request

NO_LIMIT = 86_400.0  # seconds: litellm's own time-out, put out of the way of ours
NO_KEY = "none"  # for a server of one's own that takes no key: clients refuse to start without one
LOGPROBS = ("logprobs", "top_logprobs")  # logprobs are asked for by default
# Fields that a model may refuse by name although its provider knows them; it is then asked without.
OPTIONAL = re.compile(r"\b(top_k|seed|random_seed|(?:top_|response_?)?logprobs)\b", re.IGNORECASE)

ITS_WARNINGS = (
    r"Accessing the 'model_\w*fields' attribute on the instance is deprecated",
    r"Item '\w+' on TypedDict class 'ChatCompletion\w+' is using the `ReadOnly` qualifier",
)


def load_litellm() -> Any:
    """litellm, kept from fetching its price list, reading `.env` files, reporting and printing. Raises MissingExtra."""
    _require_litellm()
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm

    if "LITELLM_LOG" not in os.environ:
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for message in ITS_WARNINGS:  # also those of parts that it imports only while an answer streams
        warnings.filterwarnings("ignore", message)
    litellm.suppress_debug_info = True
    return litellm


def is_provider(name: str) -> bool:
    """Whether litellm knows the provider in `provider/name`. Raises MissingExtra."""
    if provider_of(name) is not None:  # without the seconds that its import takes
        _require_litellm()
        return True
    litellm = load_litellm()
    return name.partition("/")[0] in {getattr(p, "value", p) for p in litellm.provider_list}


def _require_litellm() -> None:
    if find_spec("litellm") is None:
        raise MissingExtra("A model of another provider", "providers")


class ProviderModel:
    """A model that litellm reaches. Its key comes from the profile's variable, or from the provider's own.

    Raises ConfigError where a key is needed and there is none.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        api_key: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        self.name = name
        self._profile = profile
        self._provider = provider_of(profile.model)
        self._model = routed(profile.model)
        self._base_url = api_root(profile.model, profile.base_url)
        self._key = api_key or provider_key(name, profile.model, profile.base_url is not None, env)
        self._litellm = load_litellm()
        if self._provider is None and self._key is None and profile.base_url is None:
            self._check_key()
        self._sleep = sleep
        self._slots = Slots(profile.concurrency)
        self._supported: set[str] = set(self._litellm.get_supported_openai_params(model=self._model) or ())
        self._failures = Failures(name, self._provider, self._key)
        self._thoughts = Thoughts()
        self._without: set[str] = set()
        self._answered = False
        if self._provider is not None and self._provider.keyless:  # else it asks the server for a price, often
            self._litellm.register_model({self._model: {"litellm_provider": self._provider.route, "mode": "chat"}})
        self._transport = WatchedTransport(profile.timeouts.connect)
        self._client = self._make_client()

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Ask the provider; streams only where `on_delta` is given. Raises ModelError, and what `on_delta` raises."""
        call = self._arguments(request, on_delta is not None)
        total = self._profile.timeouts.total
        deadline = asyncio.timeout(total)
        try:
            async with self._slots.one(), deadline:
                payload, witness = await self._attempts(call, on_delta)
        except TimeoutError as error:
            if total is None or not deadline.expired():
                raise
            raise self._failures.late("total", total).error from error
        completion = read_answer(payload, witness, self._profile, self._cost)
        self._thoughts.keep(payload["choices"][0]["message"])
        if dropped := not_sent(request, witness.sent) if witness.sent else []:
            completion = replace(completion, extra={**completion.extra, "dropped": dropped})
        if completion.finish_reason == "content_filter" and not (completion.text or completion.tool_calls):
            raise self._failures.withheld(witness.finish or "content_filter")
        return completion

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def _attempts(self, call: Json, on_delta: OnDelta | None) -> tuple[Json, Witness]:
        """Try until the provider answers, the retries are used up, or a piece of the answer has been passed on."""
        attempt = 0
        while True:
            listener = Listener(on_delta) if on_delta else None
            try:
                answer = await self._attempt(call, listener)
            except AttemptFailed as failed:
                if self._leave_out(call, failed.error):
                    continue
                attempt += 1
                if attempt > self._profile.retries or not self._worth_repeating(failed.error, listener):
                    raise failed.error from failed.__cause__
                await self._sleep(wait_before(attempt, failed.wait))
            else:
                self._answered = True
                return answer

    def _worth_repeating(self, error: ModelError, listener: Listener | None) -> bool:
        if listener is not None and listener.heard:
            return False
        if error.kind == "unreachable" and not self._answered:  # more likely a wrong address than a passing fault
            return False
        return error.retryable and error.kind not in ("timeout", "malformed")

    def _leave_out(self, call: Json, error: ModelError) -> bool:
        """Whether the call is worth repeating at once without the sampling field that it was refused for."""
        found = OPTIONAL.search(str(error)) if error.status in (400, 403, 422) else None
        if found is None:
            return False
        name = found[0].lower()
        names = LOGPROBS if "logprobs" in name else ("seed",) if "seed" in name else (name,)
        if not call.keys() & set(names):
            return False
        self._without.update(names)
        for name in names:
            call.pop(name, None)
        return True

    async def _attempt(self, call: Json, listener: Listener | None) -> tuple[Json, Witness]:
        """One exchange, in which every sign of life puts the deadline off. Raises AttemptFailed."""
        times = self._profile.timeouts
        deadline, began = asyncio.timeout(times.first_byte), False

        def alive() -> None:
            nonlocal began
            began = True
            with suppress(RuntimeError):  # it has passed already
                now = asyncio.get_running_loop().time()
                deadline.reschedule(None if times.between is None else now + times.between)

        witness = Witness(alive)
        token = WITNESS.set(witness)
        try:
            async with deadline:
                return await self._exchange(call, listener, witness), witness
        except TimeoutError as error:
            if not deadline.expired():
                raise self._failed(error, witness) from error
            phase = "between" if began else "first_byte"
            raise self._failures.late(phase, getattr(times, phase)) from error
        finally:
            WITNESS.reset(token)

    async def _exchange(self, call: Json, listener: Listener | None, witness: Witness) -> Json:
        """The answer as one response object. Raises AttemptFailed, and what the listener raises."""
        try:
            answer = await self._library(self._begun(call, witness), witness)
            payload: Json = answer.model_dump() if listener is None else await self._streamed(answer, listener, witness)
        except Enough as enough:
            assert listener is not None
            witness.cut_short = True
            return listener.enough(enough.reason)
        finally:
            await witness.close()
        if (failed := self._failures.seen(witness)) is not None:  # litellm may not have minded
            raise failed
        return payload

    async def _begun(self, call: Json, witness: Witness) -> Any:
        """litellm's answer, or its stream. A call that is cancelled while litellm still prepares it, in a thread, is
        ended when it has been prepared: what the thread makes would be left lying about."""
        task = asyncio.ensure_future(self._litellm.acompletion(**call))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            departed = asyncio.ensure_future(witness.departed.wait())
            try:
                if self._client is not None:
                    await asyncio.wait({task, departed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                task.cancel()
                departed.cancel()
                await asyncio.gather(task, departed, return_exceptions=True)
            raise

    async def _streamed(self, answer: Any, listener: Listener, witness: Witness) -> Json:
        """The stream's pieces as one response object. Raises AttemptFailed, and what the listener raises."""
        chunks = aiter(answer)
        try:
            while (chunk := await self._library(anext(chunks, None), witness)) is not None:
                witness.alive()
                listener.hear(chunk.model_dump())
        finally:
            await answer.aclose()
        return listener.joiner.result()

    async def _library(self, work: Awaitable[Any], witness: Witness) -> Any:
        """Wait for litellm. Whatever comes out of it is a failed attempt."""
        try:
            return await work
        except Exception as error:
            raise self._failed(error, witness) from error

    def _failed(self, error: Exception, witness: Witness) -> AttemptFailed:
        """What the witness saw; failing that, what litellm makes of it."""
        if (seen := self._failures.seen(witness)) is not None:
            return seen
        exceptions, status = self._litellm.exceptions, getattr(error, "status_code", None)
        if isinstance(error, exceptions.MidStreamFallbackError):
            kind = "cut"
        elif _not_connected(error):
            kind = "unreachable"
        elif witness.judged and witness.status == 200:
            kind = "malformed"
        else:
            kind = "refused"
        said = str(getattr(error, "message", None) or error).partition("Traceback")[0]
        failed = self._failures.unseen(status, said, kind)
        if isinstance(headers := getattr(error, "litellm_response_headers", None), httpx.Headers):
            failed.wait = failed.error.wait = retry_after(headers)
        return failed

    def _arguments(self, request: Request, stream: bool) -> Json:
        """The arguments of litellm's call. Raises ModelError where the provider can't do what is asked."""
        if request.continue_final and not self._can_prefill():
            raise unable(self.name, "go on from an open message")
        for name, wanted, what in [
            ("tools", request.tools, "call tools"),
            ("response_format", request.schema, "keep to a schema"),
        ]:
            if wanted and self._supported and name not in self._supported:
                raise unable(self.name, what)
        own_server, keyless = self._base_url is not None, self._provider is not None and self._provider.keyless
        call = arguments(
            request, self._profile.model, self._provider, self._thoughts, stream=stream, own_server=own_server
        )
        if "logprobs" not in self._supported:
            self._without.update(LOGPROBS)
        for name in self._without:
            call.pop(name, None)
        return {
            **call,
            "drop_params": True,
            "num_retries": 0,
            "max_retries": 0,
            "timeout": NO_LIMIT,
            "_skip_mcp_handler": True,  # tools would open its MCP gateway, which needs a package that is not there
            "api_key": self._key or (NO_KEY if own_server and not keyless else None),
            "api_base": self._base_url,
            "client": self._client,
        }

    def _make_client(self) -> Any:
        """The connections for a provider known by name; the others keep litellm's own, which can't be watched."""
        if self._provider is None:
            return None
        if self._provider.route != "openai":
            from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

            return AsyncHTTPHandler(transport=self._transport)
        from openai import AsyncOpenAI

        return AsyncOpenAI(
            api_key=self._key or NO_KEY,
            base_url=self._base_url,
            max_retries=0,
            http_client=httpx.AsyncClient(transport=self._transport, timeout=None, trust_env=False),
        )

    def _check_key(self) -> None:
        """Raises ConfigError where litellm knows the one variable that a key is missing from."""
        missing = self._litellm.validate_environment(model=self._model)["missing_keys"]
        if len(missing) == 1 and missing[0].endswith("_API_KEY"):
            raise ConfigError(f"The model {self.name!r} needs a key: set the environment variable {missing[0]}.")

    def _cost(self, usage: Json) -> float | None:
        """US dollars by litellm's price list; None where it has no price, or none but zero, for this model."""
        prices, (provider, _, bare) = self._litellm.model_cost, self._model.partition("/")
        listed = prices.get(self._model) or prices.get(self._profile.model)
        if listed is None and prices.get(bare, {}).get("litellm_provider") == provider:
            listed = prices[bare]
        if not listed:
            return None
        try:
            costs = self._litellm.cost_per_token(model=self._model, usage_object=self._litellm.Usage(**usage))
        except Exception:  # litellm's own types, and plain ones: a price of a kind that it can't reckon with
            return None
        return float(sum(costs)) or None

    def _can_prefill(self) -> bool:
        if self._provider is not None and self._provider.prefill:
            return True
        prices = self._litellm.model_cost
        known = prices.get(self._profile.model) or prices.get(self._profile.model.partition("/")[2]) or {}
        return bool(known.get("supports_assistant_prefill"))


def _not_connected(error: BaseException | None) -> bool:
    """Whether a failure to connect is at the root of litellm's exception, which reports it as a status 500."""
    while error is not None:
        if isinstance(error, ConnectionError | gaierror):
            return True
        error = error.__cause__ or error.__context__
    return False
