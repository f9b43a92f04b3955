"""Training of the in-box model from nothing, in a set number of minutes, on a CPU core or two or on a GPU.

The schedule follows the clock rather than steps, so that the same command fits a slow machine and a fast one: on a CPU
that of the process, a core's share of it, so that a machine which is busy with something else makes no difference. A
run killed at any moment goes on from its last checkpoint, with the optimizer's state and the place in the data stream.
On a GPU the dialogues are made by processes of their own: one core can't keep up with it.
"""

import json
import math
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.in_box import tokenizer as tokenizing
from maieutic.in_box.curriculum import BEGUN, mixture_at
from maieutic.in_box.dialogues import sample
from maieutic.in_box.probe import probe

if TYPE_CHECKING:
    import numpy as np
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
    "solve": 4000, "tool": 1500, "critic": 1500, "refiner": 500, "debater": 300, "judge": 300, "refuse": 1500,
    "verifier": 200, "peer": 500, "recheck": 300, "look_up": 1500, "unknown": 300, "stepper": 300, "valuer": 300,
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


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of a model: width, width of the feed-forward, and layers."""

    width: int
    inner: int
    layers: int


SIZES = {"small": Size(128, 384, 4), "large": Size(256, 512, 6)}
"""About 1.1 and 3.7 million parameters: the one is trained on a CPU core in an hour or two, the other on a GPU."""


def new_model(size: str = "small") -> "LlamaForCausalLM":
    """A fresh model of one of the SIZES."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = SIZES[size]
    config = LlamaConfig(
        vocab_size=tokenizing.VOCABULARY,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
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


def batches(
    tokenizer: "Tokenizer", seed: int, chunk: int, progress: float, size: int = CHUNK, most: int = BATCH_TOKENS
) -> Iterator[Batch]:
    """The batches of one chunk of the stream: dialogues of like length together, batches in random order."""
    import torch

    for ids, targets in arrays(tokenizer, seed, chunk, progress, size, most):
        yield Batch(torch.from_numpy(ids.astype("int64")), torch.from_numpy(targets.astype("int64")))


def arrays(
    tokenizer: "Tokenizer", seed: int, chunk: int, progress: float, size: int, most: int
) -> "list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]":
    """The same as 16-bit arrays, of `most` tokens a batch at most: what is sent from process to process is small."""
    rng = random.Random(f"{seed}:{chunk}")
    mixture = mixture_at(progress)
    rows = [tokenizing.encode(sample(mixture, rng), tokenizer) for _ in range(size)]
    return padded_groups(rows, most, rng)


def padded_groups(
    rows: list[tuple[list[int], list[bool]]], most: int, rng: random.Random
) -> "list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]":
    """Encoded dialogues of like length together, `most` tokens a group at most, in random order."""
    rows.sort(key=lambda row: len(row[0]) + rng.random())
    groups: list[list[tuple[list[int], list[bool]]]] = [[]]
    for row in rows:
        if groups[-1] and (len(groups[-1]) + 1) * len(row[0]) > most:
            groups.append([])
        groups[-1].append(row)
    rng.shuffle(groups)
    return [_padded(group) for group in groups]


def _padded(rows: list[tuple[list[int], list[bool]]]) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    import numpy as np

    longest = max(len(ids) for ids, _ in rows)
    ids = np.zeros((len(rows), longest), np.int16)
    targets = np.full((len(rows), longest), -100, np.int16)
    for i, (row, learnt) in enumerate(rows):
        ids[i, : len(row)] = row
        shifted = [token if learn else -100 for token, learn in zip(row[1:], learnt[1:], strict=True)]
        targets[i, : len(shifted)] = shifted
    return ids, targets


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


def update(model: "LlamaForCausalLM", optimizers: "Iterable[Muon | torch.optim.AdamW]", loss: "torch.Tensor") -> None:
    """One step down this loss, its gradient clipped to a norm of 1."""
    import torch

    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def rate_at(progress: float, steps: int) -> float:
    """Share of the full learning rate: a short warm-up, then down to nothing.

    On a plateau this model stopped learning: batches are small, and their noise soon weighs more than their lesson.
    """
    return min(1.0, (steps + 1) / WARM_STEPS) * max(0.005, math.pow(max(0.0, 1 - progress), 1.2))


class Makers:
    """Processes that make chunks ahead of the training; `progress` is that of the moment when a chunk was ordered."""

    def __init__(self, out: Path, seed: int, size: int, most: int, workers: int) -> None:
        from multiprocessing import get_context

        self._pool = get_context("spawn").Pool(workers, _start, (str(out / "tokenizer.json"), seed, size, most))
        self._ahead, self._ordered = 2 * workers, dict[int, Any]()

    def close(self) -> None:
        """End the processes, with what they have made ahead."""
        self._pool.terminate()

    def take(self, chunk: int, progress: float) -> list[Batch]:
        """The chunk of this number; those after it are ordered."""
        import torch

        for number in range(chunk, chunk + self._ahead):
            if number not in self._ordered:
                self._ordered[number] = self._pool.apply_async(_make, (number, progress))
        made = self._ordered.pop(chunk).get()
        return [Batch(torch.from_numpy(i.astype("int64")), torch.from_numpy(t.astype("int64"))) for i, t in made]


_order: tuple[Any, int, int, int] | None = None


def _start(tokenizer: str, seed: int, size: int, most: int) -> None:
    from tokenizers import Tokenizer

    global _order
    _order = (Tokenizer.from_file(tokenizer), seed, size, most)


def _make(chunk: int, progress: float) -> Any:
    assert _order is not None
    tokenizer, seed, size, most = _order
    return arrays(tokenizer, seed, chunk, progress, size, most)


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
        size: str = "small",
        workers: int = 0,
        most: int = BATCH_TOKENS,
        start: Path | None = None,
        rate: float = 1.0,
        threads: int = 1,
    ) -> None:
        """`start` is a model folder to go on from: its weights, its tokenizer, and the stages of the curriculum in
        which roles are learnt. All learning rates are times `rate`. `threads` are how many CPU cores it runs on."""
        import torch

        torch.set_num_threads(threads)
        self.out, self.minutes, self.seed, self.measure, self.chunk = out, minutes, seed, measure, chunk
        self.most, self.device = most, "cuda" if torch.cuda.is_available() else "cpu"
        out.mkdir(parents=True, exist_ok=True)
        self.tokenizer = _tokenizer(out, start)
        self.model = _known(start) if start else new_model(size)
        torch.nn.Module.to(self.model, self.device)
        self._clock = time.monotonic if self.device == "cuda" else lambda: time.process_time() / threads
        self.begin = BEGUN if start else 0.0
        self.optimizers = optimizers(self.model)
        self._full = [rate * o.param_groups[0]["lr"] for o in self.optimizers]
        self.at = Progress()
        self.stopping = False
        if resume and (out / "last.pt").exists():
            self._load(torch.load(out / "last.pt"))
        self._makers = Makers(out, seed, chunk, most, workers) if workers else None

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
        if self._makers is not None:
            self._makers.close()
        self._milestone()

    def _progress(self) -> float:
        """How far the curriculum has come, from 0 to 1."""
        return self.begin + (1 - self.begin) * self.at.seconds / (self.minutes * 60)

    def _chunk(self) -> Iterator[Batch]:
        started = self._clock()
        progress = self._progress()
        if self._makers is not None:
            made = self._makers.take(self.at.chunks, progress)
        else:
            made = list(batches(self.tokenizer, self.seed, self.at.chunks, progress, self.chunk, self.most))
        self.at.seconds += self._clock() - started
        return iter(made)

    def _step(self, batch: Batch) -> None:
        import torch

        started = self._clock()
        counts = int((batch.ids != 0).sum()), int((batch.targets != -100).sum())
        scale = rate_at(self._progress(), self.at.steps)
        for optimizer, full in zip(self.optimizers, self._full, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * scale
        batch = Batch(*(part.to(self.device, non_blocking=True) for part in (batch.ids, batch.targets)))
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
            loss = loss_of(self.model, batch)
        update(self.model, self.optimizers, loss)
        self.at.steps += 1
        self.at.tokens += counts[0]
        self.at.learnt += counts[1]
        self.at.seconds += self._clock() - started
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


def _known(folder: Path) -> "LlamaForCausalLM":
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(folder)


def _tokenizer(out: Path, start: Path | None = None) -> "Tokenizer":
    from tokenizers import Tokenizer

    if start is not None and not (out / "tokenizer.json").exists():
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copyfile(start / name, out / name)
    if not (out / "tokenizer.json").exists():
        tokenizing.save(tokenizing.build(tokenizing.corpus(_CORPUS)), out)
    return Tokenizer.from_file(str(out / "tokenizer.json"))
