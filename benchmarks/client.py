"""CPU time of one model call in the client: ours against bare aiohttp and bare httpx, in one run.

    python benchmarks/client.py [--calls 1000] [--rounds 5] [--tokens 0] [--fleet N]

A server in another process answers at once, so what is measured is the client alone. `--tokens N` makes each answer
carry N tokens with ids and log-probabilities, as vLLM sends them. Clients take turns within each round; the table
gives the median over the rounds, and the range. `--fleet N` adds our client for N servers of one model, all of them the
same process under other paths, and tells what choosing among N servers costs by itself, where nothing is sent.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httpx

from maieutic.llm.model import OnDelta
from maieutic.llm.profile import Profile
from maieutic.llm.scripted import ScriptedModel
from maieutic.llm.server.client import OpenAICompatibleModel
from maieutic.llm.server.fleet import Fleet
from maieutic.types import Completion, Request, Sampling

Call = Callable[[], Awaitable[object]]
CONCURRENCY = (1, 16, 64)
MESSAGES = ({"role": "system", "content": "You solve tasks."}, {"role": "user", "content": "What is 4 + 3? " * 20})


def answer(tokens: int) -> bytes:
    choice: dict[str, object] = {"index": 0, "finish_reason": "stop"}
    choice["message"] = {"role": "assistant", "content": "seven " * max(tokens, 2)}
    payload: dict[str, object] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    if tokens:
        entry = {"token": "seven ", "logprob": -0.123456789, "bytes": list(b"seven "), "top_logprobs": []}
        choice |= {"logprobs": {"content": [entry] * tokens}, "token_ids": list(range(1000, 1000 + tokens))}
        payload["prompt_token_ids"] = list(range(100))
    usage = {"prompt_tokens": 100, "completion_tokens": max(tokens, 2), "total_tokens": 100 + max(tokens, 2)}
    return json.dumps({**payload, "choices": [choice], "usage": usage}).encode()


def events(tokens: int) -> bytes:
    """The same answer as a stream of one chunk a token."""
    whole = json.loads(answer(tokens))
    choice = whole["choices"][0]
    chunks = []
    for i in range(max(tokens, 2)):
        piece: dict[str, object] = {"index": 0, "delta": {"content": "seven "}, "finish_reason": None}
        if tokens:
            logprobs = {"content": [choice["logprobs"]["content"][i]]}
            piece |= {"logprobs": logprobs, "token_ids": [choice["token_ids"][i]]}
        chunks.append({"id": "chatcmpl-1", "model": "m", "choices": [piece]})
    chunks.append({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"model": "m", "choices": [], "usage": whole["usage"]})
    return b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks) + b"data: [DONE]\n\n"


async def serve(tokens: int) -> None:
    """Answer everything at once, with as little HTTP as will do; prints the port."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s"
    plain, stream = answer(tokens), events(tokens)
    plain = head % (b"application/json", len(plain), plain)
    stream = head % (b"text/event-stream", len(stream), stream)
    models = head % (b"application/json", 24, b'{"data": [{"id": "m"}]} ')

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                headers = (await reader.readuntil(b"\r\n\r\n")).lower()
                if headers.startswith(b"get"):
                    writer.write(models)
                    continue
                length = int(headers.split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                writer.write(stream if b'"stream": true' in body else plain)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def cpu_per_call(call: Call, concurrency: int, calls: int) -> float:
    """Milliseconds of this process's CPU for one call."""
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            await call()

    start = time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return (time.process_time() - start) / calls * 1000


async def measure(base_url: str, rounds: int, calls: int, servers: int) -> dict[tuple[str, int], list[float]]:
    url = f"{base_url}/chat/completions"
    body = {"model": "m", "messages": MESSAGES, "temperature": 0.7, "logprobs": True, "return_token_ids": True}
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    plain_httpx = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60)
    ours = OpenAICompatibleModel("m", Profile(kind="vllm", model="m"), base_url)
    paths = [base_url.replace("/v1", f"/{i}/v1") for i in range(servers)]
    fleet = Fleet.of("m", Profile(kind="vllm", model="m"), paths)
    request = Request(MESSAGES, Sampling(temperature=0.7))  # type: ignore[arg-type]

    async def with_aiohttp() -> object:
        async with session.post(url, json=body) as response:
            return json.loads(await response.read())

    async def with_httpx() -> object:
        return (await plain_httpx.post(url, json=body)).json()

    clients: dict[str, Call] = {
        "aiohttp": with_aiohttp,
        "httpx": with_httpx,
        "maieutic": lambda: ours.sample(request),
        "maieutic, streaming": lambda: ours.sample(request, lambda delta: None),
    }
    if servers:
        clients[f"maieutic, {servers} servers"] = lambda: fleet.sample(request)
    found: dict[tuple[str, int], list[float]] = {(name, c): [] for name in clients for c in CONCURRENCY}
    for call in clients.values():
        await cpu_per_call(call, 16, 100)  # connections, caches
    for _ in range(rounds):
        for concurrency in CONCURRENCY:
            for name, call in clients.items():
                found[name, concurrency].append(await cpu_per_call(call, concurrency, calls))
    await session.close()
    await plain_httpx.aclose()
    await ours.close()
    await fleet.close()
    return found


class Instant(ScriptedModel):
    """Answers at once, so that what is left is the choice of the server."""

    async def sample(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        return Completion("4")

    async def served(self) -> list[str]:
        return ["m"]


async def choosing(servers: int, rounds: int, calls: int) -> list[float]:
    """Microseconds of CPU that a fleet adds to a call, in each round."""
    one = Instant("")
    fleet = Fleet("m", Profile(kind="vllm", model="m"), [(f"http://{i}", Instant("")) for i in range(servers)])
    request = Request(MESSAGES, Sampling(temperature=0.7))  # type: ignore[arg-type]
    found: list[float] = []
    for _ in range(rounds):
        alone = await cpu_per_call(lambda: one.sample(request), 16, calls)
        found.append((await cpu_per_call(lambda: fleet.sample(request), 16, calls) - alone) * 1000)
    await fleet.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=0)
    parser.add_argument("--fleet", type=int, default=0, metavar="N")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.tokens))
        return
    command = [sys.executable, __file__, "--serve", "--tokens", str(options.tokens)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            found = asyncio.run(measure(f"http://127.0.0.1:{port}/v1", options.rounds, options.calls, options.fleet))
        finally:
            server.terminate()
    print(f"CPU ms per call, {options.tokens} tokens with ids and log-probabilities an answer;")
    print(f"median (range) of {options.rounds} rounds of {options.calls} calls")
    print(f"{'client':22}" + "".join(f"{f'C={c}':>22}" for c in CONCURRENCY))
    for name in dict.fromkeys(name for name, _ in found):
        cells = [found[name, c] for c in CONCURRENCY]
        shown = [f"{statistics.median(v):.2f} ({min(v):.2f}-{max(v):.2f})" for v in cells]
        print(f"{name:22}" + "".join(f"{cell:>22}" for cell in shown))
    if options.fleet:
        added = asyncio.run(choosing(options.fleet, options.rounds, options.calls * 10))
        spread = f"{statistics.median(added):.1f} ({min(added):.1f}-{max(added):.1f})"
        print(
            f"choosing among {options.fleet} servers: {spread} us a call, {options.rounds} x {options.calls * 10} calls"
        )


if __name__ == "__main__":
    main()
