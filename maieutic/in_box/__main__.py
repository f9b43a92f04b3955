"""`python -m maieutic.in_box`: make the in-box model again, step by step."""

import argparse
from pathlib import Path

from maieutic.in_box.train import BATCH_TOKENS, CHUNK, SIZES

_OUT = Path(".in-box")
_SHIPPED = Path(__file__).parents[1] / "llm" / "weights" / "in_box"


def main() -> None:
    """Train, export, or measure and write the card."""
    parser = argparse.ArgumentParser(prog="python -m maieutic.in_box", description=main.__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    train = steps.add_parser("train", help="train from nothing, or go on where a run stopped with --resume")
    train.add_argument("--minutes", type=float, default=95.0)
    train.add_argument("--out", type=Path, default=_OUT)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--resume", action="store_true")
    train.add_argument("--start", type=Path, help="a model folder to go on from, in the last stages of the curriculum")
    train.add_argument("--rate", type=float, default=1.0, help="times the learning rates")
    train.add_argument("--size", choices=tuple(SIZES), default="small")
    train.add_argument("--threads", type=int, default=1, help="CPU cores to run on")
    train.add_argument("--workers", type=int, default=0, help="processes that make dialogues, for a GPU")
    train.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS)
    train.add_argument("--chunk", type=int, default=CHUNK, help="dialogues that are made at a time")
    train.add_argument("--every", type=float, default=600.0, help="seconds between two checkpoints")
    export = steps.add_parser("export", help="write a checkpoint as the model that ships")
    export.add_argument("weights", type=Path, nargs="?", help="a weights-*.pt; without it the newest of --from")
    export.add_argument("--from", dest="out", type=Path, default=_OUT, help="the training folder")
    export.add_argument("--to", type=Path, default=_SHIPPED)
    card = steps.add_parser("card", help="measure the shipped model on the test split and write its card")
    card.add_argument("--out", type=Path, default=_OUT, help="the training folder")
    card.add_argument("--count", type=int, default=400, help="questions a cell")
    card.add_argument("--note", default="", help="what else there is to say of how this run was made")
    card.add_argument("--to", type=Path, default=_SHIPPED)
    card.add_argument("--version", type=int, default=0, choices=(0, 1))
    asked = parser.parse_args()
    if asked.step == "train":
        from maieutic.in_box.train import Trainer

        trainer = Trainer(
            asked.out,
            asked.minutes,
            asked.seed,
            asked.resume,
            chunk=asked.chunk,
            size=asked.size,
            workers=asked.workers,
            most=asked.batch_tokens,
            start=asked.start,
            rate=asked.rate,
            threads=asked.threads,
        )
        trainer.run(asked.every)
    elif asked.step == "export":
        from maieutic.in_box.export import export as write

        write(asked.weights or max(asked.out.glob("weights-*.pt")), asked.to)
    else:
        _card(asked.out, asked.to, asked.count, asked.note, asked.version)


def _card(out: Path, folder: Path, count: int, note: str, version: int) -> None:
    import asyncio
    import json

    from maieutic.in_box.card import card
    from maieutic.in_box.curriculum import STAGES
    from maieutic.in_box.evaluate import evaluate
    from maieutic.llm.in_box.model import InBoxModel

    progress = json.loads((out / "progress.json").read_text())
    weights, shipped = InBoxModel(folder, check_scope=False), InBoxModel(folder)
    report = asyncio.run(evaluate(weights, shipped, count=count, look_ups=version > 0))
    (folder / "README.md").write_text(card(report, folder, progress, STAGES[-1].mixture.kinds, count, note, version))


if __name__ == "__main__":
    main()
