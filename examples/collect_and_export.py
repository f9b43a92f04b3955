"""Collect verified runs and turn the right ones into rows for supervised fine-tuning with TRL."""

import asyncio
import json
import tempfile
from pathlib import Path

import maieutic


async def main(directory: Path) -> None:
    report = await maieutic.collect(
        "env:rg/chain_sum?n=20&seed=7&min_terms=2&max_terms=3&min_digits=1&max_digits=1",
        out=directory / "runs",
        graph="direct",
        model="in-box",
        samples=2,
        concurrency=8,
    )
    print(report)
    rows = directory / "rows.jsonl"
    print(maieutic.export([directory / "runs"], recipe="solved", format="trl-sft", out=rows))
    with rows.open() as file:
        print(sorted(json.loads(next(file))))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory)))
