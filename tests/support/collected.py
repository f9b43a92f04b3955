"""What must hold of a collection, whatever happened to it on the way."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from maieutic.collector import ResultRow, read_results
from maieutic.trace.reader import TraceReader


def whole_lines(out: Path) -> list[str]:
    """The lines of the results that have their end: those of a torn line nobody was told of."""
    path = out / "results.jsonl"
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def each_done_once(out: Path, keys: Iterable[tuple[str, int]]) -> list[ResultRow]:
    """Every key has exactly one result, whose run is whole in the trace, and no key was finished twice."""
    rows = list(read_results(out))
    assert sorted(row.key for row in rows) == sorted(keys)
    with TraceReader(out) as reader:
        for row in rows:
            run = reader.run(row.run_id)
            assert run.finish is not None
            assert (run.header.task_key, run.header.sample) == row.key
            assert run.finish.fields["answer"] == row.answer
        ended = Counter((run.task_key, run.sample) for run in reader.runs() if run.finished and not run.partial)
    assert set(ended.values()) <= {1}
    return rows
