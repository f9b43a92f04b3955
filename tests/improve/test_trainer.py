"""Training for real, a few steps of it: what is learnt from, what fails, and what the runtime then serves."""

import asyncio
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from maieutic.errors import MaieuticError, UnknownName, UserError
from maieutic.improve.dpo import ids
from maieutic.improve.trainer import TrlDpo, TrlGrpo, TrlSft, make_trainer
from maieutic.improve.version import InBoxShelf, Version, find_shelf
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.llm.registry import resolve_model
from maieutic.settings import load_settings
from maieutic.types import Request, Sampling

needs_trl = pytest.mark.skipif(find_spec("trl") is None, reason="needs trl: pip install 'maieutic[train]'")

QUESTION = "State the final answer to the following arithmetic problem: 4 + 3 - 5 ="
CHAT = [{"role": "user", "content": QUESTION}]
SAID = "4 + 3 = 7\n7 - 5 = 2\nAnswer: 2"
ODD = "Answer: 99"


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


async def says(folder: Path) -> str:
    """What a trained folder says, sampled as every command samples it."""
    version = InBoxShelf(WEIGHTS).version(1, folder)
    InBoxShelf(WEIGHTS).publish(version)
    return await said(version.model)


@pytest.mark.slow
@needs_trl
async def test_trained_weights_are_served_in_the_process_under_a_name_of_their_own(tmp_path: Path) -> None:
    shelf = InBoxShelf(WEIGHTS)
    odd = [{"role": "assistant", "content": ODD}]
    many = [{"prompt": CHAT, "completion": odd, "tools": None}] * 16
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in many))
    out = tmp_path / "model"
    facts = await TrlSft(epochs=12, rate=3e-3, batch=8, threads=1).train(shelf.first(), file, out, 0)
    assert facts["rows"] == 16 and facts["steps"] == 24
    assert facts["loss_last"] < facts["loss_first"]
    shelf.publish(shelf.version(1, out))
    version = shelf.version(1, out)
    assert await said(version.model) == ODD
    assert await said(shelf.first().model) != ODD
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


def pairs(path: Path, *more: dict[str, object]) -> Path:
    """Sixteen pairs of one question, a strange answer above the right one; then more."""
    chosen, rejected = ([{"role": "assistant", "content": text}] for text in (ODD, SAID))
    row: dict[str, object] = {"prompt": CHAT, "chosen": chosen, "rejected": rejected}
    path.write_text("".join(json.dumps(one) + "\n" for one in (*[row] * 16, *more)))
    return path


@pytest.mark.slow
@needs_trl
async def test_what_is_preferred_is_what_is_said_then(tmp_path: Path) -> None:
    shelf = InBoxShelf(WEIGHTS)
    trainer = TrlDpo(epochs=20, rate=1e-3, batch=8, threads=1, sft_weight=1.0)
    facts = await trainer.train(shelf.first(), pairs(tmp_path / "rows.jsonl"), tmp_path / "model", 0)
    assert (facts["rows"], facts["steps"], facts["rendered_anew"]) == (16, 40, 16)
    assert facts["loss_last"] < facts["loss_first"] and facts["margin_last"] > facts["margin_first"] > -0.01
    assert facts["accuracy_last"] == 1.0 and facts["chosen_last"] > facts["chosen_first"]
    assert await says(tmp_path / "model") == ODD


@pytest.mark.slow
@needs_trl
async def test_sampled_ids_of_pairs_are_trained_on_as_they_are_and_what_teaches_nothing_is_counted(
    tmp_path: Path,
) -> None:
    def row(chosen: list[int], rejected: list[int]) -> dict[str, object]:
        return {"token_ids": {"prompt": [1, 5, 6], "chosen": chosen, "rejected": rejected}}

    file = tmp_path / "rows.jsonl"
    kinds = [row([7, 8, 2], [9, 2]), row([7, 2], [7, 2]), row([7] * 300, [8])]
    file.write_text("".join(json.dumps(one) + "\n" for one in kinds))
    facts = await TrlDpo(epochs=1, context=200, threads=1).train(
        InBoxShelf(WEIGHTS).first(), file, tmp_path / "model", 0
    )
    assert (facts["rows"], facts["too_long"], facts["the_same_on_both_sides"]) == (1, 1, 1)
    assert (facts["rendered_anew"], facts["trained_tokens"], facts["tokens"]) == (0, 5, 11)


@pytest.mark.slow
@needs_trl
async def test_the_same_seed_trains_the_same_weights(tmp_path: Path) -> None:
    trainer, file = TrlDpo(epochs=1, rate=1e-3, batch=8, threads=1), pairs(tmp_path / "rows.jsonl")
    for name in ("a", "b"):
        await trainer.train(InBoxShelf(WEIGHTS).first(), file, tmp_path / name, 3)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert one == other != (WEIGHTS / "model.safetensors").read_bytes()


@pytest.mark.slow
@needs_trl
async def test_preferences_are_trained_into_an_adapter_against_the_version_before(tmp_path: Path) -> None:
    trainer, file = TrlDpo(lora=4, epochs=4, rate=1e-2, threads=1), pairs(tmp_path / "rows.jsonl")
    one = await trainer.train(Version(0, "x", str(WEIGHTS)), file, tmp_path / "a", 0)
    again = await trainer.train(Version(1, "x", str(WEIGHTS), str(tmp_path / "a")), file, tmp_path / "b", 0)
    assert one["margin_last"] > 0.1
    assert abs(again["margin_first"]) < 1e-3  # the reference is the version that it starts from, adapter and all
    assert sorted(path.name for path in (tmp_path / "b").glob("adapter*")) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert not (tmp_path / "b" / "ref").exists()


def prompts(path: Path) -> Path:
    task = {"id": "t1", "question": QUESTION, "gold": "2", "answer_type": "number"}
    path.write_text((json.dumps({"prompt": CHAT, "task": json.dumps(task)}) + "\n") * 4)
    return path


@pytest.mark.slow
@needs_trl
async def test_what_is_rewarded_is_said_more_often(tmp_path: Path) -> None:
    shelf, file = InBoxShelf(WEIGHTS), prompts(tmp_path / "rows.jsonl")
    trainer = TrlGrpo(
        rewards=("tests.improve.brief:brief",), steps=12, batch=16, rate=1e-3, reply=48, threads=1, beta=0.01
    )
    facts = await trainer.train(shelf.first(), file, tmp_path / "model", 0)
    assert (facts["rows"], facts["steps"], facts["samples"], facts["ended_by_time"]) == (4, 12, 192, False)
    assert facts["reward_last"] > facts["reward_first"]
    assert facts["kl_last"] > facts["kl_first"] >= 0
    assert len(await says(tmp_path / "model")) < len(SAID)


@pytest.mark.slow
@needs_trl
async def test_an_adapter_is_reinforced_against_the_version_before_until_its_time(tmp_path: Path) -> None:
    file = prompts(tmp_path / "rows.jsonl")
    trainer = TrlGrpo(rewards=("tests.improve.brief:brief",), lora=4, batch=8, reply=48, rate=5e-2, steps=8, threads=1)
    first = await trainer.train(Version(0, "x", str(WEIGHTS)), file, tmp_path / "a", 0)
    assert first["kl_last"] > 1e-3
    second = Version(1, "x", str(WEIGHTS), str(tmp_path / "a"))
    again = await replace(trainer, most_seconds=0.001).train(second, file, tmp_path / "b", 0)
    assert (again["steps"], again["ended_by_time"]) == (1, True)
    assert abs(again["kl_first"]) < 1e-4  # of the version that it starts from, adapter and all
    assert (tmp_path / "b" / "adapter_model.safetensors").exists() and not (tmp_path / "b" / "ref").exists()


@needs_trl
def test_what_cannot_be_sampled_from_here_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserError, match="no_such"):
        TrlGrpo(rewards=("maieutic.tasks.trl_rewards:no_such",)).check(InBoxShelf(WEIGHTS).first())
    with pytest.raises(UserError, match="large/one is too slow without a GPU"):
        TrlGrpo().check(Version(0, "x", "large/one"))
    TrlGrpo().check(InBoxShelf(WEIGHTS).first())


@needs_trl
def test_an_unfinished_reply_ends_with_its_text() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    sides = {side: [{"role": "assistant", "content": text}] for side, text in (("chosen", "4 + 3"), ("rejected", "4"))}
    for unfinished, end in ((True, ""), (False, "<|im_end|>\n")):
        made = ids({"prompt": CHAT, **sides, "unfinished": unfinished}, tokenizer)
        assert tokenizer.decode(made["prompt_ids"] + made["chosen_ids"]).endswith(f"assistant\n4 + 3{end}")
        assert tokenizer.decode(made["prompt_ids"] + made["rejected_ids"]).endswith(f"assistant\n4{end}")


@needs_trl
def test_a_completion_that_continues_stands_in_the_turn_that_its_prompt_begins() -> None:
    from transformers import AutoTokenizer

    from maieutic.improve.sft import MASKED
    from maieutic.improve.sft import ids as learnt

    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    begun, rest = "4 + 3 = 8", "\nNo.\n4 + 3 = 7\nAnswer: 7"
    turns = [{"role": "assistant", "content": text} for text in (begun, rest)]
    row = {"prompt": [*CHAT, turns[0]], "completion": [turns[1]], "continues": True}
    made = learnt(row, tokenizer)
    whole = learnt({"prompt": CHAT, "completion": [{"role": "assistant", "content": begun + rest}]}, tokenizer)
    assert made["input_ids"] == whole["input_ids"]
    taught = tokenizer.decode([label for label in made["labels"] if label != MASKED])
    assert taught == f"{rest}<|im_end|>\n"
    apart = learnt({**row, "continues": False}, tokenizer)
    assert len(apart["input_ids"]) > len(made["input_ids"])


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
    with pytest.raises(UserError, match="beta is a number above 0"):
        TrlDpo(beta=0.0)
    with pytest.raises(UserError, match="holds whole groups"):
        TrlGrpo(batch=20)


def test_a_trainer_is_made_by_its_name_with_the_settings_that_it_has() -> None:
    assert make_trainer("dpo", {"beta": 0.5, "lora": None}) == TrlDpo(beta=0.5)
    with pytest.raises(UserError, match="trainer sft has no beta: it is for dpo and grpo"):
        make_trainer("sft", {"beta": 0.5})
    with pytest.raises(UnknownName, match="Known: dpo"):
        make_trainer("ppo", {})
