"""Landlock: the kernel's own list of which folders one process may read and write, whatever its user may do.

This file says which rules; a worker takes them on itself, at the start, and can't undo them. The numbers are those of
linux/landlock.h. What Landlock has no rule for (changing a file's mode or times, looking whether a path exists) is up
to the system call filter, or stays possible.
"""

import ctypes
import struct
from functools import cache

_CREATE_RULESET = 444  # on every architecture
_VERSION = 1  # the flag that asks for the interface's version

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_RIGHTS = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: 1 << 15}  # which came with which version
_NET = (1 << 0) | (1 << 1)  # bind and connect, from version 4
_SCOPED = (1 << 0) | (1 << 1)  # abstract sockets and signals, from version 6

READ = _READ_FILE | _READ_DIR
WRITE = READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER | _TRUNCATE
USE = _READ_FILE | _WRITE_FILE
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

Rules = tuple[bytes, list[tuple[str, int]]]
"""What a worker is told: the ruleset's attributes, and each path with what may be done at it and below."""


@cache
def abi() -> int:
    """The version of the kernel's interface, 0 where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syscall"):
        return 0
    return max(0, int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def rules(version: int, folders: dict[str, int], files: dict[str, int]) -> Rules | None:
    """Rules that allow what is given for these paths and nothing else; None where there is no Landlock."""
    if version < 1:
        return None
    handled = sum(rights for since, rights in _RIGHTS.items() if since <= version)
    attributes = struct.pack("=QQQ", handled, _NET if version >= 4 else 0, _SCOPED if version >= 6 else 0)
    paths = [(path, rights & handled) for path, rights in folders.items()]
    paths += [(path, rights & handled & _OF_FILES) for path, rights in files.items()]
    return attributes, paths


def inside(version: int) -> Rules | None:
    """The rules within a root that holds nothing but what a worker needs: all of it is read, /tmp is written."""
    return rules(version, {"/": READ, "/tmp": WRITE}, {"/dev/null": USE})
