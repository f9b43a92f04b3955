"""How soon the in-box model learns to tell two numbers apart: side by side, and in pairs of their digits.

    python benchmarks/comparing.py [--minutes 3] [--n 1000]

Both sides begin with version 0, see the same pairs of numbers, half of them the same, and train on what follows the
two: a word alone, or the pairs of digits and the word. Each has a core's minutes, one after the other.
"""

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from maieutic.in_box import tokenizer as tokenizing
from maieutic.in_box.dialogue import Dialogue, Piece, dialogue, pieced
from maieutic.in_box.drills import compare
from maieutic.in_box.train import BATCH_TOKENS, Batch, loss_of, optimizers, padded_groups, update
from maieutic.llm.in_box.model import WEIGHTS
from maieutic.stats import Interval, wilson

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

RESULTS = Path(__file__).parent / "results" / "comparing.md"
SIDES = {"side by side": False, "in pairs of their digits": True}
DIALOGUES, WARM_STEPS, EVERY = 400, 60, 60.0


def drill(rng: random.Random, in_pairs: bool) -> Dialogue:
    """The drill of the training text, or the same with nothing between the numbers and the word."""
    made = compare(rng)
    if in_pairs:
        return made
    pieces = [
        Piece(piece.text.rsplit(" ", 1)[-1] if piece.learnt else piece.text, piece.learnt)
        for piece in made.messages[-1]["pieces"]
    ]
    return dialogue(made.kind, "Compare.", pieced(*pieces))


def batches(tokenizer: "Tokenizer", rng: random.Random, in_pairs: bool) -> Iterator[Batch]:
    """Batches without an end."""
    import torch

    while True:
        rows = [tokenizing.encode(drill(rng, in_pairs), tokenizer) for _ in range(DIALOGUES)]
        for ids, targets in padded_groups(rows, BATCH_TOKENS, rng):
            yield Batch(torch.from_numpy(ids.astype("int64")), torch.from_numpy(targets.astype("int64")))


def told(model: "LlamaForCausalLM", tokenizer: "Tokenizer", in_pairs: bool, n: int) -> Interval:
    """How often all that follows two numbers is the likeliest, token by token, of `n` pairs of other drills."""
    import torch

    rng, marks = random.Random("held out"), list[bool]()
    model.eval()
    while len(marks) < n:
        ids, learnt = tokenizing.encode(drill(rng, in_pairs), tokenizer)
        with torch.no_grad():
            likeliest = model(torch.tensor([ids])).logits[0].argmax(-1).tolist()
        right, inside = True, False
        for i in range(1, len(ids)):
            if learnt[i]:
                right, inside = right and likeliest[i - 1] == ids[i], True
            elif inside:
                marks.append(right)
                right, inside = True, False
    model.train()
    return wilson(sum(marks[:n]), n)


def side(in_pairs: bool, minutes: float, n: int) -> list[tuple[float, int, Interval]]:
    """What it has come to after each minute, with the tokens seen by then."""
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    torch.set_num_threads(1)
    tokenizer, model = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json")), LlamaForCausalLM.from_pretrained(WEIGHTS)
    both, found = optimizers(model), list[tuple[float, int, Interval]]()
    full = [one.param_groups[0]["lr"] for one in both]
    spent, steps, tokens, due = 0.0, 0, 0, EVERY
    for batch in batches(tokenizer, random.Random(0), in_pairs):
        begun = time.process_time()
        scale = min(1.0, (steps + 1) / WARM_STEPS) * max(0.02, 1 - spent / (60 * minutes))
        for one, rate in zip(both, full, strict=True):
            one.param_groups[0]["lr"] = rate * scale
        update(model, both, loss_of(model, batch))
        steps, tokens, spent = steps + 1, tokens + int((batch.ids != 0).sum()), spent + time.process_time() - begun
        if spent >= due:
            found.append((due / 60, tokens, told(model, tokenizer, in_pairs, n)))
            print(f"{in_pairs=} {due / 60:g} min: {found[-1][2].percent()}", flush=True)
            due += EVERY
        if len(found) >= minutes:
            return found
    raise AssertionError("there is no end to the batches")


def main() -> None:
    """Train both sides, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=3, help="of one core, for each side")
    parser.add_argument("--n", type=int, default=1000, help="pairs of numbers that are measured")
    asked = parser.parse_args()
    found = {name: side(in_pairs, asked.minutes, asked.n) for name, in_pairs in SIDES.items()}
    command = f"python benchmarks/comparing.py --minutes {asked.minutes} --n {asked.n}"
    lines = ["# Telling two numbers apart", "", f"`{command}`", ""]
    lines += [
        "One training run a side, one core. Right is what is right in all of its tokens; 95 % Wilson interval.",
        "",
    ]
    lines += ["| two numbers | minutes | tokens | n | right |", "|---|---|---|---|---|"]
    for name, row in found.items():
        lines += [f"| {name} | {at:g} | {seen:,} | {share.n} | {share.percent()} |" for at, seen, share in row]
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
