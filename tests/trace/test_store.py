"""What happens to a trace when processes, disks and files misbehave."""

import asyncio
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from maieutic.errors import TraceError, UnknownName, UserError
from maieutic.trace.reader import TraceReader
from maieutic.trace.segment import frame, list_segments, load, scan, size
from maieutic.trace.writer import TraceStore
from tests.trace.builders import call, header


def write_runs(root: Path, *run_ids: str, rotate_at: int = 2**26) -> None:
    with TraceStore(root, rotate_at) as store:
        for run_id in run_ids:
            run = store.open_run(header(run_id))
            run.call(call(run_id, "c1"))
            run.finish(answer="4", outcome="correct", score=1.0, partial=False)


def unsealed(root: Path) -> Path:
    """The only segment of a directory, as its writer left it before sealing."""
    (path,) = list_segments(root).values()
    plain = path.with_suffix("")
    plain.write_bytes(load(path))
    path.unlink()
    return plain


def run_ids(root: Path) -> list[str]:
    with TraceReader(root) as reader:
        return [summary.run_id for summary in reader.runs()]


def python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_every_line_is_json_in_a_fixed_envelope(tmp_path: Path) -> None:
    write_runs(tmp_path, "r1")
    data = load(unsealed(tmp_path))
    lines = data.splitlines(keepends=True)
    for line, item in zip(lines, scan(data), strict=True):
        assert isinstance(item, tuple)
        outer = json.loads(line)
        assert list(outer) == ["crc", "len", "e"]
        assert json.loads(item[1]) == outer["e"] and int(outer["len"]) == len(item[1])
    assert [json.loads(line)["e"]["kind"] for line in lines] == ["segment", "run", "call", "finish"]


def test_a_last_line_torn_at_any_byte_is_dropped_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_runs(tmp_path, "r1")
    path = unsealed(tmp_path)
    whole = path.read_bytes()
    begin = whole.rindex(b"\n", 0, -1) + 1
    for end in range(begin + 1, len(whole)):
        path.write_bytes(whole[:end])
        caplog.clear()
        with TraceReader(tmp_path) as reader, caplog.at_level(logging.WARNING):
            assert reader.run("r1").finish is None and len(reader.run("r1").calls) == 1
            (note,) = reader.notes
            assert f"{end - begin} bytes from byte {begin} on were dropped" in note
    path.write_bytes(whole)
    with TraceReader(tmp_path) as reader:
        assert reader.run("r1").finish and not reader.notes


def test_the_unfinished_line_of_a_living_writer_is_not_called_torn(tmp_path: Path) -> None:
    with TraceStore(tmp_path) as store:
        store.open_run(header("r1"))
        asyncio.run(store.commit())
        (path,) = list_segments(tmp_path).values()
        with path.open("ab") as file:
            file.write(b'{"crc":"')
        assert TraceReader(tmp_path).notes == []


def test_damage_in_the_middle_names_segment_and_byte_and_spares_the_others(tmp_path: Path) -> None:
    write_runs(tmp_path, "r1", "r2")
    path = unsealed(tmp_path)
    write_runs(tmp_path, "r3")
    data = path.read_bytes()
    at = data.index(b'"r2"')
    begin = data.rindex(b"\n", 0, at) + 1
    path.write_bytes(data[:at] + b'"rX"' + data[at + 4 :])
    with TraceReader(tmp_path) as reader:
        runs = reader.runs()
        assert next(runs).run_id == "r3"
        with pytest.raises(TraceError, match=f"{path.name} is damaged at byte {begin}"):
            next(runs)
        with pytest.raises(TraceError, match=f"damaged at byte {begin}"):
            reader.run("r1")
        assert reader.run("r3").calls
    with TraceReader(tmp_path, skip_damaged=True) as reader:
        assert [summary.run_id for summary in reader.runs()] == ["r3"]
        assert "damaged" in reader.notes[0]


def test_damage_that_comes_after_indexing_is_found_on_reading(tmp_path: Path) -> None:
    write_runs(tmp_path, "r1")
    path = unsealed(tmp_path)
    assert run_ids(tmp_path) == ["r1"]
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"2+2?"', b'"2+3?"'))
    with TraceReader(tmp_path) as reader, pytest.raises(TraceError, match="is damaged at byte"):
        reader.run("r1")


def test_a_damaged_sealed_segment_is_named(tmp_path: Path) -> None:
    write_runs(tmp_path, "r1")
    (path,) = list_segments(tmp_path).values()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    write_runs(tmp_path, "r2")
    with TraceReader(tmp_path) as reader, pytest.raises(TraceError, match=f"{path.name} is damaged"):
        assert next(runs := reader.runs()).run_id == "r2"
        next(runs)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    write_runs(tmp_path, "r1")
    path = unsealed(tmp_path)
    rest = path.read_bytes().split(b"\n", 1)[1]
    path.write_bytes(frame(b'{"kind":"segment","format":2,"sparkle":true}') + rest)
    with pytest.raises(TraceError, match="trace format 2 and this Maieutic reads up to 1: upgrade"):
        TraceReader(tmp_path)


def test_a_line_beyond_the_envelope_is_refused() -> None:
    with pytest.raises(TraceError, match="too long"):
        frame(bytes(100_000_000))


@pytest.mark.parametrize("harm", ["deleted", "garbage", "truncated", "overwritten", "other make", "unusable"])
def test_the_index_is_rebuilt(tmp_path: Path, harm: str) -> None:
    write_runs(tmp_path, "r1", "r2")
    assert run_ids(tmp_path) == ["r1", "r2"]
    index = tmp_path / "index.sqlite"
    if harm in ("deleted", "unusable"):
        index.unlink()
    if harm == "unusable":
        index.mkdir()
    if harm == "garbage":
        index.write_bytes(os.urandom(8192))
    if harm == "truncated":
        index.write_bytes(index.read_bytes()[:5000])
    if harm == "overwritten":
        data = index.read_bytes()
        index.write_bytes(data[:4096] + os.urandom(len(data) - 8192) + data[-4096:])
    if harm == "other make":
        with sqlite3.connect(index) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    with TraceReader(tmp_path) as reader:
        assert [reader.run(summary.run_id).header.run_id for summary in reader.runs()] == ["r1", "r2"]


def test_a_segment_that_was_taken_away_takes_its_runs_along(tmp_path: Path) -> None:
    write_runs(tmp_path, "r1")
    (path,) = list_segments(tmp_path).values()
    write_runs(tmp_path, "r2")
    assert run_ids(tmp_path) == ["r1", "r2"]
    path.unlink()
    assert run_ids(tmp_path) == ["r2"]


def test_the_index_follows_a_store_that_is_still_written(tmp_path: Path) -> None:
    with TraceStore(tmp_path) as store, TraceReader(tmp_path) as reader:
        run = store.open_run(header("r1"))
        run.call(call("r1", "c1"))
        asyncio.run(store.commit())
        reader.refresh()
        (summary,) = reader.runs()
        assert (summary.finished, summary.outcome, summary.calls) == (None, None, 1)
        run.call(call("r1", "c2"))
        run.finish(outcome="wrong", score=0.0)
        store.close()
        reader.refresh()
        (summary,) = reader.runs()
        assert (summary.outcome, summary.calls) == ("wrong", 2)
        assert len(reader.run("r1").calls) == 2


def test_unknown_runs_filters_and_directories(tmp_path: Path) -> None:
    with TraceReader(tmp_path) as reader:
        assert list(reader.runs()) == []
        with pytest.raises(UserError, match="no run r9"):
            reader.run("r9")
        with pytest.raises(UnknownName, match="Did you mean 'graph'"):
            list(reader.runs(grahp="direct"))
    with pytest.raises(UserError, match="not a directory"):
        TraceReader(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written to"):
        TraceStore(tmp_path / "file" / "traces")


def test_of_a_run_id_used_twice_the_first_run_is_read(tmp_path: Path) -> None:
    """Such as of a segment that was copied: read twice, every turn would be in the rows twice."""
    write_runs(tmp_path, "r1", "r2")
    (first,) = list_segments(tmp_path).values()
    (tmp_path / "20990101T000000000-1-00000000.jsonl.zst").write_bytes(first.read_bytes())
    with TraceReader(tmp_path) as reader:
        assert "begins 2 runs of which there is one already, such as r1" in reader.notes[0] and len(reader.notes) == 1
        assert [(run.run_id, run.calls) for run in reader.runs()] == [("r1", 1), ("r2", 1)]
        assert len(reader.run("r1").calls) == 1


STRANGE = {
    "no header": b'{"hello":1}',
    "no JSON": b"hello",
    "no kind": b'{"kind":"segment","format":1}\n{"sparkle":1}',
    "torn JSON": b'{"kind":"segment","format":1}\n{"kind":"run","run":"x",',
    "no models": b'{"kind":"segment","format":1}\n{"kind":"run","run":"x","data":{"task_key":"t"}}',
}


@pytest.mark.parametrize("lines", STRANGE.values(), ids=STRANGE)
def test_a_segment_of_something_else_hides_its_own_runs_alone(tmp_path: Path, lines: bytes) -> None:
    write_runs(tmp_path, "r1")
    strange = tmp_path / "20990101T000000000-1-00000000.jsonl"
    strange.write_bytes(b"".join(map(frame, lines.split(b"\n"))))
    with TraceReader(tmp_path) as reader:
        runs = reader.runs()
        assert next(runs).run_id == "r1" and reader.run("r1").calls
        with pytest.raises(
            TraceError, match=f"{strange.name} can't be read at byte .* or move it out of the directory"
        ):
            next(runs)
    strange.unlink()
    assert run_ids(tmp_path) == ["r1"]


def test_what_the_system_does_not_let_us_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    write_runs(tmp_path, "r1")
    (tmp_path / "20990101T000000000-1-00000000.jsonl").mkdir()
    (tmp_path / "20990101T000000000-1-00000001.jsonl.zst").symlink_to(tmp_path / "gone")
    with TraceReader(tmp_path, skip_damaged=True) as reader:
        assert [summary.run_id for summary in reader.runs()] == ["r1"]
        assert [note.partition("jsonl")[2] for note in reader.notes] == [
            " can't be read (Is a directory): make it readable, or move it out of the directory to read the others.",
            ".zst is a link to nothing: put the file there, or remove it.",
        ]


@pytest.mark.parametrize("field", ["sparkle", "outcome"])
def test_a_run_with_what_only_a_newer_version_knows_is_said_to_be_so(tmp_path: Path, field: str) -> None:
    write_runs(tmp_path, "r1")
    path = unsealed(tmp_path)
    old, new = {"sparkle": (b'"sample":', b'"sparkle":1,"sample":'), "outcome": (b'"correct"', b'"dazzling"')}[field]
    payloads = [item[1].replace(old, new, 1) for item in scan(path.read_bytes()) if isinstance(item, tuple)]
    path.write_bytes(b"".join(map(frame, payloads)))
    with TraceReader(tmp_path) as reader, pytest.raises(TraceError, match=r"upgrade .*pip install -U maieutic"):
        reader.run(next(reader.runs()).run_id)


def test_segments_rotate_and_are_sealed_and_read_alike(tmp_path: Path) -> None:
    with TraceStore(tmp_path, rotate_at=3000) as store:
        runs = [store.open_run(header(f"r{i}")) for i in range(3)]
        for turn in range(6):
            for run in runs:
                run.call(call(run.run_id, f"c{turn}", prompt=range(400 + turn)))
            asyncio.run(store.commit())
        for run in runs:
            run.finish()
    store.close()
    segments = list_segments(tmp_path)
    assert len(segments) > 3
    for path in segments.values():
        assert path.name.endswith(".jsonl.zst") and size(path) == len(load(path))
    assert not list(tmp_path.glob(".*.tmp"))
    with TraceReader(tmp_path) as reader:
        for run in runs:
            assert [c.call_id for c in reader.run(run.run_id).calls] == [f"c{turn}" for turn in range(6)]


def test_a_seal_interrupted_before_the_plain_file_went_counts_nothing_twice(tmp_path: Path) -> None:
    write_runs(tmp_path, "r1")
    (path,) = list_segments(tmp_path).values()
    path.with_suffix("").write_bytes(load(path))
    (tmp_path / f".{path.name}.tmp").write_bytes(b"half")
    with TraceReader(tmp_path) as reader:
        assert [summary.calls for summary in reader.runs()] == [1] and not reader.notes


def test_a_closed_store_takes_nothing_and_a_new_one_goes_on(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    run = store.open_run(header("r1"))
    store.close()
    store.close()
    with pytest.raises(TraceError, match="closed"):
        run.finish()
    write_runs(tmp_path, "r2")
    assert run_ids(tmp_path) == ["r1", "r2"]


def test_a_store_that_nobody_closed_is_closed_at_the_end(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from maieutic.trace.record import RunHeader
        from maieutic.trace.writer import TraceStore

        def begin(root):
            return TraceStore(Path(root)).open_run(RunHeader("r1", "task"))

        run = begin(sys.argv[1])
        run.finish(answer="4")
    """
    assert python(code, tmp_path).communicate() == ("", "")
    (path,) = list_segments(tmp_path).values()
    assert path.suffix == ".zst" and run_ids(tmp_path) == ["r1"]


WRITER = """
    import asyncio, sys
    from pathlib import Path
    from maieutic.trace.writer import TraceStore
    from maieutic.trace.record import RunHeader

    async def main(root, name, runs):
        store = TraceStore(Path(root))
        for number in range(int(runs)):
            run = store.open_run(RunHeader(f"{name}-{number}", "task"))
            run.write("note", text="x" * 3000)
            run.finish(answer="4")
            await run.commit()
            print(run.run_id, flush=True)
        store.close()

    asyncio.run(main(*sys.argv[1:]))
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for attempt in range(10):
        process = python(WRITER, tmp_path, f"p{attempt}", 100_000)
        assert process.stdout and process.stderr
        acknowledged.append(process.stdout.readline().strip())
        time.sleep(0.013 * (attempt + 1))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        acknowledged += [line for line in rest.splitlines(keepends=False) if line.count("-") == 1]
    with TraceReader(tmp_path) as reader:
        whole = {summary.run_id for summary in reader.runs() if summary.finished}
        assert len(acknowledged) >= 20 and set(acknowledged) <= whole
        assert all(reader.run(run_id).finish for run_id in acknowledged)


def test_two_processes_write_to_one_directory(tmp_path: Path) -> None:
    processes = [python(WRITER, tmp_path, name, 40) for name in ("a", "b")]
    while any(process.poll() is None for process in processes):
        run_ids(tmp_path)
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert sorted(run_ids(tmp_path)) == sorted(f"{name}-{number}" for name in "ab" for number in range(40))


def test_two_processes_build_the_index_at_once(tmp_path: Path) -> None:
    write_runs(tmp_path, *(f"r{i}" for i in range(200)))
    code = """
        import sys
        from pathlib import Path
        from maieutic.trace.reader import TraceReader
        print(len(list(TraceReader(Path(sys.argv[1])).runs())))
    """
    processes = [python(code, tmp_path) for _ in range(3)]
    assert [process.communicate() for process in processes] == [("200\n", "")] * 3


def test_a_full_disk_is_an_error_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    code = """
        import asyncio, resource, signal, sys
        from pathlib import Path
        from maieutic.errors import TraceError
        from maieutic.trace.record import RunHeader
        from maieutic.trace.writer import TraceStore

        async def main(root):
            store = TraceStore(Path(root))
            try:
                for number in range(1000):
                    run = store.open_run(RunHeader(f"r{number}", "task"))
                    run.write("note", text="x" * 2000)
                    run.finish()
                    await store.commit()
                    print(run.run_id)
            except TraceError as error:
                print(error, file=sys.stderr)
            try:
                store.open_run(RunHeader("late", "task"))
            except TraceError:
                print("refused")

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        asyncio.run(main(sys.argv[1]))
    """
    output, errors = python(code, tmp_path).communicate()
    *acknowledged, last = output.split()
    assert last == "refused" and 15 < len(acknowledged) < 25
    assert "can't be written (File too large)" in errors.splitlines()[0] and "Traceback" not in errors.splitlines()[0]
    assert set(acknowledged) == set(run_ids(tmp_path))
    with TraceReader(tmp_path) as reader:
        assert not reader.notes


def test_a_segment_that_can_not_be_sealed_is_told_in_a_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with TraceStore(tmp_path) as store, caplog.at_level(logging.WARNING):
        store.open_run(header("r1")).finish()
        asyncio.run(store.commit())
        (path,) = list_segments(tmp_path).values()
        (tmp_path / f".{path.name}.zst.tmp").mkdir()
        store.close()
    sentence = f"The segment {path} stays uncompressed (Is a directory): it is whole, and read like the others."
    assert caplog.messages == [sentence] and run_ids(tmp_path) == ["r1"]


async def waited_and_durable(root: Path) -> tuple[float, float]:
    """Seconds that 20 calls took to write, and until they were in the file."""
    with TraceStore(root) as store:
        run = store.open_run(header("r1"))
        await store.commit()
        (path,) = list_segments(root).values()
        started = time.perf_counter()
        for number in range(20):
            run.call(call("r1", str(number)))
        waited = time.perf_counter() - started
        while path.read_bytes().count(b'"kind":"call"') < 20:
            await asyncio.sleep(0.001)
        return waited, time.perf_counter() - started


def test_the_event_loop_does_not_wait_and_lines_are_written_within_50_ms(tmp_path: Path) -> None:
    tries = [asyncio.run(waited_and_durable(tmp_path / str(number))) for number in range(5)]
    assert min(waited for waited, _ in tries) < 0.02
    assert min(durable for _, durable in tries) < 0.05
