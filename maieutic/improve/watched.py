"""A training's process, ended with the one that started it, however that ends.

`python -m maieutic.improve.watched MODULE …` runs the module. Its standard input is a pipe that the starter holds open
and never writes to. Else a loop that was killed would leave a training behind, which writes to the same folder as the
one that a later start begins.
"""

import os
import runpy
import sys
import threading


def watch() -> None:
    """End this process at once when the pipe is closed."""

    def wait() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    watch()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
