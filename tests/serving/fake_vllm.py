"""A stand-in for `vllm serve`: the same flags, phases in its log, endpoints and children, up in a moment.

What it should do wrong comes as `--fake WHAT`. The real one is tested in tests/vllm.
"""

import http.server
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

FAILURES = {
    "oom": "(EngineCore pid=1) ERROR 11-21 10:00:00 [core.py:1] torch.OutOfMemoryError: CUDA out of memory.\n"
    + '(EngineCore pid=1) ERROR 11-21 10:00:00 [core.py:1]   File "/engine.py", line 1, in start\n'
    + "Traceback (most recent call last):\n"
    + "".join(f'  File "/{i}.py", line {i}, in start\n    start()\n    ^^^^^^^\n' for i in range(20))
    + "RuntimeError: Engine core initialization failed. See root cause above.",
    "context": "ValueError: User-specified max_model_len (4096) is greater than the derived max_model_len"
    " (max_position_embeddings=1024 or model_max_length=1024 in model's config.json).",
    "gated": "OSError: You are trying to access a gated repo.",
    "odd": "(APIServer pid=1) RuntimeError: the tensors disagree\n(APIServer pid=1) RuntimeError: Engine core"
    " initialization failed. See root cause above.",
}


def value(flag: str, default: str = "") -> str:
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv else default


def say(text: str) -> None:
    print(text, flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    adapters: dict[str, str] = {}
    tokens = 0

    def do_GET(self) -> None:
        name = value("--served-model-name")
        if self.path == "/v1/models":
            entries: list[dict[str, Any]] = [{"id": name}]
            self.answer(200, {"data": entries + [{"id": a, "parent": name} for a in self.adapters]})
        elif self.path == "/metrics":
            Handler.tokens += 50
            label = f'{{engine="0",model_name="{name}"}}'
            busy = value("--fake") != "idle"
            counters = {"num_requests_running": 2.0 * busy, "num_requests_waiting": 1.0 * busy}
            counters["prefix_cache_queries_total"] = 400.0
            counters |= {"prefix_cache_hits_total": 100.0, "generation_tokens_total": float(self.tokens)}
            self.answer(200, "".join(f"vllm:{key}{label} {number}\n" for key, number in counters.items()))
        else:
            self.answer(200, "")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/completions" and value("--fake") == "no-samples":
            self.answer(500, {"error": {"message": "The engine is dead."}})
            return
        if self.path == "/v1/load_lora_adapter":
            if value("--fake") == "no-adapters":
                self.answer(400, {"error": {"message": "LoRA rank 64 is greater than max_lora_rank 16."}})
                return
            self.adapters[body["lora_name"]] = body["lora_path"]
        elif self.path == "/v1/unload_lora_adapter":
            del self.adapters[body["lora_name"]]
        self.answer(200, {})

    def answer(self, status: int, body: Any) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    what = value("--fake")
    say("(APIServer pid=1) INFO non-default args: {}")
    say(f"environment: {json.dumps({k: v for k, v in os.environ.items() if k.startswith(('VLLM', 'HF_', 'PYTHON'))})}")
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # an engine
    if what in FAILURES:
        say(FAILURES[what])
        sys.exit(1)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("(EngineCore pid=2) INFO Starting to load model")
    while what == "slow":
        time.sleep(0.1)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(value("--port"))), Handler)
    say("(APIServer pid=1) INFO Starting vLLM server on http://127.0.0.1")
    server.serve_forever()


main()
