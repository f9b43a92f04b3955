"""The loop with adapters at a real server: a round trained, loaded, measured, and kept or withdrawn; killed between."""

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from maieutic.llm.in_box.model import WEIGHTS
from maieutic.trace.reader import TraceReader
from maieutic.trace.record import CallRecord
from tests.vllm.conftest import Ended, Server

SOURCE = "env:rg/chain_sum?n=16&seed=3&min_terms=5&max_terms=5&min_digits=2&max_digits=2"
WITHIN = 400.0

pytestmark = pytest.mark.skipif(find_spec("trl") is None, reason="needs trl: pip install 'maieutic[train]'")


def asked(server: Server, out: Path, *more: str) -> list[str]:
    small = ("--rounds", "1", "--samples", "4", "--questions", "16", "--k", "1", "--any-difficulty", "--epochs", "1")
    return ["improve", server.profile, "--lora", "8", "--env", SOURCE, *small, "--out", str(out), *more]


def improved(server: Server, out: Path, *more: str) -> Ended:
    return server.home.maieutic(*asked(server, out, *more), "--json", "--quiet", timeout=WITHIN)


def calls(folder: Path) -> list[CallRecord]:
    """Every call in the traces below a folder."""
    found: list[CallRecord] = []
    for traces in {segment.parent for segment in folder.rglob("traces/*")}:
        with TraceReader(traces) as reader:
            found += [call for run in reader.runs() for call in reader.run(run.run_id).calls]
    assert found
    return found


def weights(folder: Path) -> set[str | None]:
    return {call.completion.weights for call in calls(folder) if call.completion}


def loaded(server: Server) -> list[str]:
    (status,) = json.loads(server.home.maieutic("model", "status", server.profile, "--json").out)
    return list(status["adapters"])


def test_a_round_is_trained_loaded_measured_and_kept_or_withdrawn(vllm_server: Server, tmp_path: Path) -> None:
    out, base = tmp_path / "out", vllm_server.load_profile().weights
    command = [sys.executable, "-m", "maieutic", *asked(vllm_server, out)]
    started = subprocess.Popen(command, env=vllm_server.home.environment(), stderr=subprocess.DEVNULL)
    end = time.monotonic() + WITHIN
    while not (out / "rounds/01/training.log").exists():
        assert started.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    started.send_signal(signal.SIGKILL)
    started.wait()
    done = improved(vllm_server, out)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    (one,) = report["rounds"]
    trained = weights(out / "versions/01")
    (spoke,) = trained
    assert spoke is not None and spoke.startswith(f"{base}+{vllm_server.profile}-") and "-v1:" in spoke
    name = spoke.removeprefix(f"{base}+").partition(":")[0]
    assert weights(out / "versions/00") == weights(out / "rounds/01/collect") == {base}
    assert loaded(vllm_server) == ([name] if one["decision"]["promoted"] else [])
    assert report["kept"]["model"] == (name if one["decision"]["promoted"] else vllm_server.profile)
    rows_are_what_was_sampled(out / "rounds/01")
    if one["decision"]["promoted"]:
        vllm_server.home.maieutic("model", "adapter", "unload", name)
        improved(vllm_server, out)
        assert loaded(vllm_server) == [name], "lost, and put up again"
        vllm_server.home.maieutic("model", "adapter", "unload", name)


def rows_are_what_was_sampled(folder: Path) -> None:
    """What is trained on are the ids that the server saw and said, and the checkpoint's own tokens of that text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    ids = {}
    for call in calls(folder / "collect"):
        assert call.completion and call.completion.prompt_token_ids and call.completion.token_ids
        prompt = list(call.completion.prompt_token_ids)
        text = tokenizer.apply_chat_template(list(call.request.messages), add_generation_prompt=True, tokenize=False)
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == prompt
        ids[tuple(prompt + list(call.completion.token_ids))] = len(prompt)
    rows = [json.loads(line) for line in (folder / "rows/train.jsonl").read_text().splitlines()]
    assert rows
    for row in rows:
        prompt = ids[tuple(row["input_ids"])]
        assert row["labels"] == [-100] * prompt + row["input_ids"][prompt:]


def test_weights_that_were_spoilt_are_rolled_back_and_unloaded(vllm_server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = improved(vllm_server, out, "--rate", "0.5")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert not report["rounds"][0]["decision"]["promoted"] and report["kept"]["number"] == 0
    assert loaded(vllm_server) == []
    (listed,) = [
        one
        for one in json.loads(vllm_server.home.maieutic("model", "adapter", "list", "--json").out)
        if one["weights"] in weights(out / "versions/01")
    ]
    assert not listed["loaded"], "its name stays taken"


def test_a_rank_above_the_servers_is_refused_before_anything_is_sampled(vllm_server: Server, tmp_path: Path) -> None:
    refused = improved(vllm_server, tmp_path / "out", "--lora", "32")
    assert refused.code == 2 and "--lora 32 is too large: in-box-vllm takes ranks up to 16" in refused.err
    assert not (tmp_path / "out").exists()
