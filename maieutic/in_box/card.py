"""The card beside the weights: what the model is, what it was trained on, what it can and can't do, in figures."""

import json
from pathlib import Path
from typing import Any

from maieutic.in_box.evaluate import Report
from maieutic.stats import Interval

_BEGUN = ("Trained from nothing on one CPU core", "Trained last, from an earlier state on, on two CPU cores")
_KNOWS = (
    "",
    " It was also trained to look up\nwhat goods cost with the tools `sql` and `retrieve`, to judge answers in a word,"
    " to take\nsingle steps of a search and value them, and to think with peers; how far it learnt that is said below.",
)
_MODES = ("greedy", "T = 1", "tool")
_HEAD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---
# Maieutic's in-box model, version {version}

A language model of {parameters:,} parameters that ships inside the package, so that graphs, traces and training
loops can be tried without a key, a GPU or a network. It makes real mistakes and real tool calls. It knows chain
sums, products and leg counting in the wording of [reasoning-gym](https://github.com/open-thought/reasoning-gym),
works them out one line a step, and says of everything else that it can't.{knows}

| file | for |
|---|---|
| `model.safetensors`, `config.json`, `tokenizer.json`, `chat_template.jinja` | transformers, vLLM (hermes tool calls) |
| `model.onnx` | the runtime in `maieutic.llm.in_box`, the same weights in fp32 |

## How it was made
`python -m maieutic.in_box train`, then `export` and `card`. Architecture Llama: {layers} layers of width {width},
{heads} heads of {head} sharing {shared} key-value heads, context {context:,} tokens, byte-level BPE of
{vocabulary:,} tokens with single digits. {begun} for {minutes:.0f} minutes: {steps:,}
steps, {tokens:,} tokens, of which {learnt:,} were learnt from (assistant messages only). Muon on the matrices,
AdamW on the rest, fp32.

Questions come from reasoning-gym's generators; solutions, reviews, debates and judgements are worked out by
`maieutic.in_box.families` and `dialogues`, never by another model. At the end of the run the mixture was, in
dialogues: {mixture}. A sum is taken one decimal place at a time (`85 - 68` as `85 - 60 = 25`, `25 - 8 = 17`),
because in one step it was not learnt within this budget.

Whether a question is for training, dev or test is decided by a hash of its text (`maieutic.tasks.split`: 14, 1 and
1 of 16), so that the three are disjoint by construction. Difficulty was chosen on dev; everything below is on test.

{note}## Solving
Accuracy with its 95 % Wilson interval and n, on different questions of the test split. A level is terms × digits,
or animals × instances at most; `m` mixes one and two digits, in questions of this project's own making in the same
wording. The tool runs what the model writes and answers with what it prints. "T = 1" is one sample. n below {count}
means that the split holds no more. It was trained for up to 5 terms of 2 digits, products of 2 by 2 digits and 4
animals; the levels beyond show where it ends.

"""
_ROLES = """
## Roles
On the model's own solutions at temperature 1; the roles themselves answer greedily. A solution is wrong, for the
critic, when any line differs from the worked solution; for the others, when the answer does. What never came up has
no row.
"""
_LOOK_UPS = """
## Looking up
What goods cost, asked with one tool on offer, greedily: whether the first thing it does is to ask for the goods of the
question and for nothing else, and whether its answer is right, of all questions. It is told what the table or the notes
hold only where it asked rightly.

"""
_LIMITS = """
## What it cannot do
It has no knowledge, no conversation and no language but these formats. Numbers of three and more digits, divisions,
decimals, brackets and any other question are outside; how often the weights say so by themselves is measured here,
on kinds of question that they were never trained to refuse. In the process, a rule (`maieutic.llm.in_box.scope`)
refuses what is not one of the families before the weights are asked; under another server there is no such rule.

"""


def card(
    report: Report,
    folder: Path,
    progress: dict[str, Any],
    mixture: dict[str, float],
    count: int,
    note: str = "",
    version: int = 0,
) -> str:
    """The card's text.

    `progress` and `mixture` are those of the training run, `count` the questions asked for, and `note` a paragraph on
    how the run was made.
    """
    config = json.loads((folder / "config.json").read_text())
    head = _HEAD.format(
        parameters=_parameters(config),
        layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        head=config["head_dim"],
        shared=config["num_key_value_heads"],
        context=config["max_position_embeddings"],
        vocabulary=config["vocab_size"],
        minutes=progress["seconds"] / 60,
        mixture=", ".join(f"{kind} {share:g}" for kind, share in mixture.items()),
        count=count,
        note=f"{note}\n\n" if note else "",
        version=version,
        begun=_BEGUN[version],
        knows=_KNOWS[version],
        **{name: progress[name] for name in ("steps", "tokens", "learnt")},
    )
    found = _LOOK_UPS + _rows(report.look_ups, "questions") if report.look_ups else ""
    return head + _levels(report) + _ROLES + _roles(report) + found + _LIMITS + _rows(report.refusals, "questions")


def _parameters(config: dict[str, Any]) -> int:
    width, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    attention = 2 * width * head * (config["num_attention_heads"] + config["num_key_value_heads"])
    layer = attention + 3 * width * inner + 2 * width
    return int(config["vocab_size"] * width + config["num_hidden_layers"] * layer + width)


def _levels(report: Report) -> str:
    lines = ["| level | n | greedy | one sample, T = 1 | with the tool, greedy |", "|---|---|---|---|---|"]
    for name, modes in report.levels.items():
        cells = " | ".join(modes[mode].percent() for mode in _MODES)
        lines.append(f"| {name} | {modes['greedy'].n} | {cells} |")
    return "\n".join(lines) + "\n"


def _roles(report: Report) -> str:
    return "".join(f"\n### {level}\n{_rows(rates, 'share of')}" for level, rates in report.roles.items())


def _rows(rates: dict[str, Interval], what: str) -> str:
    lines = [f"| {what} | n | share |", "|---|---|---|"]
    lines += [f"| {name} | {interval.n} | {interval.percent()} |" for name, interval in rates.items()]
    return "\n".join(lines) + "\n"
