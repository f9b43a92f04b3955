"""its_hub's side of `models.py`, run by the Python of its own venv: self-consistency over a server, timed here.

Reads one JSON object a line (url, model, messages, samples, questions) and answers each with its seconds and CPU
seconds, measured in this process.
"""

import asyncio
import json
import sys
import time
from typing import Any

from its_hub.api import ChatMessage
from its_hub.core.algorithms.self_consistency import SelfConsistency
from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel


async def timed(model: Any, job: dict[str, Any]) -> dict[str, float]:
    algorithm = SelfConsistency()
    messages = [ChatMessage(**message) for message in job["messages"]]
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(algorithm.ainfer(model, messages, job["samples"]) for _ in range(job["questions"])))
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}


async def main() -> None:
    models: dict[str, OpenAICompatibleLanguageModel] = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = json.loads(line)
        if job["url"] not in models:
            settings = {"temperature": 1.0, "max_completion_tokens": job["max_tokens"], "max_tries": 1}
            models[job["url"]] = OpenAICompatibleLanguageModel(job["url"], "none", job["model"], **settings)
        print(json.dumps(await timed(models[job["url"]], job)), flush=True)
    for model in models.values():
        await model.close()


if __name__ == "__main__":
    asyncio.run(main())
