"""Keys typed while a view redraws itself must not be written into it, `^C` least of all."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keys_silent() -> Iterator[None]:
    """Within the block the terminal does not echo what is typed; nothing happens where there is none."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    termios.tcsetattr(descriptor, termios.TCSADRAIN, [*before[:3], before[3] & ~termios.ECHO, *before[4:]])
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
