"""The process in which pages become text; started by `extraction`, which sends a page as two messages.

A page's head is JSON, its body bytes; the reply is JSON: a document, or a sentence for whoever asked.
"""

import json
import os
import resource
import sys
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from maieutic.errors import ToolError, UserError
from maieutic.tools.web.document import read
from maieutic.tools.web.exchange import Answered

MEMORY_BYTES = 4 << 30


def main() -> None:
    """Answer requests until the pipe is closed."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    requests = Connection(os.dup(0), writable=False)
    replies = Connection(os.dup(1), readable=False)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a parser prints is no reply
    sys.setrecursionlimit(3000)
    with suppress(EOFError, BrokenPipeError):
        while True:
            head: dict[str, Any] = json.loads(requests.recv_bytes())
            replies.send_bytes(json.dumps(_answer(head, requests.recv_bytes())).encode())


def _answer(head: dict[str, Any], body: bytes) -> dict[str, Any]:
    url, largest = head.pop("url"), head.pop("largest")
    try:
        document = read(Answered(**{**head, "body": body}), url, largest)
    except ToolError as error:
        return {"kind": "tool", "value": str(error)}
    except UserError as error:
        return {"kind": "user", "value": str(error)}
    except MemoryError:
        return {"kind": "tool", "value": f"The page {url} is too large to be read here."}
    return {"kind": "document", "value": asdict(document)}


if __name__ == "__main__":
    main()
