"""A round's rows put together: each once, mixed with their like, and never all of them in memory."""

import json
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.improve.rows import join, mix

MIB = 2**20


def chat(number: int) -> dict[str, Any]:
    return {"prompt": f"Question {number}?", "completion": "x"}


def ids(number: int) -> dict[str, Any]:
    return {"input_ids": [number], "labels": [number]}


def written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    with path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_row_is_there_once_in_the_order_of_the_files(tmp_path: Path) -> None:
    one = written(tmp_path / "one", [chat(1), chat(2), chat(1)])
    two = written(tmp_path / "two", [chat(3), chat(2)])
    two.write_text(two.read_text().rstrip("\n"))  # a last line without its end is a row like others
    assert join([two, tmp_path / "not-there", one], tmp_path / "out") == 3
    assert read(tmp_path / "out") == [chat(3), chat(2), chat(1)]
    assert join([tmp_path / "out"], tmp_path / "out") == 3
    assert join([], tmp_path / "empty") == 0 and (tmp_path / "empty").read_bytes() == b""
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "out", "empty"}


def test_rows_are_mixed_with_their_like(tmp_path: Path) -> None:
    fresh = [row(i) for i in range(30) for row in (chat, ids)]
    older = [row(i) for i in range(100, 150) for row in (ids, chat)]
    new, old = written(tmp_path / "new", fresh), written(tmp_path / "old", older)
    assert mix(new, old, 0.25, tmp_path / "out") == 20
    found = read(tmp_path / "out")
    assert ["input_ids" in row for row in found] == [True] * 40 + [False] * 40
    assert [row for row in found if row in fresh] == [ids(i) for i in range(30)] + [chat(i) for i in range(30)]
    assert sum(row in older for row in found) == 20
    assert mix(new, old, 0.25, tmp_path / "again") == 20
    assert (tmp_path / "again").read_bytes() == (tmp_path / "out").read_bytes()
    assert (read(new), read(old)) == (fresh, older)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "old", "out", "again"}


def test_where_nothing_is_replayed_the_rows_are_the_new_ones(tmp_path: Path) -> None:
    new, old = written(tmp_path / "new", [chat(1), ids(2)]), written(tmp_path / "old", [chat(3)])
    for share, older in ((0.0, old), (0.5, tmp_path / "not-there")):
        assert mix(new, older, share, tmp_path / "out") == 0
        assert read(tmp_path / "out") == [ids(2), chat(1)]


def test_a_share_that_is_none_leaves_nothing_behind(tmp_path: Path) -> None:
    new, old = written(tmp_path / "new", [chat(1)]), written(tmp_path / "old", [chat(2)])
    with pytest.raises(UserError, match="from 0 to below 1"):
        mix(new, old, 1.0, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"new", "old"}


@pytest.mark.parametrize("work", ["join", "mix"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, work: str) -> None:
    """Python's own memory; what SQLite holds of digests is bounded by its cache."""
    new = written(tmp_path / "new", ({"prompt": str(i), "completion": "x" * 20_000} for i in range(1000)))
    old = written(tmp_path / "old", ({"prompt": str(-i), "completion": "y" * 20_000} for i in range(1000)))
    assert new.stat().st_size > 18 * MIB
    works: dict[str, Callable[[], int]] = {
        "join": lambda: join([new, old], tmp_path / "out"),
        "mix": lambda: mix(new, old, 0.5, tmp_path / "out"),
    }
    tracemalloc.start()
    try:
        works[work]()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(read(tmp_path / "out")) > 1900
    assert peak < 2 * MIB
