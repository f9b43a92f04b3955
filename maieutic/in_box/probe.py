"""A quick look at a model in training: greedy accuracy on a few dev questions of each level."""

import random
from typing import TYPE_CHECKING

from maieutic.in_box import tokenizer as tokenizing
from maieutic.in_box.dialogue import Dialogue
from maieutic.in_box.dialogues import ROLES
from maieutic.in_box.families import MIXED, Level, draw

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

_QUESTIONS = 30
_LEVELS = [
    Level("chain_sum", 3, 1),
    Level("chain_sum", 5, 1),
    Level("chain_sum", 2, 2),
    Level("chain_sum", 3, 2),
    Level("chain_sum", 5, 2),
    Level("products", 2, MIXED),
    Level("products", 2, 2),
    Level("leg_counting", 2, 9),
    Level("leg_counting", 4, 9),
]


def continuations(
    model: "LlamaForCausalLM", tokenizer: "Tokenizer", prompts: list[str], limit: int = 200, temperature: float = 0.0
) -> list[str]:
    """What the model goes on with after each prompt, up to the end of the message (greedy at temperature 0)."""
    import torch

    rows = [tokenizer.encode(p).ids for p in prompts]
    longest = max(len(r) for r in rows)
    ids = torch.tensor([[0] * (longest - len(r)) + r for r in rows], device=model.device)
    mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows], device=model.device)
    sampling = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
    with torch.no_grad():
        out = model.generate(  # pyright: ignore[reportAttributeAccessIssue]  # a mixin it does not see
            input_ids=ids, attention_mask=mask, max_new_tokens=limit, eos_token_id=2, pad_token_id=0, **sampling
        )
    return [tokenizer.decode(row[longest:].tolist(), skip_special_tokens=True) for row in out]


def first_turn(dialogue: Dialogue) -> tuple[str, str]:
    """What comes before the first thing that is learnt, and the rest of that message, both rendered."""
    prompt, taught = "", ""
    for text, learnt in tokenizing.render(dialogue.messages, dialogue.tools):
        if learnt or taught:
            taught += text
        else:
            prompt += text
        if taught.endswith(tokenizing.END):
            return prompt, taught.removesuffix(tokenizing.END)
    raise ValueError("a dialogue without an assistant message")


def probe(model: "LlamaForCausalLM", tokenizer: "Tokenizer") -> dict[str, float]:
    """Share of dev prompts whose greedy answer ends as the taught one, by level (solving) and by role."""
    rng = random.Random("probe")
    cells = [(level.name, "solve", level) for level in _LEVELS for _ in range(_QUESTIONS)]
    roles = [(kind, kind, level) for kind in ROLES if kind != "solve" for level in _LEVELS * 3]
    model.eval()
    rates: dict[str, float] = {}
    for batch in (cells, roles):
        turns = [first_turn(ROLES[kind](draw(level, "dev", rng), rng)) for _, kind, level in batch]
        said = continuations(model, tokenizer, [prompt for prompt, _ in turns])
        right: dict[str, list[bool]] = {}
        for (name, _, _), text, (_, taught) in zip(batch, said, turns, strict=True):
            right.setdefault(name, []).append(_end(text) == _end(taught))
        rates |= {name: round(sum(marks) / len(marks), 3) for name, marks in right.items()}
    model.train()
    return rates


def _end(text: str) -> list[str]:
    lines = text.strip().split("\n")
    return lines[-2:] if lines[-1] == tokenizing.CALL_END else lines[-1:]
