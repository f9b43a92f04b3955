"""What was loaded before the runs is set aside from the garbage collector while runners are open.

CPython looks through the whole heap anew, with every module in it, once so many more objects have been made. That holds
the event loop up for longer than many model calls together, and finds nothing: what runs leave behind has no cycles.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_open = 0  # blocks under way, in all threads


@contextmanager
def modules_set_aside() -> Iterator[None]:
    """Keep the collector from what is alive when the first such block begins, until the last one ends.

    Cycles among those objects that lose their last user meanwhile are collected after that. Where a program has frozen
    its heap itself, nothing is changed.
    """
    global _open
    with _lock:
        ours = _open > 0 or gc.get_freeze_count() == 0
        if ours and _open == 0:
            gc.freeze()
        _open += ours
    try:
        yield
    finally:
        if ours:
            with _lock:
                _open -= 1
                if _open == 0:
                    gc.unfreeze()
