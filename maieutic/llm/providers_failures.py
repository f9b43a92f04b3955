"""What went wrong at a provider, in one sentence: its status and its own error body become a `ModelError`."""

import json
import re
from typing import Any

from maieutic.errors import ModelError
from maieutic.llm.providers_table import Provider
from maieutic.llm.providers_wire import Witness, described
from maieutic.llm.server.exchange import AttemptFailed
from maieutic.llm.server.net import Failure, retry_after
from maieutic.llm.server.refusals import OVERLOADED, is_retryable, message_of, without_key
from maieutic.llm.server.wire import Json

SAID = 400  # characters of what a provider says
# Names that providers give to errors inside an answer whose status was 200, and the status they stand for.
STATUS = {
    "overloaded_error": 529,
    "rate_limit_error": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
}
# What no waiting helps against although its status says so.
FOR_GOOD = ("insufficient_quota", "billing_hard_limit_reached", "credit balance")
LITELLMS = re.compile(r"^(litellm\.\w+: *)+")
DELAY = re.compile(r'"retryDelay"\s*:\s*"([\d.]+)s"')


class Failures:
    """Makes the errors of one model; `secret` is taken out of whatever the provider says."""

    def __init__(self, name: str, provider: Provider | None, secret: str | None) -> None:
        self._name = name
        self._provider = provider
        self._secret = secret

    def seen(self, witness: Witness) -> AttemptFailed | None:
        """The failure that the witness saw; None where it saw none."""
        if witness.refusal is not None and witness.status is not None:
            return self.refused(witness.status, witness.refusal, _wait(witness))
        if witness.error is not None:
            return self.refused(
                _status_in(witness.error), json.dumps(witness.error, ensure_ascii=False), _wait(witness)
            )
        return None if witness.failure is None else self.lost(witness.failure)

    def refused(self, status: int, body: str, wait: float | None = None) -> AttemptFailed:
        """The failure for an answer with this status and body; `wait` is how long it asks to wait."""
        said = self._clean(_said(without_key(body, self._secret)))
        kind = "overloaded" if status in OVERLOADED else "refused"
        retryable = is_retryable(status)
        if any(word in body for word in FOR_GOOD):
            kind, retryable = "refused", False
        if status in (401, 403) or "API_KEY_INVALID" in body:
            text = f"{self._name}: {self._title} does not accept the key ({status}: {said}): check {self._variable}."
        elif status == 404:
            text = f"{self._name}: {self._title} has no such model ({status}: {said}): check the name."
        elif kind == "overloaded":
            what = "limits the rate of requests" if status == 429 else "is overloaded"
            text = f"{self._name}: {self._title} {what} ({status}: {said}): try again later or lower the concurrency."
        else:
            text = f"{self._name}: {self._title} refused the request ({status}: {said})."
        error = ModelError(text, kind=kind, retryable=retryable, status=status)
        error.wait = wait
        return AttemptFailed(error, wait=wait)

    def lost(self, failure: Failure) -> AttemptFailed:
        """The failure for an exchange that did not come to its end."""
        reason = self._clean(failure.reason)
        if failure.kind == "unreachable":
            start = "start it (ollama serve), " if self._provider and self._provider.keyless else ""
            advice = f"{start}check the network and base_url, or give another --model"
            text = f"{self._name} can't be reached ({reason}): {advice}."
        elif failure.kind == "cut":
            text = f"{self._name} broke off in the middle of its answer: {reason}."
        elif failure.kind == "malformed":
            text = f"{self._name} can't be understood: {reason}."
        else:
            text = f"{self._name} can't be used: {reason}."
        return AttemptFailed(ModelError(text, kind=failure.kind, retryable=failure.kind != "refused"))

    def late(self, phase: str, seconds: float) -> AttemptFailed:
        """The failure for a phase that took longer than the profile allows."""
        what = {
            "first_byte": "did not begin to answer within",
            "between": "stopped in the middle of its answer for",
            "total": "did not finish its answer within",
        }[phase]
        text = f"{self._name} {what} {seconds:g} s: raise timeouts.{phase} in its profile, or ask for fewer tokens."
        return AttemptFailed(ModelError(text, kind="timeout", retryable=True))

    def unseen(self, status: int | None, said: str, kind: str) -> AttemptFailed:
        """The failure that litellm reports of an exchange that was not watched."""
        said = LITELLMS.sub("", self._clean(" ".join(said.split("Exception - ")[-1].split())))
        if kind == "refused" and status is not None:
            return self.refused(status, said)
        return self.lost(Failure(kind, said))

    def withheld(self, why: str) -> ModelError:
        """The error for an answer that a content filter left nothing of."""
        return ModelError(f"{self._name} gave no answer: {self._title}'s content filter withheld it ({why}).")

    @property
    def _title(self) -> str:
        return self._provider.title if self._provider else "the provider"

    @property
    def _variable(self) -> str:
        own = self._provider.keys[0] if self._provider else "the provider's key variable"
        return f"{own}, or the variable that the profile's api_key_env names"

    def _clean(self, said: str) -> str:
        return without_key(said, self._secret)[:SAID].rstrip(". ")


def _said(body: str) -> str:
    """The human part of an error body."""
    if body.lstrip().startswith("<") or not body.strip():
        return described(body) if body.strip() else "no reason given"
    try:
        found: Any = json.loads(body)
    except ValueError:
        return " ".join(body.split())
    if isinstance(found, list) and found:  # Gemini wraps the errors of some of its streams
        found = found[0]
    inner = found.get("message") if isinstance(found, dict) else None
    found = inner if isinstance(inner, dict) else found
    if isinstance(found, dict) and isinstance(found.get("detail"), list):  # one by one for each field
        return "; ".join(_field(part) for part in found["detail"])
    return " ".join(message_of(json.dumps(found)).split())


def _field(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    where = ".".join(str(step) for step in part.get("loc", ()) if step != "body")
    return f"{where}: {part.get('msg', '')}"


def _status_in(payload: Json) -> int:
    error = payload["error"]
    if not isinstance(error, dict):
        return 500
    code = error.get("code")
    named = (STATUS.get(str(error.get(field))) for field in ("type", "status", "code"))
    return code if isinstance(code, int) else next((status for status in named if status), 500)


def _wait(witness: Witness) -> float | None:
    """How many seconds the provider asks to wait: in a header, or as Gemini does, in the body."""
    asked = retry_after(witness.headers)
    if asked is None and (found := DELAY.search(witness.refusal or "")):
        asked = float(found[1])
    return asked
