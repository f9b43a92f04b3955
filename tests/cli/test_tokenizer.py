"""A tokenizer that can't be had is one sentence, said at once."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.raw_server import RawServer, response


def gated(folder: Path, tokenizer: str, hub: str, **env: str) -> "subprocess.CompletedProcess[str]":
    rows = folder / "rows.jsonl"
    rows.write_text(json.dumps({"input_ids": [1, 2], "labels": [1, 2]}) + "\n")
    command = ["gate", str(rows), "--tokenizer", tokenizer, "--out", str(folder / "out.jsonl")]
    env = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(folder / "hub"), **env}
    return subprocess.run([sys.executable, "-m", "maieutic", *command], capture_output=True, text=True, env=env)


async def none_of_that_name(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b"", "X-Error-Code: RepoNotFound", status="404 Not Found"))
        await writer.drain()


@pytest.mark.parametrize(
    ("name", "env", "sentence"),
    [
        (
            "nobody/nothing",
            {},
            "nobody/nothing can't be loaded (no such file is here, and the Hugging Face Hub can't be",
        ),
        ("nobody/nothing", {"HF_HUB_OFFLINE": "1"}, "(no such file is here, and the Hugging Face Hub can't be reached"),
        ("toks/of/mine.json", {}, "There is no tokenizer at toks/of/mine.json: give its tokenizer.json, or a name on"),
    ],
)
def test_without_the_hub(name: str, env: dict[str, str], sentence: str, tmp_path: Path) -> None:
    ran = gated(tmp_path, name, "http://127.0.0.1:9", **env)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran.stderr
    assert ran.stderr.startswith("maieutic: The") and sentence in ran.stderr and "tokenizer.json" in ran.stderr
    assert sorted(path.name for path in tmp_path.glob("*.jsonl*")) == ["rows.jsonl"]


def test_a_name_that_the_hub_does_not_know(tmp_path: Path) -> None:
    with RawServer(none_of_that_name) as server:
        ran = gated(tmp_path, "nobody/nothing", server.url.removesuffix("/v1"))
    sentence = (
        "The tokenizer nobody/nothing can't be loaded (the Hugging Face Hub shows nothing of that name): give its"
    )
    assert (ran.returncode, ran.stderr) == (2, f"maieutic: {sentence} tokenizer.json.\n")
