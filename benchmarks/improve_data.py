"""Worked solutions as rows for `improve.py`: of chosen levels, or of the mixture that version 0 was made of."""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer

from maieutic.in_box.dialogues import Mixture, sample
from maieutic.in_box.families import MIXED, Level
from maieutic.in_box.tokenizer import encode
from maieutic.llm.in_box.model import WEIGHTS

MASKED = -100
_SUMS = {(2, 1): 0.3, (3, 1): 0.5, (4, 1): 0.8, (5, 1): 1.5, (6, 1): 0.5, (2, 2): 0.5, (3, 2): 1.5, (4, 2): 4.0}
_LONG = {(5, 2): 5.0, (6, 2): 1.5, (7, 2): 0.8, (3, MIXED): 0.4}
_LEGS = {(1, 9): 0.4, (2, 9): 1.0, (3, 9): 1.6, (4, 9): 1.6, (2, 15): 0.4, (3, 15): 0.6, (4, 15): 0.4}
_PRODUCTS = {(2, 1): 0.3, (2, MIXED): 1.0, (2, 2): 3.0}
_ROLES = {"solve": 42.0, "tool": 9.0, "refuse": 4.0, "critic": 21.0, "refiner": 9.0, "debater": 8.0, "judge": 7.0}

MIXTURES = {
    # a quarter of older levels, as the loop has it
    "worked": Mixture(
        {"solve": 1.0},
        {Level("chain_sum", 4, 2): 0.75, Level("chain_sum", 3, 2): 0.125, Level("leg_counting", 3, 9): 0.125},
        plain=0.0,
    ),
    # version 0's own at the end of its training, as its card tells it
    "original": Mixture(
        _ROLES,
        {Level("chain_sum", *size): weight for size, weight in (_SUMS | _LONG).items()}
        | {Level("leg_counting", *size): weight for size, weight in _LEGS.items()}
        | {Level("products", *size): weight for size, weight in _PRODUCTS.items()},
    ),
}


def write_rows(mixture: Mixture, tokens: int, out: Path, seed: int) -> int:
    """Rows of the train split, as many as fit into so many tokens, into `out`; how many they are."""
    tokenizer, rng = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json")), random.Random(seed)
    count = 0
    with out.open("w") as file:
        while True:
            ids, learnt = encode(sample(mixture, rng), tokenizer)
            tokens -= len(ids)
            if tokens < 0:
                return count
            labels = [one if wanted else MASKED for one, wanted in zip(ids, learnt, strict=True)]
            file.write(json.dumps({"input_ids": ids, "labels": labels}) + "\n")
            count += 1
