"""A server's log as it grows."""

import time
from collections.abc import Iterator
from pathlib import Path

from maieutic.serving.records import Servers

POLL = 0.2


def follow(path: Path, at: int, servers: Servers, name: str) -> Iterator[str]:
    """What is added to the log beyond the byte `at`, until the server ends."""
    with path.open(encoding="utf-8", errors="replace") as file:
        file.seek(at)
        while True:
            record = servers.find(name)
            alive = record is not None and record.session.alive()
            if piece := file.read():
                yield piece
            elif not alive:
                return
            else:
                time.sleep(POLL)
