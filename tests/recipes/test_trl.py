"""TRL itself loads the rows and trains on what it should: `make test-upstream`. Skipped where trl is not installed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maieutic.recipes.export import export
from maieutic.recipes.items import Dialogue, Pair, Prompt, Reply, Turn
from maieutic.trace.writer import TraceStore
from maieutic.types import Message, ToolCall
from tests.recipes.test_formats import rows
from tests.trace.builders import call, header

if not os.environ.get("MAIEUTIC_TEST_UPSTREAM"):
    pytest.importorskip("trl", reason="trl is not installed: that TRL loads the rows was NOT checked")
pytestmark = pytest.mark.filterwarnings("default")

QUESTION: Message = {"role": "user", "content": "add two and three"}
TEMPLATE = (
    "{% for m in messages %}{{ '<' + m.role + '>' }} {{ m.content }}"
    "{% for c in m.tool_calls or [] %} {{ c.function.name }} {{ c.function.arguments.a }}{% endfor %} <end>\n"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
WORDS: list[str] = [
    str(word) for word in "<pad> <end> <user> <assistant> <tool> add two and three call five secret done".split()
]


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<end>")
    made.chat_template = TEMPLATE
    return made


def model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(WORDS), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
        )
    )


def trained_on(rows: Path, tmp_path: Path) -> list[tuple[str, str]]:
    """What TRL's collator hands to the model for each row: the whole text, and the part that is in the loss."""
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportPrivateImportUsage]

    words = tokenizer()
    trainer = SFTTrainer(
        model=model(),
        args=SFTConfig(output_dir=str(tmp_path / "out"), report_to=[], use_cpu=True, max_steps=1, bf16=False),
        train_dataset=load_dataset("json", data_files=str(rows), split="train", cache_dir=str(tmp_path / "cache")),
        processing_class=words,
    )
    seen = []
    for row in trainer.train_dataset:  # pyright: ignore[reportOptionalIterable]
        batch = trainer.data_collator([row])  # pyright: ignore[reportArgumentType]
        ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
        seen.append((words.decode(ids), words.decode([label for label in labels if label >= 0])))
    trainer.train()
    return seen


def record(root: Path, *calls: Any) -> Path:
    with TraceStore(root) as store:
        run = store.open_run(header("r1"))
        for one in calls:
            run.call(one)
        run.finish(answer="5", answer_call=calls[-1].call_id, outcome="correct", partial=False)
    return root


def ids(text: str) -> tuple[int, ...]:
    return tuple(WORDS.index(word) for word in text.split())


def test_token_rows(tmp_path: Path) -> None:
    first, tool = "<user> add two and three <end> <assistant>", "<tool> secret <end> <assistant>"
    a = call("r1", "a", ids(first), ids("call <end>"), text="call")
    later: tuple[Message, ...] = (QUESTION, {"role": "assistant", "content": "call"}, {"role": "tool", "content": "x"})
    prompt = ids(f"{first} call <end> {tool}")
    b = call("r1", "b", prompt, ids("five done <end>"), messages=later, after="a")
    report = export(record(tmp_path / "traces", a, b), "solved", "trl-sft", tmp_path / "rows.jsonl")
    assert trained_on(report.out, tmp_path) == [
        (f"{first} call <end> {tool} five done <end>", "call <end> five done <end>")
    ]


def test_chat_rows(tmp_path: Path) -> None:
    asked = (ToolCall("t1", "call", '{"a": "two"}'),)
    a = call("r1", "a", None, None, messages=(QUESTION,), text="", tool_calls=asked, finish_reason="tool_calls")
    assert a.completion
    heard: Message = {"role": "tool", "tool_call_id": "t1", "content": "secret"}
    b = call("r1", "b", None, None, messages=(QUESTION, a.completion.message(), heard), text="five done", after="a")
    report = export(record(tmp_path / "traces", a, b), "solved", "trl-sft", tmp_path / "rows.jsonl")
    one, two = trained_on(report.out, tmp_path)
    assert one[1] == "call two <end>"
    assert two[1] == "five done <end>" and "<tool> secret <end>" in two[0]


def test_rows_that_continue(tmp_path: Path) -> None:
    begun: Message = {"role": "assistant", "content": "call"}
    rest = Turn({"role": "assistant", "content": "five done"}, learn=True, continues=True)
    made, _ = rows("trl-sft", Dialogue((Turn(QUESTION), Turn(begun), rest), ("r1",)))
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made))
    [(whole, learnt)] = trained_on(file, tmp_path)
    assert learnt == "five done <end>" and whole.count("<assistant>") == 2  # TRL by itself sees two messages


def loaded(format: str, tmp_path: Path, *items: Any) -> Any:
    from datasets import load_dataset

    made, _ = rows(format, *items)
    file = tmp_path / f"{format}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made))
    return load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))


def settings(kind: Any, tmp_path: Path, **fields: Any) -> Any:
    return kind(output_dir=str(tmp_path / "out"), report_to=[], use_cpu=True, max_steps=1, bf16=False, **fields)


def saved(tmp_path: Path) -> str:
    """The model's folder: trainers with a reference model load it a second time by its name."""
    model().save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def test_dpo_rows_have_nothing_but_the_replies_in_the_loss(tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer  # pyright: ignore[reportPrivateImportUsage]

    heard: Message = {"role": "tool", "tool_call_id": "t1", "content": "secret"}
    asked: Message = {"role": "assistant", "content": "call"}
    sides = (Reply({"role": "assistant", "content": "five"}), Reply({"role": "assistant", "content": "three"}))
    trainer = DPOTrainer(
        model=saved(tmp_path),
        args=settings(DPOConfig, tmp_path, per_device_train_batch_size=1),
        train_dataset=loaded("trl-dpo", tmp_path, Pair((QUESTION, asked, heard), *sides, "siblings", ("r1",))),
        processing_class=tokenizer(),
    )
    row = trainer.train_dataset[0]
    read = {name: tokenizer().decode(row[name]) for name in ("prompt_ids", "chosen_ids", "rejected_ids")}
    assert "secret" in read["prompt_ids"]
    assert (read["chosen_ids"].split(), read["rejected_ids"].split()) == (["five", "<end>"], ["three", "<end>"])
    trainer.train()


def test_dpo_rows_with_sampled_ids_are_tokenised_by_trl_as_those_without(tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer  # pyright: ignore[reportPrivateImportUsage]

    calls = [call("r1", name, (1, 2), (3,), (QUESTION,), text) for name, text in (("a", "five"), ("b", "three"))]
    better, worse = (Reply(one.completion.message(), one) for one in calls if one.completion)
    pairs = [Pair((QUESTION,), Reply(better.message), Reply(worse.message), "siblings", ("r1",))]
    pairs.append(Pair((QUESTION,), better, worse, "siblings", ("r1",)))
    data = loaded("trl-dpo", tmp_path, *pairs)
    trainer = DPOTrainer(
        model=saved(tmp_path),
        args=settings(DPOConfig, tmp_path, per_device_train_batch_size=2),
        train_dataset=data,
        processing_class=tokenizer(),
    )
    assert [row["token_ids"] is None for row in data] == [True, False]
    assert trainer.train_dataset["prompt_ids"][0] == trainer.train_dataset["prompt_ids"][1] != [1, 2]
    trainer.train()


def test_kto_rows(tmp_path: Path) -> None:
    from trl import KTOConfig, KTOTrainer  # pyright: ignore[reportPrivateImportUsage]

    sides = (Reply({"role": "assistant", "content": "five"}), Reply({"role": "assistant", "content": "three"}))
    pairs = [Pair((QUESTION,), *sides, "siblings", ("r1",))] * 2
    trainer = KTOTrainer(
        model=saved(tmp_path),
        args=settings(KTOConfig, tmp_path, per_device_train_batch_size=2),
        train_dataset=loaded("trl-kto", tmp_path, *pairs),
        processing_class=tokenizer(),
    )
    assert trainer.train_dataset["label"] == [True, False, True, False]
    trainer.train()


def test_grpo_rows_are_scored_by_the_named_functions(tmp_path: Path) -> None:
    from trl import GRPOConfig, GRPOTrainer  # pyright: ignore[reportPrivateImportUsage]

    from maieutic.tasks.trl_rewards import correct, readable

    task = {"id": "t1", "question": "add two and three", "gold": "five", "answer_type": "text"}
    trainer = GRPOTrainer(
        model=model(),
        reward_funcs=[correct, readable],
        args=settings(
            GRPOConfig,
            tmp_path,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=4,
            logging_steps=1,
        ),
        train_dataset=loaded("trl-grpo", tmp_path, *[Prompt((QUESTION,), task, ("r1",))] * 2),
        processing_class=tokenizer(),
    )
    trainer.train()
    logged = next(entry for entry in trainer.state.log_history if "reward" in entry)
    assert {"rewards/correct/mean", "rewards/readable/mean"} <= set(logged)
