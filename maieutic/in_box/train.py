"""Training of the in-box model on one CPU core, from nothing, in a set number of minutes.

The schedule follows the clock rather than steps, so that the same command fits a slow machine and a fast one. A run
killed at any moment goes on from its last checkpoint, with the optimizer's state and the place in the data stream.
"""

import json
import math
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.in_box import tokenizer as tokenizing
from maieutic.in_box.curriculum import mixture_at
from maieutic.in_box.dialogues import sample
from maieutic.in_box.probe import probe

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    from maieutic.in_box.muon import Muon

Measure = Callable[["LlamaForCausalLM", "Tokenizer"], dict[str, float]]

CHUNK = 1500
BATCH_TOKENS = 2000
MATRIX_RATE = 0.02
VECTOR_RATE = 4e-3
WARM_STEPS = 60
_CORPUS = {
    "solve": 4000, "tool": 1500, "critic": 1500, "refiner": 500, "debater": 300, "judge": 300, "refuse": 1500
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded token ids and targets (-100 where nothing is learnt), both of shape (rows, length)."""

    ids: "torch.Tensor"
    targets: "torch.Tensor"


@dataclass(slots=True)
class Progress:
    """How far a run has come; what a checkpoint keeps besides weights."""

    seconds: float = 0.0
    steps: int = 0
    chunks: int = 0
    tokens: int = 0
    learnt: int = 0


def new_model() -> "LlamaForCausalLM":
    """A fresh model of about a million parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=tokenizing.VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
        rms_norm_eps=1e-6,
    )
    return LlamaForCausalLM(config)


def batches(tokenizer: "Tokenizer", seed: int, chunk: int, progress: float, size: int = CHUNK) -> Iterator[Batch]:
    """The batches of one chunk of the stream: dialogues of like length together, batches in random order."""
    rng = random.Random(f"{seed}:{chunk}")
    mixture = mixture_at(progress)
    rows = [tokenizing.encode(sample(mixture, rng), tokenizer) for _ in range(size)]
    rows.sort(key=lambda row: len(row[0]) + rng.random())
    groups: list[list[tuple[list[int], list[bool]]]] = [[]]
    for row in rows:
        if groups[-1] and (len(groups[-1]) + 1) * len(row[0]) > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(row)
    rng.shuffle(groups)
    for group in groups:
        yield _batch(group)


def _batch(rows: list[tuple[list[int], list[bool]]]) -> Batch:
    import torch

    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    targets = torch.full((len(rows), longest), -100)
    for i, (row, learnt) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        shifted = [token if learn else -100 for token, learn in zip(row[1:], learnt[1:], strict=True)]
        targets[i, : len(shifted)] = torch.tensor(shifted)
    return Batch(ids, targets)


def loss_of(model: "LlamaForCausalLM", batch: Batch) -> "torch.Tensor":
    """Mean cross-entropy over the learnt tokens (nats); logits are made for those alone."""
    import torch

    hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    keep = batch.targets != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[keep]), batch.targets[keep])


def optimizers(model: "LlamaForCausalLM") -> "tuple[Muon, torch.optim.AdamW]":
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    import torch

    from maieutic.in_box.muon import Muon

    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return (
        Muon(inner, lr=MATRIX_RATE, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=VECTOR_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    )


def rate_at(progress: float, steps: int) -> float:
    """Share of the full learning rate: a short warm-up, then down to nothing.

    On a plateau this model stopped learning: batches are small, and their noise soon weighs more than their lesson.
    """
    return min(1.0, (steps + 1) / WARM_STEPS) * max(0.005, math.pow(max(0.0, 1 - progress), 1.2))


class Trainer:
    """One run in one folder: tokenizer, log, checkpoints."""

    def __init__(
        self,
        out: Path,
        minutes: float,
        seed: int = 0,
        resume: bool = False,
        measure: Measure = probe,
        chunk: int = CHUNK,
    ) -> None:
        import torch

        torch.set_num_threads(1)
        self.out, self.minutes, self.seed, self.measure, self.chunk = out, minutes, seed, measure, chunk
        out.mkdir(parents=True, exist_ok=True)
        self.tokenizer = _tokenizer(out)
        self.model = new_model()
        self.optimizers = optimizers(self.model)
        self._full = [o.param_groups[0]["lr"] for o in self.optimizers]
        self.at = Progress()
        self.stopping = False
        if resume and (out / "last.pt").exists():
            self._load(torch.load(out / "last.pt"))

    def run(self, every: float = 600.0) -> None:
        """Train until the minutes are used up; evaluate and save `every` seconds and at the end.

        A polite kill (SIGTERM) saves first.
        """
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopping", True))
        due = self.at.seconds + every
        while self.at.seconds < self.minutes * 60:
            for batch in self._chunk():
                self._step(batch)
                if self.stopping:
                    self._save()
                    return
                if self.at.seconds >= due:
                    due += every
                    self._milestone()
                if self.at.seconds >= self.minutes * 60:
                    break
            self.at.chunks += 1
        self._milestone()

    def _chunk(self) -> Iterator[Batch]:
        started = time.monotonic()
        progress = self.at.seconds / (self.minutes * 60)
        made = list(batches(self.tokenizer, self.seed, self.at.chunks, progress, self.chunk))
        self.at.seconds += time.monotonic() - started
        return iter(made)

    def _step(self, batch: Batch) -> None:
        import torch

        started = time.monotonic()
        scale = rate_at(self.at.seconds / (self.minutes * 60), self.at.steps)
        for optimizer, full in zip(self.optimizers, self._full, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * scale
        loss = loss_of(self.model, batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.at.steps += 1
        self.at.tokens += int((batch.ids != 0).sum())
        self.at.learnt += int((batch.targets != -100).sum())
        self.at.seconds += time.monotonic() - started
        if self.at.steps % 200 == 0:
            self._log(loss=round(loss.item(), 4), rate=round(scale, 3))

    def _milestone(self) -> None:
        self._save()
        self._log(dev=self.measure(self.model, self.tokenizer))

    def _log(self, **facts: Any) -> None:
        line = {
            "minutes": round(self.at.seconds / 60, 2), "steps": self.at.steps, "tokens": self.at.tokens, **facts
        }  # fmt: skip
        with (self.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        import torch

        state = {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "at": asdict(self.at),
        }
        whole = self.out / "last.pt.new"
        torch.save(state, whole)
        whole.replace(self.out / "last.pt")
        (self.out / "progress.json").write_text(json.dumps(asdict(self.at)) + "\n")
        torch.save(self.model.state_dict(), self.out / f"weights-{self.at.seconds / 60:05.1f}m.pt")

    def _load(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.at = Progress(**state["at"])


def _tokenizer(out: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    if not (out / "tokenizer.json").exists():
        tokenizing.save(tokenizing.build(tokenizing.corpus(_CORPUS)), out)
    return Tokenizer.from_file(str(out / "tokenizer.json"))
