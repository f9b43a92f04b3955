"""Where rows are put: Parquet and folders for the Hub, gold that comes back, and input that is not as it should be."""

import json
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import TraceError, UnknownName, UserError
from maieutic.recipes.export import export
from maieutic.recipes.seen import Seen
from maieutic.recipes.storage import readable_card_of, store
from maieutic.recipes.table import Fields, Many, Schema, merge, type_of
from maieutic.trace.index import _PAGE
from maieutic.trace.reader import TraceReader
from maieutic.trace.segment import first_line, list_segments
from maieutic.trace.writer import TraceStore
from maieutic.types import ToolCall
from tests.recipes.test_export import record, rows_of, two_turns
from tests.trace.builders import call, header


def tool_runs(root: Path) -> Path:
    """Two runs without ids, whose tools are called with other arguments each."""
    calls = [
        [
            call(
                f"r{n}",
                "a",
                None,
                None,
                text="",
                tool_calls=(ToolCall("t1", "python", json.dumps(arguments)),),
                finish_reason="tool_calls",
            )
        ]
        for n, arguments in enumerate(({"code": "2+2"}, {"path": ["a", 1]}))
    ]
    return record(root, *calls)


def arrow_rows(path: Path) -> list[dict[str, Any]]:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: Parquet was NOT checked")
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def test_parquet_has_the_rows_of_jsonl(tmp_path: Path) -> None:
    root = record(tmp_path / "traces", two_turns("r0", (1, 2, 3, 5, 6, 7)))
    lines = rows_of(export(root, "solved", "trl-sft", tmp_path / "rows.jsonl").out)
    report = export(root, "solved", "trl-sft", tmp_path / "rows.parquet")
    assert arrow_rows(report.out) == lines and report.rows == 2
    assert json.loads(report.card.read_text())["sha256"]


def test_tools_called_with_other_arguments_get_none_of_each_others_in_parquet(tmp_path: Path) -> None:
    rows = arrow_rows(export(tool_runs(tmp_path / "t"), "runs", "trl-sft", tmp_path / "rows.parquet").out)
    arguments = [row["completion"][0]["tool_calls"][0]["function"]["arguments"] for row in rows]
    assert [json.loads(text) for text in arguments] == [{"code": "2+2"}, {"path": ["a", 1]}]


def test_a_folder_for_the_hub_is_replaced_whole(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: folders for the Hub were NOT checked")
    root, out = record(tmp_path / "traces", [call("r0", "a")]), tmp_path / "set"
    for _ in range(2):
        report = export(root, "solved", "trl-sft", out, kind="hf")
        assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
            "README.md",
            "card.json",
            "data/train-00000-of-00001.parquet",
        ]
    assert report.readable_card.read_text().startswith("---\nconfigs:\n")  # pyright: ignore[reportPossiblyUnboundVariable]
    assert "--as hf" in json.loads(report.card.read_text())["command"]  # pyright: ignore[reportPossiblyUnboundVariable]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="no dataset of an earlier export: give another folder"):
        export(root, "solved", "trl-sft", mine, kind="hf")
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with pytest.raises(UnknownName, match="jsonl"):
        export(root, "solved", "trl-sft", out, kind="arrow")


@pytest.mark.filterwarnings("default")
def test_datasets_reads_the_folder_and_gives_objects_back(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: our folders were NOT read")
    out = export(tool_runs(tmp_path / "t"), "runs", "trl-sft", tmp_path / "set", kind="hf").out
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    arguments = [row["completion"][0]["tool_calls"][0]["function"]["arguments"] for row in loaded]
    assert arguments == [{"code": "2+2"}, {"path": ["a", 1]}]


@pytest.mark.parametrize(
    ("one", "other", "merged"),
    [
        (1, 2.5, "float"),
        (1, True, "json"),
        (1, "1", "json"),
        (None, "a", "text"),
        (2**63, 1, "json"),
        ([], [1], Many("int")),
        ([1], ["a"], Many("json")),
        ({"a": 1}, {"a": 2}, Fields((("a", "int"),))),
        ({"a": 1}, {"b": 1}, "json"),
        ({"role": "user"}, {"role": "tool", "name": "x"}, Fields((("name", "text"), ("role", "text")))),
        ({}, {}, "json"),
    ],
)
def test_types_of_columns(one: Any, other: Any, merged: Any) -> None:
    assert merge(type_of(one), type_of(other)) == merge(type_of(other), type_of(one)) == merged


def test_a_schema_makes_text_only_of_what_has_no_form() -> None:
    schema = Schema()
    rows = [{"a": {"x": 1}, "b": 1, "s": "\ud800"}, {"a": {"y": None}, "b": 2.0}]
    for row in rows:
        schema.add(row)
    assert [schema.fit(row) for row in rows] == [
        {"a": '{"x": 1}', "b": 1.0, "s": "?"},
        {"a": '{"y": null}', "b": 2.0, "s": None},
    ]


def graded(root: Path) -> Path:
    with TraceStore(root) as store:
        for number, outcome in enumerate(("correct", "wrong")):
            task = {"id": "sum", "question": "2+2?", "answer_type": "number"}
            run = store.open_run(header(f"r{number}", group_id="g", task=task))
            run.call(call(f"r{number}", "a"))
            run.finish(answer="4", answer_call="a", outcome=outcome, score=1.0, partial=False)
    return root


def test_prompts_get_their_gold_from_where_the_tasks_came_from(tmp_path: Path) -> None:
    root, tasks = graded(tmp_path / "traces"), tmp_path / "tasks.jsonl"
    with pytest.raises(UserError, match="kept without a row"):
        export(root, "edge_of_ability", "trl-grpo", tmp_path / "rows.jsonl")
    tasks.write_text('{"id": "sum", "question": "2+2?", "gold": "4", "answer_type": "number"}\n')
    report = export(root, "edge_of_ability", "trl-grpo", tmp_path / "rows.jsonl", tasks=str(tasks))
    [row] = rows_of(report.out)
    assert json.loads(row["task"])["gold"] == "4"
    assert f"--tasks {tasks}" in json.loads(report.card.read_text())["command"]
    tasks.write_text('{"id": "sum", "question": "2+3?", "gold": "5"}\n')
    with pytest.raises(UserError, match="asks something else than the runs"):
        export(root, "edge_of_ability", "trl-grpo", tmp_path / "rows.jsonl", tasks=str(tasks))


def test_seen_knows_what_was_added() -> None:
    with Seen() as seen:
        assert [seen.add(text) for text in (b"a", b"b", b"a", b"")] == [True, True, False, True]


def test_runs_are_read_page_by_page_without_a_gap(tmp_path: Path) -> None:
    number = 2 * _PAGE + 1
    for part in range(3):
        with TraceStore(tmp_path) as store:
            for one in range(part * number // 3, (part + 1) * number // 3):
                store.open_run(header(f"r{one:05}", task_key=f"t{one % 2}")).finish()
    with TraceReader(tmp_path) as reader:
        assert [summary.run_id for summary in reader.runs()] == [f"r{one:05}" for one in range(number)]
        assert len(list(reader.runs(task_key="t0"))) == _PAGE + 1
        assert len(list_segments(tmp_path)) == 3


def test_traces_of_a_newer_version_are_left_as_they_are(tmp_path: Path) -> None:
    root = record(tmp_path / "traces", [call("r0", "a")])
    line = first_line("9.0").replace(b'"format": 1', b'"format": 2')
    from zlib import crc32

    payload = line[line.index(b'"e":') + 4 : -2]
    newer = root / "20990101T000000000-1-00000000.jsonl"
    newer.write_bytes(b'{"crc":"%08x","len":"%08d","e":%b}\n' % (crc32(payload), len(payload), payload))
    with pytest.raises(TraceError, match="newer|format 2"):
        export(root, "solved", "trl-sft", tmp_path / "rows.jsonl")
    assert newer.exists() and not list(tmp_path.glob("*rows*"))


def test_of_a_half_deleted_folder_the_rest_is_exported(tmp_path: Path) -> None:
    root = tmp_path / "traces"
    for name in ("r0", "r1", "r2"):
        with TraceStore(root) as store:
            run = store.open_run(header(name))
            run.call(call(name, "a", sampled=(int(name[1:]),)))
            run.finish(answer="4", answer_call="a", outcome="correct", score=1.0, partial=False)
    assert export(root, "solved", "trl-sft", tmp_path / "rows.jsonl").rows == 3
    first, *_ = list_segments(root).values()
    first.unlink()
    report = export(root, "solved", "trl-sft", tmp_path / "rows.jsonl")
    assert (report.rows, report.tally.seen) == (2, 2)
    shutil.rmtree(root)
    with pytest.raises(UserError, match="not a directory"):
        export(root, "solved", "trl-sft", tmp_path / "rows.jsonl")


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "hf"])
def test_where_the_card_can_not_be_written_everything_stays_as_it_was(tmp_path: Path, kind: str) -> None:
    """Rows beside another export's card would be taken for what that says."""
    if kind != "jsonl":
        pytest.importorskip("pyarrow")
    lines, out = tmp_path / "lines", tmp_path / "rows"

    def put(text: str, size: int) -> None:
        lines.write_text(json.dumps({"text": text}) + "\n")
        store(lines, out, kind, lambda sha256: (json.dumps({"sha256": sha256}), text * size))

    put("old", 1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != lines}
    assert len(before) == 3
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            put("new", 50_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != lines} == before
    put("newer", 1)
    assert readable_card_of(out, kind).read_text() == "newer"
