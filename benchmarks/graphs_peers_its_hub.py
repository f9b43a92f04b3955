"""its_hub's side of `graphs_peers.py`, run by the Python of its own venv: questions, several at once.

Reads one JSON object a line (url, model, messages, algorithm, budget, questions, width, max_tokens, tries) and answers
each with the seconds of every question, and why questions got no answer.
"""

import asyncio
import json
import logging
import sys
import time
from typing import Any

from its_hub.api import ChatMessage
from its_hub.core.algorithms.adaptive_self_consistency import AdaptiveSelfConsistency
from its_hub.core.algorithms.bon import BestOfN
from its_hub.core.algorithms.self_consistency import SelfConsistency
from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
from its_hub.core.reward_models.llm_judge import LLMJudge


def answer_of(text: str) -> str:
    """Votes are over answers, as in ours; its default is a vote over whole texts."""
    return text.rpartition("Answer:")[2].strip()


def algorithm_of(name: str, model: Any) -> Any:
    if name == "best of n":
        return BestOfN(LLMJudge(model))
    kind = AdaptiveSelfConsistency if name == "adaptive self-consistency" else SelfConsistency
    return kind(consistency_space_projection_func=answer_of)


async def timed(job: dict[str, Any]) -> dict[str, Any]:
    settings = {"temperature": 1.0, "max_completion_tokens": job["max_tokens"], "max_tries": job["tries"]}
    model = OpenAICompatibleLanguageModel(job["url"], "none", job["model"], **settings)
    algorithm = algorithm_of(job["algorithm"], model)
    messages = [ChatMessage(**message) for message in job["messages"]]
    seconds: list[float] = []
    failures: list[str] = []
    left = iter(range(job["questions"]))

    async def work() -> None:
        for _ in left:
            started = time.perf_counter()
            try:
                said = await algorithm.ainfer(model, messages, job["budget"])
                if not said.get("content"):
                    failures.append("an empty answer")
            except Exception as error:  # a benchmark counts them, whatever they are
                failures.append(f"{type(error).__name__}: {error}"[:200])
            seconds.append(time.perf_counter() - started)

    await asyncio.gather(*(work() for _ in range(job["width"])))
    await model.close()
    return {"seconds": seconds, "failures": failures}


async def main() -> None:
    said, sys.stdout = sys.stdout, sys.stderr  # its_hub prints, too
    logging.disable(logging.CRITICAL)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await timed(json.loads(line))), file=said, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
