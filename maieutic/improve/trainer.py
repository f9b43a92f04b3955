"""The `Trainer` noun: rows of one format in, a model folder out. The one that ships is TRL's supervised fine-tuning.

Training runs in a process of its own: it can be ended at any moment, and gives all its memory back.
"""

import asyncio
import json
import sys
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from maieutic.errors import MaieuticError, MissingExtra, UserError
from maieutic.improve.version import Version

SECONDS = 24 * 3600.0
_SHOWN = 3  # last lines of a training's log that an error quotes


class Trainer(Protocol):
    """`format` is the format of its rows. `check` raises UserError where it can't train here.

    `train` goes on from `version` with `rows` and leaves in the folder `out`, which isn't there before, what is to be
    served: a checkpoint, or an adapter for the version's checkpoint. It returns what is known of the training, with
    `trained_tokens` if that is. A training that was killed begins anew.
    """

    @property
    def format(self) -> str: ...

    def check(self) -> None: ...

    async def train(self, version: Version, rows: Path, out: Path, seed: int) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class TrlSft:
    """TRL's SFTTrainer over rows of `trl-sft`, on a single device.

    All weights are trained; with `lora`, an adapter of this rank instead. `rate` is the learning rate, by default
    1e-4, and 2e-4 for adapters; it falls linearly to zero. `batch` is rows a step. Longer rows than `context` tokens
    are left out and counted. `threads` are torch's, and None leaves them to it.
    """

    lora: int | None = None
    epochs: float = 2.0
    rate: float | None = None
    batch: int = 16
    context: int = 4096
    threads: int | None = None
    seconds: float = SECONDS
    format: str = "trl-sft"

    def __post_init__(self) -> None:
        least = {"lora": self.lora, "batch": self.batch, "threads": self.threads}
        for name, value in least.items():
            if value is not None and value < 1:
                raise UserError(f"The training's {name} is {value}: give a number from 1.")
        if self.epochs <= 0 or (self.rate is not None and self.rate <= 0):
            raise UserError("The training's epochs and its learning rate are numbers above 0.")

    def check(self) -> None:
        needed = ("torch", "transformers", "trl", "datasets", *(["peft"] if self.lora else []))
        if any(find_spec(name) is None for name in needed):
            raise MissingExtra("Training", "train")

    async def train(self, version: Version, rows: Path, out: Path, seed: int) -> dict[str, Any]:
        """As the protocol says. Raises MaieuticError, with the end of its log, where the training fails."""
        spec = {
            "checkpoint": version.checkpoint,
            "adapter": version.adapter,
            "rows": str(rows),
            "out": str(out),
            "seed": seed,
            **{name: value for name, value in asdict(self).items() if name not in ("format", "seconds")},
            "rate": self.rate or (2e-4 if self.lora else 1e-4),
        }
        log = out.with_name("training.log")
        await _ended(["-m", "maieutic.improve.watched", "maieutic.improve.sft", json.dumps(spec)], log, self.seconds)
        facts: dict[str, Any] = json.loads((out / "training.json").read_text(encoding="utf-8"))
        return facts


async def _ended(arguments: list[str], log: Path, seconds: float) -> None:
    """Run Python with these arguments to its end. It is killed where this task is cancelled, or takes too long."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,  # see `watched`
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C is for the loop, which then ends it
        )
        try:
            code = await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            raise MaieuticError(
                f"The training took longer than {seconds:g} seconds and was ended: see {log}."
            ) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    if code:
        with log.open(encoding="utf-8", errors="replace") as lines:
            last = " ".join(line.strip() for line in deque((line for line in lines if line.strip()), _SHOWN))
        raise MaieuticError(f"The training failed with {code}: {last or 'it said nothing'} (all of it: {log}).")
