"""Training for real, a few steps of it: what is learnt from, what fails, and what the runtime then serves."""

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from maieutic.errors import MaieuticError, UserError
from maieutic.improve.trainer import TrlSft
from maieutic.improve.version import InBoxShelf, Version, find_shelf
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.llm.registry import resolve_model
from maieutic.settings import load_settings
from maieutic.types import Request, Sampling

needs_trl = pytest.mark.skipif(find_spec("trl") is None, reason="needs trl: pip install 'maieutic[train]'")

QUESTION = "State the final answer to the following arithmetic problem: 4 + 3 - 5 ="
CHAT = [{"role": "user", "content": QUESTION}]
SAID = "4 + 3 = 7\n7 - 5 = 2\nAnswer: 2"


def rows(path: Path, *more: dict[str, object]) -> Path:
    row = {"prompt": CHAT, "completion": [{"role": "assistant", "content": SAID}]}
    path.write_text("".join(json.dumps(one) + "\n" for one in (row, *more)))
    return path


async def said(name: str) -> str:
    model = resolve_model(name, load_settings()).model
    try:
        completion = await model.sample(Request(messages=CHAT, sampling=Sampling(temperature=0.0)))  # type: ignore[arg-type]
    finally:
        await model.close()  # type: ignore[attr-defined]
    return completion.text


@pytest.mark.slow
@needs_trl
async def test_trained_weights_are_served_in_the_process_under_a_name_of_their_own(tmp_path: Path) -> None:
    shelf = InBoxShelf(WEIGHTS)
    odd = [{"role": "assistant", "content": "Answer: 99"}]
    many = [{"prompt": CHAT, "completion": odd, "tools": None}] * 16
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in many))
    out = tmp_path / "model"
    facts = await TrlSft(epochs=12, rate=3e-3, batch=8, threads=1).train(shelf.first(), file, out, 0)
    assert facts["rows"] == 16 and facts["steps"] == 24
    assert facts["loss_last"] < facts["loss_first"]
    shelf.publish(shelf.version(1, out))
    version = shelf.version(1, out)
    assert await said(version.model) == "Answer: 99"
    assert await said(shelf.first().model) != "Answer: 99"
    before = (out / "model.onnx").stat().st_mtime_ns
    shelf.publish(version)
    assert (out / "model.onnx").stat().st_mtime_ns == before


@pytest.mark.slow
@needs_trl
async def test_an_adapter_is_trained_and_gone_on_with(tmp_path: Path) -> None:
    trainer = TrlSft(lora=4, epochs=1, threads=1)
    first = Version(0, "x", str(WEIGHTS))
    await trainer.train(first, rows(tmp_path / "rows.jsonl"), tmp_path / "a", 0)
    assert json.loads((tmp_path / "a" / "adapter_config.json").read_text())["r"] == 4
    assert not (tmp_path / "a" / "model.safetensors").exists()
    second = Version(1, "x", str(WEIGHTS), str(tmp_path / "a"))
    facts = await trainer.train(second, tmp_path / "rows.jsonl", tmp_path / "b", 0)
    assert facts["steps"] == 1
    assert (tmp_path / "b" / "adapter_model.safetensors").exists()


@pytest.mark.slow
@needs_trl
async def test_only_what_was_sampled_is_learnt_from_and_long_rows_are_counted(tmp_path: Path) -> None:
    known = {"input_ids": [1, 5, 6, 7, 2], "labels": [-100, -100, -100, 7, 2]}
    long = {"input_ids": [3] * 300, "labels": [3] * 300}
    bare = {"input_ids": [1, 5, 6], "labels": [-100, -100, -100]}
    file = rows(tmp_path / "rows.jsonl", known, long, bare)  # pyright: ignore[reportArgumentType]
    facts = await TrlSft(epochs=1, context=200, threads=1).train(
        InBoxShelf(WEIGHTS).first(), file, tmp_path / "model", 0
    )
    from transformers import AutoTokenizer

    answer = AutoTokenizer.from_pretrained(WEIGHTS)(f"{SAID}<|im_end|>\n", add_special_tokens=False)["input_ids"]
    assert (facts["rows"], facts["too_long"]) == (2, 1)
    assert facts["trained_tokens"] == len(answer) + 2


@pytest.mark.slow
@needs_trl
async def test_a_training_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"input_ids": [1, 2], "labels": [-100, -100]}) + "\n")
    with pytest.raises(MaieuticError, match="None of 1 rows has something to learn"):
        await TrlSft(threads=1).train(InBoxShelf(WEIGHTS).first(), file, tmp_path / "model", 0)
    assert not (tmp_path / "model").exists()


async def test_a_training_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(MaieuticError, match="longer than 0.01 seconds"):
        await TrlSft(seconds=0.01).train(InBoxShelf(WEIGHTS).first(), tmp_path / "none", tmp_path / "model", 0)


async def test_a_cancelled_training_leaves_no_process(tmp_path: Path) -> None:
    training = asyncio.create_task(
        TrlSft().train(InBoxShelf(WEIGHTS).first(), tmp_path / "none.jsonl", tmp_path / "model", 0)
    )
    await asyncio.sleep(0.2)
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(str(tmp_path).encode() in line for line in running)


@pytest.mark.parametrize(
    ("model", "lora", "says"),
    [
        ("in-box", 8, "takes no adapters"),
        ("vllm/qwen3@http://localhost:9/v1", 8, "can't be given new weights"),
        ("in-box@/nowhere", None, "needs model.onnx"),
    ],
)
def test_what_could_not_be_served_is_refused_before_it_is_trained(
    model: str, lora: int | None, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        find_shelf(model, tmp_path, lora, load_settings())


def test_numbers_that_cannot_be_are_refused() -> None:
    with pytest.raises(UserError, match="batch is 0"):
        TrlSft(batch=0)
    with pytest.raises(UserError, match="above 0"):
        TrlSft(rate=-1.0)
