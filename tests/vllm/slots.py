"""A program for vLLM's own Python: the processor under the second model runner's interface, against plain Python.

The second runner needs a GPU; its interface is a few tensors, which lie on the CPU here. Requests come, go, and come
back after they were set aside; in every step each row's change is compared with what `Progress` says.
"""

import random
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from maieutic_logits import ReflectionPenalty
from maieutic_schedule import Progress, read
from vllm.sampling_params import SamplingParams
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext, LogitsProcRequestState

SLOTS, LENGTH, VOCABULARY, STEPS = 6, 400, 12, 600
MODEL = SimpleNamespace(get_vocab_size=lambda: VOCABULARY, skip_tokenizer_init=True)


def wish(rng: random.Random) -> dict[str, Any]:
    """What a request asks for; nothing for some."""
    tokens = rng.sample(range(6), rng.randint(1, 4))
    shared = {"tokens": tokens, "end": rng.choice(([], [9], [8, 9], [8, 8, 9])), "start": rng.choice((0, 0, 37))}
    cyclic = {"mode": "cyclic", "amplitude": rng.choice((1.0, 5.0)), "period": rng.choice((8.0, 30.0)), "shift": 3.0}
    tip = {"mode": "tip", "penalty": 3.0, "window": rng.choice((0, 5, 20))}
    if rng.random() < 0.3:
        shared["until"] = 60
    chosen = rng.choice(({}, shared | cyclic, shared | tip))
    return {f"reflection_{name}": value for name, value in chosen.items()}


def main(seed: int) -> None:
    rng = random.Random(seed)
    ids = torch.zeros(SLOTS, LENGTH, dtype=torch.int32)
    prompt, total = torch.zeros(SLOTS, dtype=torch.int32), torch.zeros(SLOTS, dtype=torch.int32)
    state = LogitsProcRequestState(
        device=torch.device("cpu"),
        max_num_reqs=SLOTS,
        vocab_size=VOCABULARY,
        all_token_ids=SimpleNamespace(gpu=ids),
        prompt_len=SimpleNamespace(gpu=prompt, np=prompt.numpy()),
        prefill_len=SimpleNamespace(gpu=prompt, np=prompt.numpy()),
        total_len=SimpleNamespace(gpu=total),
    )
    processor = ReflectionPenalty(SimpleNamespace(model_config=MODEL, speculative_config=None), state)
    running: dict[int, tuple[dict[str, Any], list[int]]] = {}
    aside: list[tuple[dict[str, Any], list[int]]] = []
    changed = 0
    for _ in range(STEPS):
        for slot in range(SLOTS):
            if slot not in running and rng.random() < 0.5:
                request = aside.pop() if aside and rng.random() < 0.7 else (wish(rng), [])
                begin = [rng.randrange(VOCABULARY) for _ in range(rng.randint(1, 20))]
                everything = begin + request[1]
                ids[slot] = 0
                ids[slot, : len(everything)] = torch.tensor(everything, dtype=torch.int32)
                prompt[slot], total[slot] = len(begin), len(everything)
                processor.add_request(slot, SamplingParams(extra_args=request[0]))
                processor.apply_staged_writes()
                running[slot] = request
        rows = list(running)
        rng.shuffle(rows)
        changed += step(processor, rows, running, prompt, total)
        for slot in rows:
            token = rng.randrange(VOCABULARY)
            running[slot][1].append(token)
            ids[slot, total[slot]] = token
            total[slot] += 1
            if rng.random() < 0.02 or total[slot] >= LENGTH - 1:
                aside.append(running.pop(slot))
            elif rng.random() < 0.01:
                del running[slot]
    assert changed > STEPS, "the comparison has seen something"
    print(f"{changed} rows changed as they should")


def step(
    processor: Any,
    rows: list[int],
    running: dict[int, tuple[dict[str, Any], list[int]]],
    prompt: torch.Tensor,
    total: torch.Tensor,
) -> int:
    """Apply it to one batch and compare; how many rows were changed."""
    if not rows:
        return 0
    expected = torch.zeros(len(rows), VOCABULARY)
    for row, slot in enumerate(rows):
        setting = read(running[slot][0])
        delta = setting and Progress(setting, running[slot][1], setting.end or ()).delta()
        if setting and delta:
            expected[row, list(setting.tokens)] = delta
    index = torch.tensor(rows, dtype=torch.int32)
    context = LogitsContext(
        expanded_idx_mapping=index,
        idx_mapping=index,
        idx_mapping_np=np.array(rows, dtype=np.int32),
        expanded_local_pos=torch.zeros(len(rows), dtype=torch.int32),
        input_ids=torch.zeros(len(rows), dtype=torch.int32),
        pos=(total[rows] - 1).long(),
        seq_lens_upper_bound_np=total[rows].numpy(),
    )
    before = torch.randn(len(rows), VOCABULARY)
    after = processor.apply(before.clone(), context)
    assert torch.allclose(after - before, expected, atol=1e-4), (rows, after - before, expected)
    return int(expected.any(1).sum())


for given in sys.argv[1:]:
    main(int(given))
