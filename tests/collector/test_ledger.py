import resource
from pathlib import Path

import pytest

from maieutic.collector.ledger import Ledger, Row, read_results
from maieutic.collector.rows import ResultRow
from maieutic.errors import TraceError
from maieutic.types import Outcome, Usage


def row(i: int, answer: str = "7") -> ResultRow:
    return ResultRow(f"t{i}", 0, 0, f"run-{i}", Outcome.CORRECT, 1.0, answer, False, "", Usage(1, 2, 3, seconds=0.5))


async def write(out: Path, *rows: ResultRow) -> list[Row]:
    told: list[Row] = []
    async with Ledger(out, told.extend).writing() as ledger:
        for one in rows:
            ledger.add(one)
    return told


async def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    rows = [row(0), row(1, "ℵ₀ \u2028 \ud83d"), row(2, "")]
    assert await write(tmp_path, *rows) == rows
    assert list(read_results(tmp_path)) == rows


async def test_a_torn_last_line_is_dropped_wherever_it_was_torn(tmp_path: Path) -> None:
    await write(tmp_path, row(0), row(1))
    path = tmp_path / "results.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        path.write_bytes(whole[:end])
        assert list(read_results(tmp_path)) == [row(0)]
    await write(tmp_path, row(2))
    assert list(read_results(tmp_path)) == [row(0), row(2)]


async def test_a_full_disk_is_said_and_leaves_no_torn_line(tmp_path: Path) -> None:
    told: list[Row] = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
    try:
        with pytest.raises(TraceError, match="free some space"):
            async with Ledger(tmp_path, told.extend).writing() as ledger:
                for i in range(20):
                    ledger.add(row(i))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told == []
    assert list(read_results(tmp_path)) == []
    assert (tmp_path / "results.jsonl").read_bytes() == b""
