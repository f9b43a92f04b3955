"""What the tools of an MCP server are called here: `server__tool`, as every provider takes it, no name twice."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from maieutic.errors import UserError

LONGEST = 64
_SERVER = re.compile(r"(?!.*__)[A-Za-z][A-Za-z0-9_-]{0,30}(?<!_)")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


def check_server_name(name: str) -> str:
    """The name itself. Its form keeps two servers' tools apart: the first `__` ends it. Raises UserError."""
    if not _SERVER.fullmatch(name):
        raise UserError(
            f"An MCP server can't be named {name!r}: begin with a letter, use at most 31 letters, digits, - and "
            "single _, and don't end with _."
        )
    return name


def tool_names_of(server: str, tools: Iterable[str]) -> dict[str, str]:
    """A name here for each of a server's tools. One that had to be cut, or fell together with another, ends in a hash
    of the tool's own name, so that it stays the same while the server's list doesn't change."""
    plain = {tool: f"{server}__{_FOREIGN.sub('_', tool)}" for tool in tools}
    often = Counter(plain.values())
    taken = {name for name, count in often.items() if count == 1 and len(name) <= LONGEST}
    names: dict[str, str] = {}
    for tool, name in plain.items():
        if name not in taken:
            name = _hashed(name, tool, taken | set(names.values()))
        names[tool] = name
    return names


def _hashed(name: str, tool: str, taken: set[str]) -> str:
    """The name with as many digits of the hash as make it unlike all others."""
    digest = hashlib.sha256(tool.encode("utf-8", "replace")).hexdigest()
    for digits in range(8, 33):
        made = f"{name[: LONGEST - digits - 1]}_{digest[:digits]}"
        if made not in taken:
            return made
    raise AssertionError("two different tools have the same hash")
