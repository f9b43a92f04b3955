"""The server of `graphs_peers.py`: waits, answers what each side can read, fails as often as it is told, and counts.

It speaks as much of the OpenAI protocol as is needed, `n` choices and streams too. `POST /told` sets what is to fail
and begins to count anew; `GET /counted` says what was asked for since.
"""

import asyncio
import json
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MODEL = "m"
TAGS = (
    (b"one step at a time", "I count on."),
    (b"Return only a JSON object", '{"score": 7, "reasoning": "It holds."}'),
    (b"Respond with only a number", "7"),
    (b"Take the question apart", "1. What is 4?\n2. What is 4 + 3?"),
)
"""What is answered to a request that holds the words: forms that some of our roles, or of the peers', have to get."""


@dataclass
class Told:
    """What is to fail: a share of the requests, with a status or by a cut answer, and what is said of repeating it."""

    share: float = 0.0
    cut: bool = True  # half of the failures are answers that end in the middle
    repeat: bool = True  # whether a client is told not to try again (openai's client listens to that)
    seed: int = 0


@dataclass
class Counted:
    """Since the counting began. A request that failed brought no choice; `peak` is the most requests at once."""

    requests: int = 0
    choices: int = 0
    tokens: int = 0
    failed: int = 0
    peak: int = 0


class Server:
    """The answers, and the counting."""

    def __init__(self, tokens: int, waits: float) -> None:
        self._tokens, self._waits = tokens, waits
        self._told, self._counted, self._now = Told(), Counted(), 0
        self._draw = random.Random(0)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = [line.lower().partition(b":") for line in head.split(b"\r\n")[1:] if line]
                fields = {name: value for name, _, value in lines}
                body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                path = head.split(b" ", 2)[1]
                if path.endswith(b"/told"):
                    self._told, self._counted = Told(**json.loads(body)), Counted()
                    self._draw = random.Random(self._told.seed)
                    writer.write(_http(b"{}"))
                elif path.endswith(b"/counted"):
                    writer.write(_http(json.dumps(asdict(self._counted)).encode()))
                elif path.endswith(b"/models"):
                    writer.write(_http(json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode()))
                elif not path.endswith(b"/chat/completions"):
                    writer.write(_http(b"{}", 404))
                elif not await self._answer(body, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays."""
        told, counted = self._told, self._counted
        fails, cut = self._draw.random() < told.share, told.cut and self._draw.random() < 0.5
        counted.requests += 1
        self._now += 1
        counted.peak = max(counted.peak, self._now)
        try:
            await asyncio.sleep(self._waits)
        finally:
            self._now -= 1
        asked = json.loads(body)
        choices = int(asked.get("n") or 1)
        counted.failed += fails
        if fails and not cut:
            again = b"" if told.repeat else b"x-should-retry: false\r\n"
            writer.write(_http(b'{"error": {"message": "The server has a bad day.", "code": 500}}', 500, again))
            return True
        counted.choices += 0 if fails else choices
        counted.tokens += 0 if fails else choices * self._tokens
        texts = [self._text(body) for _ in range(choices)]
        reply = self._stream(texts) if asked.get("stream") else _http(json.dumps(self._payload(texts)).encode())
        writer.write(reply[: len(reply) // 2] if fails else reply)
        return not fails

    def _text(self, body: bytes) -> str:
        tag = next((said for words, said in TAGS if words in body), "")
        number = self._draw.randrange(10**6)
        return tag or (
            f"I count, {number} times.\n\nStep 1: 4 + 3 = 7, wrong\nFirst wrong step: 1\nChoice: 1\nStatus: C\n"
            f"Confidence: {self._draw.randrange(30, 90)}\nAnswer: {self._draw.choice('778')}"
        )

    def _payload(self, texts: list[str]) -> dict[str, Any]:
        entry = {"token": "seven ", "logprob": -0.123456789, "bytes": list(b"seven "), "top_logprobs": []}
        choices = [
            {
                "index": i,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
                "logprobs": {"content": [entry] * self._tokens},
                "token_ids": list(range(1000, 1000 + self._tokens)),
            }
            for i, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 120, "completion_tokens": self._tokens * len(texts)}
        usage["total_tokens"] = sum(usage.values())
        named = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
        return {**named, "choices": choices, "prompt_token_ids": list(range(120)), "usage": usage}

    def _stream(self, texts: list[str]) -> bytes:
        """All in one event: what a stream costs beside that is not what is measured here."""
        payload = self._payload(texts)
        payload["object"] = "chat.completion.chunk"
        for choice in payload["choices"]:
            choice["delta"] = choice.pop("message")
        said = b"data: " + json.dumps(payload).encode() + b"\n\ndata: [DONE]\n\n"
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said)
        return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + chunks


def _http(body: bytes, status: int = 200, more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n"
    return head % (status, more, len(body)) + body


async def serve(tokens: int, waits: float) -> None:
    """Serve until the process ends; prints the port."""
    server = await asyncio.start_server(Server(tokens, waits).handle, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(frozen=True, slots=True)
class Remote:
    """The server in a process of its own, as the benchmark sees it."""

    url: str

    def tell(self, told: Told) -> None:
        request = urllib.request.Request(f"{self.url}/told", json.dumps(asdict(told)).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def counted(self) -> Counted:
        with urllib.request.urlopen(f"{self.url}/counted", timeout=10) as reply:
            return Counted(**json.load(reply))


@contextmanager
def served(tokens: int, waits: float) -> Iterator[Remote]:
    command = [sys.executable, str(Path(__file__)), str(tokens), str(waits)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Remote(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
