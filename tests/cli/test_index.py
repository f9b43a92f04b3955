"""`maieutic index` and `maieutic search`, and `--index` on what runs a graph."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytest.importorskip("faiss", reason="faiss-cpu is not installed: maieutic index and search were not checked")
pytest.importorskip("semantic_text_splitter", reason="not installed: maieutic index and search were not checked")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents and one that can't be read."""
    handbook = tmp_path / "handbook"
    handbook.mkdir()
    (handbook / "pumps.txt").write_text("A pump that cavitates loses its prime. Bleed the inlet line.\n")
    (handbook / "valves.md").write_text("# Valves\n\nLap the seat with grinding paste.\n")
    (handbook / "empty.txt").touch()
    return handbook


def test_a_folder_is_indexed_listed_searched_and_removed(maieutic: Command, folder: Path) -> None:
    made = maieutic("index", str(folder), "--name", "handbook", "--embedder", "hashed")
    assert made.code == 0
    assert made.out.splitlines() == [
        "handbook: 2 documents, 2 passages (2 new); embedder hashed",
        "1 path was left out:",
        f"  {folder / 'empty.txt'} is empty.",
    ]
    again = json.loads(maieutic("index", "--name", "handbook", "--json", "--quiet").out)
    assert (again["unchanged"], again["documents"], again["added"]) == (2, 2, 0)
    listed = maieutic("index", "--list").out
    assert listed.startswith("handbook  2 documents, 2 passages, hashed, exact; ") and str(folder) in listed
    assert json.loads(maieutic("index", "--list", "--json").out)["handbook"]["documents"] == 2
    found = maieutic("search", "handbook", "lap the valve seat", "-k", "1").out
    assert found.startswith(f"1. {folder / 'valves.md'}, characters 0-")
    assert "[source 2; dense 1, lexical 1]" in found and "grinding paste" in found
    (row,) = json.loads(maieutic("search", "handbook", "inlet", "-k", "1", "--way", "lexical", "--json").out)
    assert (Path(row["path"]).name, row["dense"], row["lexical"]) == ("pumps.txt", None, 1)
    assert maieutic("search", "handbook", "xyzzy", "--way", "lexical").out == "Nothing was found.\n"
    assert maieutic("index", "--name", "handbook", "--remove").out == "The index handbook is removed.\n"
    assert maieutic("index", "--list").out == ""
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index"], "Which index? Give it a name with --name"),
        (["index", "--name", "x"], "There is no index 'x': make it with maieutic index PATH --name x."),
        (["index", "no/where", "--name", "x"], "There is no file or folder no/where."),
        (["index", ".", "--name", "../x"], "'../x' can't be the name of an index"),
        (["index", ".", "--name", "x", "--vectors", "ivf"], "There are no ivf vectors: give exact or hnsw."),
        (["index", ".", "--name", "x", "--characters", "5"], "Passages of 5 characters are not possible"),
        (["index", ".", "--name", "x", "--max-size", "0"], "Files of up to 0 MiB can't be indexed"),
        (["index", ".", "--name", "x", "--embedder", "word2vec"], "There is no embedder named 'word2vec'."),
        (["search", "x", "y"], "There is no index 'x'"),
        (["search", "x", "y", "-k", "0"], "0 passages can't be shown"),
        (["search", "x", "y", "--way", "best"], "There is no way 'best' to search"),
        (["search", "x", " "], "The query is empty"),
        (["ask", "y", "--model", "yes", "--index", "x"], "There is no index 'x'"),
    ],
)
def test_mistakes_are_sentences(maieutic: Command, arguments: list[str], said: str) -> None:
    ended = maieutic(*arguments)
    assert (ended.code, ended.out) == (2, "") and said in ended.err
    assert json.loads(maieutic("index", "--list", "--json").out) == {}


def test_a_model_is_given_the_index(maieutic: Command, folder: Path, scripts: Path, tmp_path: Path) -> None:
    maieutic("index", str(folder), "--name", "handbook")
    asked = maieutic("ask", "How?", "--model", "yes", "--graph", "tool_loop", "--index", "handbook", "--json")
    assert json.loads(asked.out)["answer"] == "42"
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"question": "How?", "gold": "42"}\n')
    out = str(tmp_path / "runs")
    done = maieutic("collect", str(tasks), "--model", "yes", "--index", "handbook", "--out", out, "--json", "--quiet")
    assert done.code == 0 and json.loads(done.out)["done"] == 1
    manifest = json.loads((tmp_path / "runs" / "collect.json").read_text())
    assert manifest["tools"] == ["retrieve@handbook", "open_source@handbook"]
