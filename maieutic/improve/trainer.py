"""The `Trainer` noun: rows of one format in, a model folder out. Those that ship are TRL's.

Training runs in a process of its own: it can be ended at any moment, and gives all its memory back.
"""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Protocol

from maieutic.errors import MaieuticError, MissingExtra, UnknownName, UserError
from maieutic.improve.version import Version
from maieutic.tasks.trl_rewards import find_reward

SECONDS = 24 * 3600.0
SMALL = 400_000_000  # bytes of weights that can be sampled from on a CPU while they are trained
_SHOWN = 3  # last lines of a training's log that an error quotes


class Trainer(Protocol):
    """`format` is the format of its rows, `takes` the kinds of items that it has rows for, `recipe` the recipe that is
    meant where none is named. `check` raises UserError where it can't train such a version here.

    `train` goes on from `version` with `rows` and leaves in the folder `out`, which isn't there before, what is to be
    served: a checkpoint, or an adapter for the version's checkpoint. It returns what is known of the training, with
    `trained_tokens` if that is. A training that was killed begins anew.
    """

    @property
    def format(self) -> str: ...

    @property
    def takes(self) -> tuple[str, ...]: ...

    @property
    def recipe(self) -> str: ...

    def check(self, version: Version) -> None: ...

    async def train(self, version: Version, rows: Path, out: Path, seed: int) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Trl:
    """A trainer of TRL's on a single device, whose process is `python -m maieutic.improve.NAME`.

    All weights are trained; with `lora`, an adapter of this rank instead. `rate` is the learning rate, None for the
    trainer's own; it falls linearly to zero. `batch` is rows a step. Longer rows than `context` tokens are left out and
    counted. `threads` are torch's, and None leaves them to it.
    """

    NAME: ClassVar[str]
    RATES: ClassVar[tuple[float, float]]  # for all weights, and for an adapter

    format: str = field(init=False, repr=False)
    takes: tuple[str, ...] = field(init=False, repr=False)
    recipe: str = field(init=False, repr=False)
    lora: int | None = None
    epochs: float = 2.0
    rate: float | None = None
    batch: int = 16
    context: int = 4096
    threads: int | None = None
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        least = {"lora": self.lora, "batch": self.batch, "threads": self.threads}
        for name, value in least.items():
            if value is not None and value < 1:
                raise UserError(f"The training's {name} is {value}: give a number from 1.")
        if self.epochs <= 0 or (self.rate is not None and self.rate <= 0):
            raise UserError("The training's epochs and its learning rate are numbers above 0.")

    def check(self, version: Version) -> None:
        needed = ("torch", "transformers", "trl", "datasets", *(["peft"] if self.lora else []))
        if any(find_spec(name) is None for name in needed):
            raise MissingExtra("Training", "train")

    async def train(self, version: Version, rows: Path, out: Path, seed: int) -> dict[str, Any]:
        """As the protocol says. Raises MaieuticError, with the end of its log, where the training fails."""
        spec = {
            **{name: value for name, value in asdict(self).items() if name != "seconds"},
            "checkpoint": version.checkpoint,
            "adapter": version.adapter,
            "rows": str(rows),
            "out": str(out),
            "seed": seed,
            "rate": self.rate or self.RATES[bool(self.lora)],
        }
        log = out.with_name("training.log")
        process = ["-m", "maieutic.improve.watched", f"maieutic.improve.{self.NAME}", json.dumps(spec)]
        await _ended(process, log, self.seconds)
        facts: dict[str, Any] = json.loads((out / "training.json").read_text(encoding="utf-8"))
        return facts


@dataclass(frozen=True, slots=True)
class TrlSft(Trl):
    """TRL's SFTTrainer over rows of `trl-sft`."""

    NAME = "sft"
    RATES = (1e-4, 2e-4)

    format: str = field(default="trl-sft", init=False, repr=False)
    takes: tuple[str, ...] = field(default=("calls", "dialogues"), init=False, repr=False)
    recipe: str = field(default="solved", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class TrlDpo(Trl):
    """TRL's DPOTrainer over pairs of `trl-dpo`, with the version that it starts from as the reference.

    `beta` is how strongly the reference holds it, `sft_weight` how much the chosen side's own loss counts beside the
    preference's.
    """

    NAME = "dpo"
    RATES = (1e-5, 1e-5)

    format: str = field(default="trl-dpo", init=False, repr=False)
    takes: tuple[str, ...] = field(default=("pairs",), init=False, repr=False)
    recipe: str = field(default="step_dpo", init=False, repr=False)
    beta: float = 0.1
    sft_weight: float = 0.0

    def __post_init__(self) -> None:
        Trl.__post_init__(self)
        if self.beta <= 0 or self.sft_weight < 0:
            raise UserError("DPO's beta is a number above 0, and the weight of its SFT term one from 0.")


@dataclass(frozen=True, slots=True)
class TrlGrpo(Trl):
    """TRL's GRPOTrainer over prompts of `trl-grpo`, with replies sampled by transformers.

    `rewards` are functions as "package.module:name", whose sum counts. Each step has `batch` replies of at most `reply`
    tokens, `generations` to a prompt. It ends after `steps`, else after `epochs`, and before that where it has taken
    `most_seconds`: then the same seed need not give the same weights. `beta` weighs the divergence from the version
    that it starts from; without one, that isn't known.
    """

    NAME = "grpo"
    RATES = (1e-5, 1e-5)

    epochs: float = 1.0
    batch: int = 64
    format: str = field(default="trl-grpo", init=False, repr=False)
    takes: tuple[str, ...] = field(default=("prompts",), init=False, repr=False)
    recipe: str = field(default="edge_of_ability", init=False, repr=False)
    rewards: tuple[str, ...] = ("maieutic.tasks.trl_rewards:correct",)
    generations: int = 8
    reply: int = 256
    steps: int | None = None
    most_seconds: float = 3600.0
    beta: float = 0.001

    def __post_init__(self) -> None:
        Trl.__post_init__(self)
        if self.generations < 2 or self.batch % self.generations:
            raise UserError(f"A group has 2 replies or more, and the batch ({self.batch}) holds whole groups of them.")
        if min(self.reply, self.steps or 1) < 1 or self.most_seconds <= 0 or self.beta < 0 or not self.rewards:
            raise UserError("GRPO's reply, steps and time are numbers above 0, its beta one from 0; it has a reward.")

    def check(self, version: Version) -> None:
        """Also refuses to sample from more than a small model without a GPU."""
        Trl.check(self, version)
        for name in self.rewards:
            find_reward(name)
        weights = [file.stat().st_size for file in Path(version.checkpoint).glob("*.safetensors")]
        if weights and sum(weights) <= SMALL:
            return
        import torch

        if not torch.cuda.is_available():
            raise UserError(
                f"GRPO samples while it trains, which for {version.checkpoint} is too slow without a GPU: train where"
                " there is one, or with sft or dpo on what a server has sampled."
            )


TRAINERS: dict[str, type[Trl]] = {"sft": TrlSft, "dpo": TrlDpo, "grpo": TrlGrpo}


def make_trainer(name: str, settings: Mapping[str, Any]) -> Trl:
    """The trainer of this name with those settings that are given. Raises UnknownName, and UserError for a setting
    that it does not have."""
    if name not in TRAINERS:
        raise UnknownName("trainer", name, TRAINERS)
    kind = TRAINERS[name]
    given = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        if key not in _settings(kind):
            raise UserError(f"The trainer {name} has no {key}: it is for {_having(key)}.")
    return kind(**given)


def _having(setting: str) -> str:
    return " and ".join(name for name, kind in TRAINERS.items() if setting in _settings(kind))


def _settings(kind: type[Trl]) -> set[str]:
    return {one.name for one in fields(kind) if one.init}


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
