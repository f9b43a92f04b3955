"""How far a collection is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from maieutic.terminal.echo import keys_silent

if TYPE_CHECKING:
    from maieutic.collector import Progress

EVERY = 10.0
LONG = 60.0  # seconds under way, from which on it is said

Show = Callable[["Progress"], None]


@contextmanager
def shown_on_stderr(quiet: bool) -> Iterator[Show | None]:
    """A function that shows progress until the end of the block; None for `quiet`."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield Lines(lambda line: print(line, file=sys.stderr, flush=True))


class Lines:
    """Writes a line at the start, every `every` seconds, and when all is done."""

    def __init__(self, write: Callable[[str], None], every: float = EVERY) -> None:
        self._write = write
        self._every = every
        self._next = 0.0
        self._last = ""

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if now < self._next and progress.done + progress.failed < progress.total:
            return
        self._next = now + self._every
        line = f"{progress.done}/{progress.total} · {in_words(progress)}"
        if line != self._last:
            self._write(line)
            self._last = line


def in_words(progress: "Progress") -> str:
    """Rate, time left, share of correct answers, failures, tokens; what is unknown is left out."""
    parts = []
    if progress.rate is not None:
        parts.append(f"{progress.rate:.1f}/s")
    if progress.under_way:
        parts.append(f"{progress.under_way} of {progress.limit} under way")
    if progress.oldest > LONG:
        parts.append(f"the oldest for {_clock(progress.oldest)}")
    if progress.eta is not None:
        parts.append(f"{_clock(progress.eta)} left")
    if progress.done:
        parts.append(f"{progress.correct} correct")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return " · ".join([*parts, f"{progress.tokens:,} tokens"])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("[dim]{task.fields[words]}"))
    with keys_silent(), Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("collect", total=None, words="starting")

        def show(progress: "Progress") -> None:
            bar.update(task, completed=progress.done, total=progress.total, words=in_words(progress))

        yield show
