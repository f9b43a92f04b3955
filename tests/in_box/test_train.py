"""Training: it learns, it goes on where it was killed, and Muon orthogonalises."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from maieutic.llm.in_box.model import WEIGHTS

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("reasoning_gym")

from maieutic.in_box import train  # noqa: E402
from maieutic.in_box.curriculum import STAGES, mixture_at  # noqa: E402
from maieutic.in_box.muon import Muon, orthogonal  # noqa: E402


@pytest.fixture
def out(tmp_path: Path) -> Path:
    shutil.copyfile(WEIGHTS / "tokenizer.json", tmp_path / "tokenizer.json")
    return tmp_path


def _measure(model: Any, tokenizer: Any) -> dict[str, float]:
    return {"measured": 1.0}


def test_a_run_goes_on_from_its_last_checkpoint(out: Path) -> None:
    train.Trainer(out, minutes=0.03, measure=_measure, chunk=60).run()
    first = json.loads((out / "progress.json").read_text())
    again = train.Trainer(out, minutes=0.06, resume=True, measure=_measure, chunk=60)
    assert (again.at.steps, again.at.chunks) == (first["steps"], first["chunks"])
    again.run()
    second = json.loads((out / "progress.json").read_text())
    assert second["steps"] > first["steps"] > 0
    assert second["chunks"] > first["chunks"] > 0
    assert json.loads((out / "log.jsonl").read_text().splitlines()[-1])["dev"] == {"measured": 1.0}
    assert list(out.glob("weights-*.pt"))


def test_it_learns(out: Path) -> None:
    trainer = train.Trainer(out, minutes=1.0, measure=_measure)
    batch = next(train.batches(trainer.tokenizer, seed=1, chunk=0, progress=0.0, size=60))
    rows = train.Batch(batch.ids[:8], batch.targets[:8])
    losses = []
    for _ in range(8):
        loss = train.loss_of(trainer.model, rows)
        losses.append(loss.item())
        torch.autograd.backward(loss)
        for optimizer in trainer.optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert losses[-1] < losses[0] - 1.0


def test_only_what_the_assistant_says_is_learnt(out: Path) -> None:
    tokenizer = train.Trainer(out, minutes=1.0, measure=_measure).tokenizer
    batch = next(train.batches(tokenizer, seed=2, chunk=0, progress=0.0, size=60))
    for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist(), strict=True):
        learnt = tokenizer.decode([t for t in targets if t >= 0], skip_special_tokens=False)
        assert learnt.endswith("<|im_end|>") and "user" not in learnt and "Solve." not in learnt
        assert all(t == -100 or t == ids[i + 1] for i, t in enumerate(targets[:-1]))


def test_the_same_chunk_is_the_same_data(out: Path) -> None:
    tokenizer = train.Trainer(out, minutes=1.0, measure=_measure).tokenizer
    first, second, other = (next(train.batches(tokenizer, 3, chunk, 0.0, size=60)).ids for chunk in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_every_moment_of_a_run_has_a_mixture_and_a_falling_rate() -> None:
    assert mixture_at(0.0) is STAGES[0].mixture
    assert mixture_at(0.999) is STAGES[-1].mixture
    rates = [train.rate_at(step / 100, 1000) for step in range(103)]
    assert rates[0] == 1.0 and rates == sorted(rates, reverse=True) and rates[-1] > 0
    assert train.rate_at(0.0, 0) < 0.05


def test_muon_moves_along_an_orthogonal_matrix() -> None:
    torch.manual_seed(0)
    for shape in ((3, 16, 48), (2, 48, 16)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.5 and values.max() < 1.5
    parameter = torch.nn.Parameter(torch.zeros(16, 16))
    parameter.grad = torch.diag(torch.arange(1.0, 17.0))
    Muon([parameter], lr=0.1, momentum=0.9, weight_decay=0.0).step()
    assert torch.all(parameter.diagonal() < -0.05)
