"""More wire formats: Gemini's generateContent and Ollama's chat."""

import base64
import json
from typing import Any

from tests.support.provider_formats import MODEL, Format, Json, Refused, Said, pieces, sse

SIGNED = "dGhvdWdodA=="
NOT_ITS_OWN = base64.b64encode(b"skip_thought_signature_validator").decode()


class Gemini(Format):
    """`generateContent` and `streamGenerateContent` of the Gemini API."""

    root = "/v1beta"
    known = frozenset(
        "contents systemInstruction system_instruction generationConfig generation_config tools toolConfig tool_config "
        "safetySettings safety_settings cachedContent".split()
    )
    configured = frozenset(
        "temperature topP top_p topK top_k maxOutputTokens max_output_tokens stopSequences stop_sequences seed "
        "responseLogprobs response_logprobs logprobs responseMimeType response_mime_type responseSchema "
        "response_schema responseJsonSchema response_json_schema thinkingConfig thinking_config candidateCount "
        "candidate_count".split()
    )
    finishes = {"stop": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}

    def check(self, path: str, headers: dict[str, str], body: Json, key: str | None) -> bool:
        lower = {name.lower(): value for name, value in headers.items()}
        if key is not None and lower.get("x-goog-api-key") != key and f"key={key}" not in path:
            raise Refused(400, json.loads(self.error(401, "API key not valid. Please pass a valid API key.")))
        model, _, method = path.partition("?")[0].removeprefix("/v1beta/models/").partition(":")
        if model != MODEL and not model.startswith("gemini"):
            raise self.refuse(404, f"models/{model} is not found for API version v1beta")
        unknown = body.keys() - self.known | (self.config(body).keys() - self.configured)
        for name in unknown:
            raise self.refuse(400, f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
        self.check_turns(body, signed=model.startswith("gemini-3"))
        return method == "streamGenerateContent" and "alt=sse" in path

    def check_turns(self, body: Json, signed: bool) -> None:
        """A function's answer names a function that was called, and a newer model's first call is signed, or marked as
        not its own."""
        called: list[str] = []
        for content in body["contents"]:
            for part in content["parts"]:
                if call := part.get("functionCall") or part.get("function_call"):
                    called.append(call["name"])
                    if signed and len(called) == 1 and part.get("thoughtSignature") not in (SIGNED, NOT_ITS_OWN):
                        raise self.refuse(400, f"Function call `{call['name']}` is missing a thought_signature")
                result = part.get("functionResponse") or part.get("function_response")
                if result and result["name"] not in called:
                    raise self.refuse(400, "function response parts must match the function call parts")

    def config(self, body: Json) -> Json:
        return body.get("generationConfig") or body.get("generation_config") or {}

    def error(self, status: int, message: str) -> bytes:
        words = {401: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        words |= {400: "INVALID_ARGUMENT", 500: "INTERNAL", 503: "UNAVAILABLE"}
        inner: Json = {"code": 400 if status == 401 else status, "message": message, "status": words.get(status, "X")}
        if status == 401:
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            inner["details"] = [{"@type": kind, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
        return json.dumps({"error": inner}, indent=2).encode()

    def parts(self, said: Said, size: int = 1 << 20) -> list[Json]:
        found: list[Json] = [{"text": piece, "thought": True} for piece in pieces(said.reasoning, size)]
        found += [{"text": piece} for piece in pieces(said.text, size)]
        for i, (name, arguments) in enumerate(said.calls):
            found.append({"functionCall": {"name": name, "args": arguments}})
            if i == 0:  # of parallel calls only the first one is signed
                found[-1]["thoughtSignature"] = SIGNED
        return found

    def usage(self) -> Json:
        counts = {"promptTokenCount": 11, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 18}
        return {**counts, "cachedContentTokenCount": 3}

    def response(self, body: Json, said: Said, parts: list[Json], last: bool) -> Json:
        base: Json = {"modelVersion": MODEL, "responseId": "r1"}
        if said.finish == "filter" and not said.text:
            return {**base, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": self.usage()}
        candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
        if last:
            candidate["finishReason"] = self.finishes[said.finish]
            if said.usage:
                base["usageMetadata"] = self.usage()
        if self.config(body).get("responseLogprobs") or self.config(body).get("response_logprobs"):
            candidate["logprobsResult"] = self.logprobs(
                "".join(p["text"] for p in parts if "text" in p and not p.get("thought")), body
            )
        return {**base, "candidates": [candidate]}

    def logprobs(self, text: str, body: Json) -> Json:
        tops = [{"token": "?", "logProbability": -1.5}][: self.config(body).get("logprobs", 0)]
        chosen = [{"token": letter, "tokenId": 1, "logProbability": -0.25} for letter in text]
        return {"chosenCandidates": chosen, "topCandidates": [{"candidates": [c, *tops]} for c in chosen]}

    def whole(self, body: Json, said: Said) -> Json:
        return self.response(body, said, self.parts(said), last=True)

    def stream(self, body: Json, said: Said) -> list[bytes]:
        parts = self.parts(said, 4) or [{"text": ""}]
        return [sse(self.response(body, said, [part], last=part is parts[-1])) for part in parts]


class Ollama(Format):
    """`/api/chat`: lines of JSON."""

    stream_kind = "application/x-ndjson"

    def check(self, path: str, headers: dict[str, str], body: Json, key: str | None) -> bool:
        assert path == "/api/chat", path
        if headers.get("Authorization") not in (None, f"Bearer {key}", "Bearer none"):
            raise self.refuse(401, "unauthorized")
        if body["model"] != MODEL:
            raise self.refuse(404, f'model "{body["model"]}" not found, try pulling it first')
        for message in body["messages"]:
            for call in message.get("tool_calls") or ():
                if not isinstance(call["function"]["arguments"], dict):
                    raise self.refuse(400, "json: cannot unmarshal string into Go struct field .arguments of type map")
        return bool(body.get("stream", True))

    def error(self, status: int, message: str) -> bytes:
        return json.dumps({"error": message}).encode()

    def line(self, body: Json, message: Json, **fields: Any) -> Json:
        base = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z"}
        return {**base, "message": {"role": "assistant", "content": "", **message}, "done": False, **fields}

    def end(self, said: Said) -> Json:
        counts = {"prompt_eval_count": 11, "eval_count": 7} if said.usage else {}
        reason = {"filter": "stop"}.get(said.finish, said.finish)
        return {"done": True, "done_reason": reason, "total_duration": 1, **counts}

    def calls(self, said: Said) -> Json:
        calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in said.calls]
        return {"tool_calls": calls} if calls else {}

    def whole(self, body: Json, said: Said) -> Json:
        thinking = {"thinking": said.reasoning} if said.reasoning else {}
        return self.line(body, {"content": said.text, **thinking, **self.calls(said)}, **self.end(said))

    def stream(self, body: Json, said: Said) -> list[bytes]:
        lines = [self.line(body, {"thinking": piece}) for piece in pieces(said.reasoning)]
        lines += [self.line(body, {"content": piece}) for piece in pieces(said.text)]
        if said.calls:
            lines.append(self.line(body, self.calls(said)))
        lines.append(self.line(body, {}, **self.end(said)))
        return [json.dumps(line).encode() + b"\n" for line in lines]
