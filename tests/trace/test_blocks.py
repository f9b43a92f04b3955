"""Sealed segments: read by block, whole, as they were sealed before there were blocks, and never in part unnoticed."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from maieutic.errors import TraceError
from maieutic.trace.blocks import BLOCK, compress, read_all, read_block, size_of, table_of
from maieutic.trace.reader import TraceReader
from maieutic.trace.segment import list_segments, load
from maieutic.trace.writer import TraceStore
from tests.trace.builders import call, header

DATA = b"".join(b"%d " % number + os.urandom(30) for number in range(20_000))


def sealed(path: Path, data: bytes = DATA) -> Path:
    path.write_bytes(compress(data))
    return path


def one_frame(root: Path) -> None:
    """The segments of a directory as they were sealed before there were blocks."""
    for path in list_segments(root).values():
        path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(load(path)))


def write(root: Path, *run_ids: str) -> None:
    with TraceStore(root, rotate_at=2**20) as store:
        for run_id in run_ids:
            run = store.open_run(header(run_id))
            run.call(call(run_id, "c1", prompt=range(2000)))
            run.finish(answer="4", outcome="correct", score=1.0, partial=False)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, len(DATA)])
def test_what_was_sealed_is_read_back_whole_and_in_parts(tmp_path: Path, size: int) -> None:
    path = sealed(tmp_path / "a.zst", DATA[:size])
    table = table_of(path)
    assert table and (size_of(path), len(table.starts) - 1) == (size, -(-size // BLOCK))
    for start in {0, 1, size // 2, max(0, size - 1), size}:
        assert read_all(path, start) == DATA[start:size]
    if size > BLOCK:
        assert read_block(path, table, 1) == DATA[BLOCK : min(size, 2 * BLOCK)]


def test_every_zstd_tool_reads_it(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.zst")
    with path.open("rb") as file:
        assert zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read() == DATA


@pytest.mark.parametrize("at", [0, 4, 8, 16, 20, 24, 32, 36, 5000, -1])
def test_no_byte_of_it_changes_unnoticed(tmp_path: Path, at: int) -> None:
    path = sealed(tmp_path / "a.zst")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(TraceError, match=r"is damaged|newer Maieutic"):
        assert size_of(path) == len(read_all(path))


def test_none_of_it_is_lost_unnoticed(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.zst")
    whole, table = path.read_bytes(), table_of(path)
    assert table
    for length in (1, 10, 35, 40, table.starts[0], table.starts[1], table.starts[2], len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(TraceError, match="is damaged"):
            assert size_of(path) == len(read_all(path))


def test_a_newer_seal_is_refused(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.zst")
    data = bytearray(path.read_bytes())
    data[16:20] = struct.pack("<I", 2)
    path.write_bytes(data)
    with pytest.raises(TraceError, match="sealed by a newer Maieutic: upgrade it"):
        size_of(path)


@pytest.mark.parametrize("older", [False, True])
def test_runs_are_read_from_both_kinds_of_seal(tmp_path: Path, older: bool) -> None:
    names = [f"r{number}" for number in range(300)]
    write(tmp_path, *names)
    if older:
        one_frame(tmp_path)
    [path, *_] = list_segments(tmp_path).values()
    table = table_of(path)
    assert table is None if older else table and len(table.starts) > 3
    with TraceReader(tmp_path) as reader:
        assert [summary.run_id for summary in reader.runs()] == names
        for name in reversed(names):
            run = reader.run(name)
            assert (run.header.run_id, len(run.calls)) == (name, 1) and run.finish


def test_an_index_from_before_serves_for_segments_that_were_sealed_anew(tmp_path: Path) -> None:
    write(tmp_path, "r1", "r2")
    one_frame(tmp_path)
    with TraceReader(tmp_path) as reader:
        assert reader.run("r1").finish
    for path in list_segments(tmp_path).values():
        path.write_bytes(compress(load(path)))
    with TraceReader(tmp_path) as reader:
        assert reader.run("r2").finish and reader.notes == []


def test_damage_in_the_index_that_shows_late_is_repaired(tmp_path: Path) -> None:
    names = [f"r{number}" for number in range(3000)]
    with TraceStore(tmp_path) as store:
        for name in names:
            store.open_run(header(name)).finish(answer="4")
    with TraceReader(tmp_path) as reader:
        assert sum(1 for _ in reader.runs()) == 3000
    index = tmp_path / "index.sqlite"
    pages = index.stat().st_size // 4096
    with index.open("r+b") as file:
        for page in range(pages // 2, pages):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    with TraceReader(tmp_path) as reader:
        assert [summary.run_id for summary in reader.runs()] == names
        assert all(reader.run(name).finish for name in names[::100])


def test_a_reader_killed_while_it_has_the_index_open_costs_nothing(tmp_path: Path) -> None:
    write(tmp_path, *(f"r{number}" for number in range(50)))
    code = (
        "import os, sys; from pathlib import Path; from maieutic.trace.reader import TraceReader; "
        "reader = TraceReader(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "index.sqlite-wal").stat().st_size > 0
    with TraceReader(tmp_path) as reader:
        assert sum(1 for _ in reader.runs()) == 50 and reader.run("r7").finish
