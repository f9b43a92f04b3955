"""Ask one question from Python: a result, then a stream of what happens."""

import asyncio

import maieutic

QUESTION = "State the final answer to the following arithmetic problem: 4 + 3 - 5 ="


async def watch() -> None:
    async for event in maieutic.stream(QUESTION, "self_consistency", model="in-box", graph_settings={"samples": 4}):
        if event.kind == "vote":
            print("votes so far:", event.data["votes"])
        elif event.kind == "run_finished":
            print("answer:", event.data["result"].answer)


if __name__ == "__main__":
    result = maieutic.run(QUESTION, model="in-box", budget=maieutic.Budget(tokens=2000, seconds=30), seed=7)
    print(result.answer, f"({result.usage.calls} call, {result.usage.completion_tokens} tokens)")
    print("recorded as", result.run_id)
    asyncio.run(watch())
