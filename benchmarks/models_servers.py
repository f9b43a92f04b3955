"""The other processes of `models.py`: an instant server, a vLLM server, and the peers in venvs of their own."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
VLLM_NAME = "benchmark"
PEERS = {"its_hub": "its_hub[lm]==1.2.0", "optillm": "optillm==0.4.0"}
# What optillm asks for beside torch's CPU build is for GPUs or pictures.
OVERRIDES = ["torch==2.13.0", *(f'{name} ; python_version < "3"' for name in ("triton", "torchvision", "torchaudio"))]


@dataclass(frozen=True, slots=True)
class Server:
    """A server to be asked; `title` says what it is."""

    title: str
    url: str
    model: str
    real: bool
    fixed: bool  # whether it makes every answer as long as the next one
    waits: float = 0.0


def answer(tokens: int) -> bytes:
    """A chat completion as vLLM sends it."""
    entry = {"token": "seven ", "logprob": -0.123456789, "bytes": list(b"seven "), "top_logprobs": []}
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": "seven " * (tokens - 5) + "\nAnswer: 7"},
        "logprobs": {"content": [entry] * tokens},
        "token_ids": list(range(1000, 1000 + tokens)),
    }
    usage = {"prompt_tokens": 120, "completion_tokens": tokens, "total_tokens": 120 + tokens}
    payload = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps({**payload, "prompt_token_ids": list(range(120)), "usage": usage}).encode()


async def serve(tokens: int, waits: float) -> None:
    """Answer every request after so many seconds, with as little HTTP as will do; prints the port."""
    body = answer(tokens)
    reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                headers = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(headers.split(b"content-length:")[1].split(b"\r\n")[0]))
                if waits:
                    await asyncio.sleep(waits)
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def instant(tokens: int, waits: float) -> Iterator[Server]:
    """The server above in a process of its own."""
    command = [sys.executable, str(Path(__file__)), str(tokens), str(waits)]
    title = f"a server that answers after {waits:g} s" if waits else "an instant server"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield Server(title, f"http://127.0.0.1:{port}/v1", "m", real=False, fixed=True, waits=waits)
        finally:
            process.terminate()


@contextmanager
def real(tokens: int) -> Iterator[Server]:
    """The in-box model behind vLLM's CPU build, every answer of one length; ended with all its processes."""
    with tempfile.TemporaryDirectory() as home:
        shutil.copy(HERE / "models_length.py", home)
        env = {**os.environ, "MAIEUTIC_HOME": home, "PYTHONPATH": home, "MAIEUTIC_BENCHMARK_TOKENS": str(tokens)}
        command = [sys.executable, "-m", "maieutic", "model"]
        up = [*command, "up", "in-box", "--cpu", "--name", VLLM_NAME, "--json", "--quiet"]
        up += ["--", "--logits-processors", "models_length:FixedLength"]
        try:
            done = subprocess.run(up, env=env, stdout=subprocess.PIPE, text=True, cwd=home)
            if done.returncode:
                raise SystemExit("vLLM did not start: see above.")
            found = json.loads(done.stdout)
            title = f"vLLM {found['version']} on the CPU with the in-box model"
            yield Server(title, found["url"], VLLM_NAME, real=True, fixed=True)
        finally:
            subprocess.run([*command, "down", "--all"], env=env, stdout=subprocess.DEVNULL, cwd=home)


def install(folder: Path) -> None:
    """A venv for each peer that has none yet."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    for name, requirement in PEERS.items():
        if (folder / name / "bin" / "python").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        overrides = folder / "overrides.txt"
        overrides.write_text("\n".join(OVERRIDES) + "\n")
        where, unfinished = folder / name, folder / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run([uv, "venv", "-q", "--relocatable", str(unfinished)], check=True)
        line = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(unfinished / "bin" / "python")]
        subprocess.run([*line, "--override", str(overrides), requirement], check=True)
        unfinished.rename(where)


def python_of(folder: Path | None, peer: str) -> Path | None:
    """The peer's Python, None where it is not installed."""
    python = folder / peer / "bin" / "python" if folder else None
    return python if python and python.exists() else None


class ItsHub:
    """its_hub in a process of its own, timed by itself: `script` is what it runs."""

    def __init__(self, python: Path, script: str = "models_its_hub.py") -> None:
        command = [str(python), str(HERE / script)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """What the script says of the job, such as the seconds of wall-clock and of CPU that it took."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("its_hub's process ended: see above.")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


@contextmanager
def optillm(python: Path, server: Server) -> Iterator[str]:
    """optillm's proxy before a server; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    entry = "import sys; from optillm import main; sys.argv[0] = 'optillm'; main()"
    command = [str(python), "-c", entry, "--model", server.model, "--base-url", server.url, "--port", str(port)]
    env = {**os.environ, "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1"}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, start_new_session=True) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _wait(url: str, process: "subprocess.Popen[bytes]", seconds: float = 180) -> None:
    by = time.monotonic() + seconds
    while time.monotonic() < by and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.3)
    raise SystemExit("optillm did not start.")


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
