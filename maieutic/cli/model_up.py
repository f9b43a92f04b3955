"""The work of `maieutic model up`."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from maieutic.cli.codes import INTERRUPTED
from maieutic.errors import UserError
from maieutic.llm.in_box.weights import SHIPPED
from maieutic.serving.adapters import RANKS
from maieutic.serving.checkpoint import find_checkpoint
from maieutic.serving.command import LORA_RANK, Launch
from maieutic.serving.executable import has_gpu
from maieutic.serving.records import Servers
from maieutic.serving.up import StartFailed, as_json, up
from maieutic.settings import state_dir

Show = Callable[[str], None]
assert LORA_RANK in RANKS


def bring_up(
    wanted: str,
    extra: list[str],
    name: str | None,
    port: int | None,
    cpu: bool,
    adapters: bool,
    lora: list[str],
    max_model_len: int | None,
    timeout: float,
    json: bool,
    quiet: bool,
) -> None:
    """Start the server and say how it is used. Raises UserError."""
    if extra and not extra[0].startswith("-"):
        raise UserError(f"One model at a time: {extra[0]!r} is one too many (flags for vLLM come after --).")
    checkpoint = find_checkpoint(wanted)
    given = _adapters(lora)
    launch = Launch(
        name=name or _default_name(wanted),
        checkpoint=checkpoint,
        cpu=cpu or not has_gpu(),
        lora_rank=LORA_RANK if adapters or given else None,
        max_model_len=max_model_len,
        extra=tuple(extra),
    )
    started = time.monotonic()
    try:
        with _ended_by_signals(), _shown(launch.name, quiet) as show:
            done = up(
                launch,
                Servers.own(),
                state_dir() / "vllm",
                port=port,
                adapters=given,
                timeout=timeout,
                show=show,
            )
    except StartFailed as failed:
        for line in failed.lines:
            print(f"  {line}", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print(f"maieutic: Interrupted: {launch.name} was ended.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    if json:
        print(as_json(done.record))
        return
    how = "already" if done.already else f"after {time.monotonic() - started:.0f} s"
    print(f"{launch.name} is up {how}: {done.record.url}")
    print(f'maieutic ask "…" --model {launch.name}')


def _default_name(wanted: str) -> str:
    """The last part of a path or name; the in-box models' own names stay those of the ones in the process."""
    return f"{wanted}-vllm" if wanted in SHIPPED else Path(wanted).absolute().name


def _adapters(given: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for one in given:
        name, is_, path = one.partition("=")
        if not (name and is_ and path):
            raise UserError(f"An adapter is given as NAME-vN=PATH, not {one!r}.")
        found[name] = Path(path).expanduser()
    return found


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A hang-up or a SIGTERM ends the start as Ctrl-C does, and no second signal disturbs the cleaning up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    def end(number: int, _: FrameType | None) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        if before[number] is not signal.SIG_IGN:  # nohup, or a shell's background job
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shown(name: str, quiet: bool) -> Iterator[Show]:
    """A function that shows what the server is doing until the end of the block."""
    if quiet:
        yield lambda phase: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
            task = bar.add_task(name)
            yield lambda phase: bar.update(task, description=f"{name} · {phase}")
    else:
        began = time.monotonic()
        yield lambda phase: print(f"{time.monotonic() - began:5.1f} s  {phase}", file=sys.stderr, flush=True)
